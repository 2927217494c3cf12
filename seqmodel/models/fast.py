"""GRU and LSTM layers with Keras' weights and results, trained faster on the processor.

Drop-in: the same knobs, weights and numbers (to rounding) as `keras.layers.GRU` and `LSTM`. Where
the quick way does not apply (another backend than TensorFlow, a GPU, masks, unrolling, recurrent
dropout, other activations, other precision than float32, a batch size unknown when the graph is
made) they are the Keras layers. The quick way knows first derivatives only.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from seqmodel.models.parts import count_parts
from seqmodel.models.recurrence import GRU, LSTM, Cell, run_parts

PACKAGE = "seqmodel"


@keras.saving.register_keras_serializable(PACKAGE)
class FastGRU(keras.layers.GRU):  # type: ignore[misc]
    """`keras.layers.GRU`, quicker on the processor under `jit_compile=True`."""

    def inner_loop(
        self,
        sequences: Any,
        initial_state: Any,
        mask: Any,
        training: bool = False,  # noqa: FBT001, FBT002 - the parent's signature
    ) -> Any:
        """Return the last output (N x U), all outputs (N x L x U) and the states (N x U each).

        Args:
            sequences: N x L x F.
            initial_state: one N x U.
            mask: N x L or None.
            training: whether dropout is on.
        """
        if not self.use_bias and self.compute_dtype != "float32":
            # Keras 3.15 on JAX takes a float32 bias of zeros then, and its loop refuses the sum.
            return keras.layers.RNN.inner_loop(
                self, sequences, initial_state, mask, training=training
            )
        if not self.reset_after or not _is_quick(self, sequences, mask):
            return super().inner_loop(sequences, initial_state, mask, training=training)
        units, cell = self.units, self.cell
        bias = cell.bias if self.use_bias else ops.zeros((2, 3 * units))
        # The state's bias of z and r adds to the input's; the candidate's is multiplied by r.
        shift = ops.concatenate([bias[0, : 2 * units] + bias[1, : 2 * units], bias[0, 2 * units :]])
        recurrent = ops.convert_to_tensor(cell.recurrent_kernel)
        turned = ops.concatenate([recurrent[:, 2 * units :], recurrent[:, : 2 * units]], axis=1)
        kernels = (_append(cell.kernel, shift), turned)
        column = ops.expand_dims(bias[1, 2 * units :], 1)
        return _run(self, (GRU(), kernels, column), sequences, initial_state, training=training)


@keras.saving.register_keras_serializable(PACKAGE)
class FastLSTM(keras.layers.LSTM):  # type: ignore[misc]
    """`keras.layers.LSTM`, quicker on the processor under `jit_compile=True`."""

    def inner_loop(
        self,
        sequences: Any,
        initial_state: Any,
        mask: Any,
        training: bool = False,  # noqa: FBT001, FBT002 - the parent's signature
    ) -> Any:
        """Return the last output (N x U), all outputs (N x L x U) and the states (N x U each).

        Args:
            sequences: N x L x F.
            initial_state: two N x U: output and cell.
            mask: N x L or None.
            training: whether dropout is on.
        """
        if not _is_quick(self, sequences, mask):
            return super().inner_loop(sequences, initial_state, mask, training=training)
        bias = self.cell.bias if self.use_bias else ops.zeros((4 * self.units,))
        recurrent = ops.convert_to_tensor(self.cell.recurrent_kernel)
        kernels = (_append(self.cell.kernel, bias), recurrent)
        column = ops.zeros((self.units, 1))  # the GRU's only
        return _run(self, (LSTM(), kernels, column), sequences, initial_state, training=training)


def _is_quick(layer: Any, sequences: Any, mask: Any) -> bool:
    """Say whether the quick way computes what the layer's knobs ask for."""
    if keras.backend.backend() != "tensorflow" or _has_gpu():
        return False
    return (
        all(entry is None for entry in (mask if isinstance(mask, (list, tuple)) else [mask]))
        and not layer.unroll
        and not layer.recurrent_dropout
        and layer.activation is keras.activations.tanh
        and layer.recurrent_activation is keras.activations.sigmoid
        and layer.compute_dtype == "float32"
        # Implementation 1 drops different inputs for each gate.
        and (not layer.dropout or layer.cell.implementation != 1)
        and None not in tuple(sequences.shape)
    )


def _has_gpu() -> bool:
    """Say whether cuDNN may be there, which is quicker still."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def _append(kernel: Any, bias: Any) -> Any:
    """Return (F + 1) x GU: the bias as the kernel's row of a further feature that is always 1."""
    return ops.concatenate([ops.convert_to_tensor(kernel), ops.expand_dims(bias, 0)], axis=0)


def _run(
    layer: Any,
    prepared: tuple[Cell, tuple[Any, Any], Any],
    sequences: Any,
    states: Any,
    *,
    training: bool,
) -> tuple[Any, Any, list[Any]]:
    """Run the loop on N x L x F; return it as `inner_loop` does."""
    if training and layer.dropout:
        kept = layer.cell.get_dropout_mask(sequences[:, 0, :])
        sequences = sequences * ops.expand_dims(kept, 1)
    if layer.go_backwards:
        sequences = ops.flip(sequences, axis=1)
    windows, lookback, _ = sequences.shape
    parts = count_parts(windows)
    turned = ops.transpose(sequences, (1, 2, 0))  # L x F x N
    turned = ops.concatenate([turned, ops.ones((lookback, 1, windows))], axis=1)
    inputs = ops.split(turned, parts, axis=-1)
    states = states if isinstance(states, (list, tuple)) else [states]
    by_state = [ops.split(ops.transpose(state), parts, axis=-1) for state in states]
    flat = [state[part] for part in range(parts) for state in by_state]
    cell, kernels, bias = prepared
    kernel, recurrent = (ops.transpose(weight) for weight in kernels)
    outputs, last = run_parts(
        cell, kernel, recurrent, bias, list(inputs), flat, sequences=layer.return_sequences
    )
    count = len(states)
    ends = [ops.transpose(ops.concatenate(last[i::count], axis=-1)) for i in range(count)]
    if not layer.return_sequences:
        return ends[0], ends[0], ends
    whole = ops.transpose(ops.concatenate(outputs, axis=-1), (2, 0, 1))  # N x L x U
    return ends[0], whole, ends

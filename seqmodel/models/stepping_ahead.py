"""A recurrent layer that reads the past once and steps into many futures at once."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from seqmodel.models.cells import make_recurrent

PACKAGE = "seqmodel"


@keras.saving.register_keras_serializable(PACKAGE)
class StepAhead(keras.layers.Layer):  # type: ignore[misc]
    """Reads the past, and from the state it leaves makes one step for each of M futures.

        past    ... -> o -> o -> state      the same cell, the same weights
                                  |-> future 1
                                  |-> future 2    each one step away, none after another
                                  |-> future M

    All M steps begin with the same state, so its product with the recurrent kernel is made once
    instead of M times; and where the futures are the same for all windows, so is theirs with the
    input kernel. That is most of the cost of a long horizon.

    Args:
        cell: gru or lstm.
        units: d (cells).
        deeper: whether another layer follows, which reads each step of the past.
        use_bias: whether the cell has biases.
        kwargs: of the Keras layer.
    """

    def __init__(
        self, cell: str, units: int, *, deeper: bool = False, use_bias: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.cell, self.units, self.deeper, self.use_bias = cell, units, deeper, use_bias
        self.recurrent = make_recurrent(
            cell,
            units,
            return_sequences=deeper,
            return_state=True,
            use_bias=use_bias,
            dtype=self.dtype_policy,
        )

    def build(self, past_shape: Any, future_shape: Any) -> None:
        """Create the weights of the cell."""
        del future_shape  # as wide as the past
        self.recurrent.build(past_shape)

    def call(self, past: Any, future: Any) -> tuple[Any, Any]:
        """Read N x T x F, step into N x M x F, or 1 x M x F where all windows have the same.

        Returns:
            What the layer says of the past, N x T x d if a layer follows and else N x d; and
            N x M x d of the futures.
        """
        read, *states = self.recurrent(past)
        step = _step_gru if self.cell == "gru" else _step_lstm
        return read, step(self.recurrent.cell, future, [ops.expand_dims(s, 1) for s in states])

    def compute_output_shape(self, past_shape: Any, future_shape: Any) -> tuple[Any, Any]:
        """Return the shapes of both results."""
        read = (*past_shape[:-1], self.units) if self.deeper else (past_shape[0], self.units)
        return read, (past_shape[0], future_shape[1], self.units)

    def get_config(self) -> dict[str, Any]:
        """Return what is needed to build the layer again."""
        knobs = {"cell": self.cell, "units": self.units, "deeper": self.deeper}
        return {**super().get_config(), **knobs, "use_bias": self.use_bias}


def _step_gru(cell: Any, inputs: Any, states: list[Any]) -> Any:
    """Return N x M x d of N or 1 x M x F inputs and an N x 1 x d state; gates z, r, candidate."""
    (state,) = states
    units = state.shape[-1]
    x = ops.matmul(inputs, cell.kernel)
    a = ops.matmul(state, cell.recurrent_kernel)
    if cell.use_bias:
        x, a = x + cell.bias[0], a + cell.bias[1]
    gates = ops.sigmoid(x[..., : 2 * units] + a[..., : 2 * units])
    z, r = gates[..., :units], gates[..., units:]
    candidate = ops.tanh(x[..., 2 * units :] + r * a[..., 2 * units :])
    return candidate + z * (state - candidate)


def _step_lstm(cell: Any, inputs: Any, states: list[Any]) -> Any:
    """Return the same of two states; gates i, f, candidate, o."""
    state, memory = states
    both = ops.matmul(inputs, cell.kernel) + ops.matmul(state, cell.recurrent_kernel)
    if cell.use_bias:
        both = both + cell.bias
    i, f, candidate, o = ops.split(both, 4, axis=-1)
    memory = ops.sigmoid(f) * memory + ops.sigmoid(i) * ops.tanh(candidate)
    return ops.sigmoid(o) * ops.tanh(memory)

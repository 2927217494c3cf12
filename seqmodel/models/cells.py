"""The one place that makes recurrent layers."""

from __future__ import annotations

from typing import Any

from keras import layers, regularizers

from seqmodel.models.fast import FastGRU, FastLSTM

#: Each is the Keras layer of that name, quicker where the processor trains it.
LAYERS = {"gru": FastGRU, "lstm": FastLSTM, "rnn": layers.SimpleRNN}


def make_recurrent(
    kind: str,
    units: int,
    *,
    return_sequences: bool,
    return_state: bool = False,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    kernel_l2: float = 0.0,
    recurrent_l2: float = 0.0,
    **options: Any,
) -> Any:
    """Return a recurrent Keras layer: N x L x F -> N x L x units, or N x units.

    Activations and the reset gate stay as Keras has them, the only ones that cuDNN computes; with
    `recurrent_dropout` it cannot.

    Args:
        kind: name in LAYERS.
        units: width (cells).
        return_sequences: return the state of each step, not only of the last.
        return_state: return the last state, or states, as well.
        dropout: share of the inputs dropped in training, the same at all steps.
        recurrent_dropout: share of the state dropped between steps in training.
        kernel_l2: weight of the squared input kernel in the loss.
        recurrent_l2: weight of the squared recurrent kernel in the loss.
        options: anything else that the Keras layer takes.
    """
    return LAYERS[kind](
        units,
        return_sequences=return_sequences,
        return_state=return_state,
        dropout=dropout,
        recurrent_dropout=recurrent_dropout,
        kernel_regularizer=regularizers.L2(kernel_l2) if kernel_l2 else None,
        recurrent_regularizer=regularizers.L2(recurrent_l2) if recurrent_l2 else None,
        **options,
    )

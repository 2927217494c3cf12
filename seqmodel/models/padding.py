"""Padding that moves no network: windows of sequences of unequal length, without Keras masks.

    rows       |0 0 0 0|x x x x|        a short sequence, padded on its left
    present    |0 0 0 0|1 1 1 1|
    state      |0 0 0 0|h h h h|        of a recurrent layer

A recurrent layer without biases leaves a state of zero where it is where its input is zero: the
candidate of a GRU or LSTM is then tanh(0). So the rows of padding are made zero, and the bias comes
back as the weight of one more input, `present`, that is 1 in every other row. All of that holds to
the bit, under cuDNN and XLA too, where a mask would not run.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from seqmodel.models.outputs.head import PACKAGE
from seqmodel.models.protocol import InputShapes

#: Column of `past` that says whether there is a row.
OBSERVED = 1


def find_present(inputs: dict[str, Any], shapes: InputShapes) -> Any | None:
    """Return N x L x 1, 1 where there is a row; None of a target that is a number."""
    return inputs["past"][:, :, OBSERVED : OBSERVED + 1] if shapes.classes else None


def blank_padding(rows: Any, present: Any | None) -> Any:
    """Return N x L x F rows that are zero where there is none."""
    return rows if present is None else layers.Multiply()([rows, present])


def mark_present(rows: Any, present: Any | None) -> Any:
    """Return N x L x (F + 1) rows for a layer without biases, zero where there is none."""
    if present is None:
        return rows
    return layers.Concatenate()([blank_padding(rows, present), present])


@keras.saving.register_keras_serializable(PACKAGE)
class TurnRows(keras.layers.Layer):  # type: ignore[misc]
    """Reverses the rows that there are and leaves the padding before them; twice is nothing."""

    def call(self, rows: Any, present: Any) -> Any:
        """Return N x L x F rows.

        Args:
            rows: N x L x F.
            present: N x L x 1, zeros and then ones.
        """
        length = rows.shape[1]
        places = ops.arange(length, dtype="int32")
        padding = length - ops.sum(ops.cast(present[:, :, 0] > 0, "int32"), axis=1, keepdims=True)
        turned = padding + length - 1 - places
        order = ops.where(places < padding, places, turned)  # N x L
        return ops.take_along_axis(rows, ops.expand_dims(order, -1), axis=1)

    def compute_output_spec(self, rows: Any, present: Any) -> Any:
        """Return shape and type of the outputs: those of the rows."""
        del present
        return keras.KerasTensor(rows.shape, rows.dtype)

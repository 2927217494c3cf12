"""LSTM, GRU and simple RNN over the lookback, a direct head for all steps of the horizon."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from seqmodel.models.outputs import AscendingQuantiles
from seqmodel.models.protocol import InputShapes
from seqmodel.specs import ModelSpec

CELLS = {"gru": layers.GRU, "lstm": layers.LSTM, "rnn": layers.SimpleRNN}
#: Width of what the head is told about each step of the horizon by the lookback.
STEP_WIDTH = 16
#: Known features seen around a step of the horizon (steps).
STEPS_BEFORE, STEPS_AFTER = 3, 1


def build_recurrent(spec: ModelSpec, shapes: InputShapes, levels: tuple[float, ...]) -> Any:
    """Build the network.

    The lookback (N x L x F) is read by the recurrent layers to one state (N x units). From it each
    step of the horizon gets a summary of its own; beside it stand what is known about that step
    and the series' static covariates; two dense layers, shared by all steps, make Q numbers of it.

    Args:
        spec: kind, units, layers, dropout.
        shapes: of the inputs.
        levels: Q quantile levels.

    Returns:
        A Keras model: dict of inputs -> N x H x Q, ascending along Q, in scaled units.
    """
    past = keras.Input((shapes.lookback, shapes.features), name="past")
    inputs = {"past": past}
    state = past
    for layer in range(spec.layers):
        if layer:
            state = layers.Dropout(spec.dropout)(state)
        last = layer == spec.layers - 1
        state = CELLS[spec.kind](spec.units, return_sequences=not last)(state)
    state = layers.Dropout(spec.dropout)(state)
    steps = layers.Dense(shapes.horizon * STEP_WIDTH, activation="tanh")(state)
    parts = [layers.Reshape((shapes.horizon, STEP_WIDTH))(steps)]
    parts.append(layers.RepeatVector(shapes.horizon)(state))
    if shapes.known:
        inputs["known"] = keras.Input((shapes.horizon, shapes.known), name="known")
        parts.append(_read_neighbours(past, inputs["known"], spec.units))
    statics = _embed_static(shapes, inputs)
    parts += [layers.RepeatVector(shapes.horizon)(static) for static in statics]
    joined = layers.Concatenate()(parts)
    hidden = layers.Dense(spec.units, activation="relu")(joined)
    hidden = layers.Dropout(spec.dropout)(hidden)
    hidden = layers.Dense(spec.units, activation="relu")(hidden)
    # Float32 whatever the policy: half precision would round the quantiles.
    raw = layers.Dense(len(levels), dtype="float32")(hidden)
    outputs = AscendingQuantiles(levels.index(0.5), dtype="float32")(raw)
    return keras.Model(inputs, outputs, name=spec.kind)


def _read_neighbours(past: Any, known: Any, units: int) -> Any:
    """Read what is known about each step together with the steps around it.

    What was due just before a step spills into it, what is due just after may come early. The
    known features are the last K of a lookback row, so the steps before the first are there too.
    """
    before = min(STEPS_BEFORE, past.shape[1])
    joined = layers.Concatenate(axis=1)([past[:, -before:, -known.shape[-1] :], known])
    joined = layers.ZeroPadding1D((STEPS_BEFORE - before, STEPS_AFTER))(joined)
    width = STEPS_BEFORE + 1 + STEPS_AFTER
    return layers.Conv1D(units, width, activation="relu")(joined)


def _embed_static(shapes: InputShapes, inputs: dict[str, Any]) -> list[Any]:
    parts = []
    if shapes.reals:
        inputs["reals"] = keras.Input((shapes.reals,), name="reals")
        parts.append(inputs["reals"])
    if shapes.cardinalities:
        codes = keras.Input((len(shapes.cardinalities),), dtype="int32", name="codes")
        inputs["codes"] = codes
        for column, count in enumerate(shapes.cardinalities):
            width = min(16, (count + 1) // 2)
            parts.append(layers.Embedding(count, width)(codes[:, column]))
    return parts

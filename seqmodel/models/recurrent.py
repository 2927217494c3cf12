"""LSTM, GRU and simple RNN over the lookback, a direct head for all steps of the horizon."""

from __future__ import annotations

from typing import Any

from keras import layers

from seqmodel.models.cells import make_recurrent
from seqmodel.models.inputs import (
    close_model,
    describe_series,
    make_inputs,
    make_tables,
    read_known,
    read_known_past,
    read_past,
)
from seqmodel.models.outputs import choose_head
from seqmodel.models.padding import TurnRows, blank_padding, find_present, mark_present
from seqmodel.models.protocol import InputShapes
from seqmodel.specs import ModelSpec, OutputSpec

#: Width of what the head is told about each step of the horizon by the lookback.
STEP_WIDTH = 16
#: Known features seen around a step of the horizon (steps).
STEPS_BEFORE, STEPS_AFTER = 3, 1


def build_recurrent(spec: ModelSpec, shapes: InputShapes, output: OutputSpec) -> Any:
    """Build the network.

    The lookback (N x L x F) is read by the recurrent layers to one state (N x units). From it each
    step of the horizon gets a summary of its own; beside it stand what is known about that step
    and what is constant in the series; two dense layers, shared by all steps, make the P raw
    numbers of it.

    Args:
        spec: kind, and every knob that this kind reads.
        shapes: of the inputs.
        output: whose head ends the network.

    Returns:
        A Keras model: dict of inputs -> N x H x P parameters of the output's head.
    """
    inputs, head = make_inputs(shapes), choose_head(output, shapes.classes)
    tables, width = make_tables(shapes.past_cardinalities, spec), spec.widths[-1]
    present = find_present(inputs, shapes)
    state = _read_lookback(read_past(inputs, shapes, spec, tables), spec, present)
    steps = layers.Dense(shapes.horizon * STEP_WIDTH, activation="tanh")(state)
    parts = [layers.Reshape((shapes.horizon, STEP_WIDTH))(steps)]
    parts.append(layers.RepeatVector(shapes.horizon)(state))
    known = read_known(inputs, shapes, spec, tables)
    if known is not None:
        before = min(STEPS_BEFORE, shapes.lookback)
        newest = read_known_past(inputs, shapes, before, tables)
        newest = blank_padding(newest, None if present is None else present[:, -before:])
        parts.append(_read_neighbours(newest, known, width))
    constants = describe_series(inputs, shapes, spec)
    parts += [layers.RepeatVector(shapes.horizon)(constant) for constant in constants]
    hidden = layers.Dense(width, activation="relu")(layers.Concatenate()(parts))
    hidden = layers.Dropout(spec.dropout)(hidden)
    hidden = layers.Dense(width, activation="relu")(hidden)
    # Float32 whatever the policy: half precision would round the parameters.
    raw = layers.Dense(head.width, dtype="float32")(hidden)
    if spec.skip and known is not None:
        raw = layers.Add(dtype="float32")([raw, _draw_straight(known, head.width)])
    return close_model(inputs, head.finish(raw, inputs["scale"]), spec.kind)


def _draw_straight(known: Any, width: int) -> Any:
    """Return a straight line of what is known about each step: at first it says nothing."""
    line = layers.Dense(width, use_bias=False, kernel_initializer="zeros", dtype="float32")
    return line(known)


def _read_lookback(rows: Any, spec: ModelSpec, present: Any | None) -> Any:
    """Return the N x units state after the last of the N x L x F rows."""
    for depth, units in enumerate(spec.widths):
        if depth:
            rows = layers.Dropout(spec.dropout)(rows)
        rows = _stack_layer(rows, units, spec, present, last=depth == len(spec.widths) - 1)
    return layers.Dropout(spec.dropout)(rows)


def _stack_layer(rows: Any, units: int, spec: ModelSpec, present: Any | None, *, last: bool) -> Any:
    def make() -> Any:
        return make_recurrent(
            spec.kind,
            units,
            return_sequences=not last,
            recurrent_dropout=spec.recurrent_dropout,
            kernel_l2=spec.kernel_l2,
            recurrent_l2=spec.recurrent_l2,
            use_bias=present is None,
        )

    marked = mark_present(rows, present)
    if not spec.bidirectional:
        found = make()(marked)
    elif present is None:
        found = layers.Bidirectional(make())(rows)
    else:
        # Keras's own would let the padding, which it reads last backwards, move the state.
        back = make()(TurnRows()(marked, present))
        found = layers.Concatenate()([make()(marked), back if last else TurnRows()(back, present)])
    if spec.layer_normalization:
        found = layers.LayerNormalization()(found)
    if spec.residual and rows.shape[-1] == found.shape[-1]:
        found = layers.Add()([found, rows[:, -1] if last else rows])
    return found


def _read_neighbours(before: Any, known: Any, width: int) -> Any:
    """Read what is known about each step together with the steps around it.

    What was due just before a step spills into it, what is due just after may come early. The
    known features are also in the lookback, so the steps before the first are there too.
    """
    missing = STEPS_BEFORE - before.shape[1]
    joined = layers.Concatenate(axis=1)([before, known])
    joined = layers.ZeroPadding1D((missing, STEPS_AFTER))(joined)
    return layers.Conv1D(width, STEPS_BEFORE + 1 + STEPS_AFTER, activation="relu")(joined)

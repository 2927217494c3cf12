"""An encoder over the lookback and a decoder over the horizon.

The decoder is fed with what is known of each step, its place and the series: never with a
forecast of its own, nor in training with the truth, so that what it meets in training is what it
meets in use, and no error is carried from step to step.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from seqmodel.models.cells import make_recurrent
from seqmodel.models.inputs import describe_series, read_known, read_past
from seqmodel.models.outputs import choose_head
from seqmodel.models.padding import find_present, mark_present
from seqmodel.models.protocol import InputShapes
from seqmodel.models.reading import choose_inputs
from seqmodel.models.segments import Positions
from seqmodel.specs import ModelSpec, OutputSpec


def build_seq2seq(spec: ModelSpec, shapes: InputShapes, output: OutputSpec) -> Any:
    """Build the network.

    Args:
        spec: units, layers, cell, attention, heads, embedding and dropout.
        shapes: of the inputs.
        output: what the network says about the target.

    Returns:
        A Keras model: dict of inputs -> N x H x P numbers of the output's head.
    """
    inputs = choose_inputs(spec, shapes, output)
    past, states = read_past(inputs, shapes, spec), []
    present = find_present(inputs, shapes)
    for layer, units in enumerate(spec.widths):
        if layer:
            past = layers.Dropout(spec.dropout)(past)
        encoder = make_recurrent(
            spec.cell,
            units,
            return_sequences=True,
            return_state=True,
            use_bias=present is None,
        )
        past, *state = encoder(mark_present(past, present))
        states.append(state)
    # Zeros of the first layer's width: where nothing else is known the places tell steps apart.
    future = _read_steps(ops.zeros_like(states[0][0]), spec, shapes, inputs)
    for layer, units in enumerate(spec.widths):
        if layer:
            future = layers.Dropout(spec.dropout)(future)
        decoder = make_recurrent(spec.cell, units, return_sequences=True)
        future = decoder(future, initial_state=states[layer])
    if spec.attention:
        future = _look_back(future, past, spec, present)
    future = layers.Dropout(spec.dropout)(future)
    hidden = layers.Dense(spec.widths[-1], activation="relu")(future)
    head = choose_head(output, shapes.classes)
    # Float32 whatever the policy: half precision would round the forecast.
    raw = layers.Dense(head.width, dtype="float32")(hidden)
    return keras.Model(inputs, head.finish(raw, inputs.get("scale")), name=spec.kind)


def _read_steps(nothing: Any, spec: ModelSpec, shapes: InputShapes, inputs: dict[str, Any]) -> Any:
    """Return N x H x d: place, series and what is known of each step, beside N x d nothing."""
    units, steps = nothing.shape[-1], ops.expand_dims(nothing, 1)
    known = read_known(inputs, shapes, spec)
    if known is not None:
        steps = layers.Dense(units, activation="relu")(known)
    series = describe_series(inputs, shapes, spec)
    if series:
        whole = layers.Concatenate()(series) if len(series) > 1 else series[0]
        steps = steps + ops.expand_dims(layers.Dense(units, use_bias=False)(whole), 1)
    return Positions(shapes.horizon)(steps)


def _look_back(future: Any, past: Any, spec: ModelSpec, present: Any | None) -> Any:
    """Return N x H x d steps beside what each finds in the N x L x d states of the lookback."""
    width = max(1, spec.widths[-1] // spec.heads)
    attend = layers.MultiHeadAttention(spec.heads, width, dropout=spec.dropout)
    # N x 1 x L: every step sees all rows that there are.
    seen = None if present is None else ops.transpose(present, (0, 2, 1)) > 0
    return layers.LayerNormalization()(future + attend(future, past, attention_mask=seen))

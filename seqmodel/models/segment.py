"""A GRU or LSTM over segments of the window, after SegRNN (arXiv 2308.11200).

A day is one step of the recurrence instead of 24, and the days of the horizon are all forecast at
once, each one step away from the state at the cutoff: faster by far than a cell an hour, and no
error is carried from step to step.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from seqmodel.models.padding import mark_present
from seqmodel.models.protocol import InputShapes
from seqmodel.models.reading import choose_inputs
from seqmodel.models.segments import Segments, cut_window, join_segments
from seqmodel.models.stepping_ahead import StepAhead
from seqmodel.specs import ModelSpec, OutputSpec


def build_segment(spec: ModelSpec, shapes: InputShapes, output: OutputSpec) -> Any:
    """Build the network.

    The tokens of the lookback's segments go through the recurrent layers; from the state that they
    leave, each future segment is one more step of the same layers, fed with its place, what is
    known about it, and what is known of the series.

    Args:
        spec: units, layers, cell, segment, normalise, gates, cycle, learn_cycle, embedding and
            dropout.
        shapes: of the inputs.
        output: what the network says about the target.

    Returns:
        A Keras model: dict of inputs -> N x H x P numbers of the output's head.
    """
    inputs = choose_inputs(spec, shapes, output)
    window = cut_window(spec, shapes, output, inputs)
    hidden = _step_into_the_horizon(spec, window)
    outputs = join_segments(hidden, window, spec, shapes, output, inputs)
    return keras.Model(inputs, outputs, name=spec.kind)


def _step_into_the_horizon(spec: ModelSpec, window: Segments) -> Any:
    """Return N x (H / w) x d hidden vectors of the future segments."""
    past, future = window.tokens, window.queries
    for layer, units in enumerate(spec.widths):
        if layer:
            past = layers.Dropout(spec.dropout)(past)
            future = layers.Dropout(spec.dropout)(future)
        deeper = layer + 1 < len(spec.widths)
        if window.present is None:
            past, future = StepAhead(spec.cell, units, deeper=deeper)(past, future)
            continue
        step = StepAhead(spec.cell, units, deeper=deeper, use_bias=False)
        there = ops.ones_like(future[:, :, :1])
        past, future = step(mark_present(past, window.present), mark_present(future, there))
    return future

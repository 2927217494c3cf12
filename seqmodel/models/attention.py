"""A small Transformer over segments of the window.

Segments as tokens, as PatchTST has them (arXiv 2211.14730); the segments of the horizon are tokens
beside them, all forecast at once.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from seqmodel.errors import SpecError
from seqmodel.models.protocol import InputShapes
from seqmodel.models.reading import choose_inputs
from seqmodel.models.segments import Positions, cut_window, join_segments
from seqmodel.specs import ModelSpec, OutputSpec

#: Width of the layer inside a block, in widths of the block.
INNER = 2


def build_attention(spec: ModelSpec, shapes: InputShapes, output: OutputSpec) -> Any:
    """Build the network.

    Args:
        spec: units, layers, heads, segment, normalise, gates, cycle, learn_cycle, embedding and
            dropout.
        shapes: of the inputs.
        output: what the network says about the target.

    Returns:
        A Keras model: dict of inputs -> N x H x P numbers of the output's head.

    Raises:
        SpecError: for layers of different widths: each adds to what the one before left.
    """
    if len(set(spec.widths)) > 1:
        raise SpecError(
            f"found model.units {list(spec.widths)} for kind 'attention', needed layers of one"
            " width; write one number, and model.layers"
        )
    inputs = choose_inputs(spec, shapes, output)
    window = cut_window(spec, shapes, output, inputs)
    tokens = Positions(window.tokens.shape[1])(window.tokens)
    # As many queries as windows, also where all windows have the same ones.
    queries = window.queries + ops.zeros_like(tokens[:, :1])
    hidden = layers.Concatenate(axis=1)([tokens, queries])
    seen = None
    if window.present is not None:
        # N x 1 x T: every token sees all segments that there are.
        asked = ops.ones_like(queries[:, :, :1])
        there = layers.Concatenate(axis=1)([window.present, asked])
        seen = ops.transpose(there, (0, 2, 1)) > 0
    for _ in spec.widths:
        hidden = _attend(hidden, spec, seen)
    future = layers.LayerNormalization()(hidden[:, tokens.shape[1] :])
    outputs = join_segments(future, window, spec, shapes, output, inputs)
    return keras.Model(inputs, outputs, name=spec.kind)


def _attend(hidden: Any, spec: ModelSpec, there: Any | None) -> Any:
    """Return N x T x d after one block, normalised before each part (arXiv 2002.04745)."""
    units = hidden.shape[-1]
    normal = layers.LayerNormalization()(hidden)
    width = max(1, units // spec.heads)
    attend = layers.MultiHeadAttention(spec.heads, width, dropout=spec.dropout)
    seen = attend(normal, normal, attention_mask=there)
    hidden = hidden + layers.Dropout(spec.dropout)(seen)
    inner = layers.Dense(INNER * units, activation="gelu")(layers.LayerNormalization()(hidden))
    return hidden + layers.Dropout(spec.dropout)(layers.Dense(units)(inner))

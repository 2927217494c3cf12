"""All networks: one line each. Keras is imported when one is built."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from seqmodel.models.protocol import Builder, InputShapes
from seqmodel.specs import ModelSpec

#: kind -> module and function that builds it.
MODELS = {
    "gru": "seqmodel.models.recurrent:build_recurrent",
    "lstm": "seqmodel.models.recurrent:build_recurrent",
    "rnn": "seqmodel.models.recurrent:build_recurrent",
}


def build_model(spec: ModelSpec, shapes: InputShapes, levels: tuple[float, ...]) -> Any:
    """Build the network that `spec.kind` names."""
    module, function = MODELS[spec.kind].split(":")
    builder: Builder = getattr(import_module(module), function)
    return builder(spec, shapes, levels)

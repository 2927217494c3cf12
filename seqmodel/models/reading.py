"""Which of the inputs a network declares."""

from __future__ import annotations

from typing import Any

from seqmodel.models.inputs import make_inputs
from seqmodel.models.protocol import InputShapes
from seqmodel.specs import ModelSpec, OutputSpec


def choose_inputs(spec: ModelSpec, shapes: InputShapes, output: OutputSpec) -> dict[str, Any]:
    """Return the inputs that are there and read: what a network does not read it does not ask."""
    read = {
        "series": spec.embedding > 0,
        "phase": spec.learn_cycle,
        "scale": output.kind == "negative_binomial",
    }
    return {name: found for name, found in make_inputs(shapes).items() if read.get(name, True)}

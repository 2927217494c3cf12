"""What the network says about each step of the horizon: one file a kind, one line each in HEADS.

Importing this registers every layer and loss that a stored network may name.
"""

from __future__ import annotations

from seqmodel.models.outputs.gaussian import GaussianHead
from seqmodel.models.outputs.head import Head
from seqmodel.models.outputs.negative_binomial import NegativeBinomialHead
from seqmodel.models.outputs.point import PointHead
from seqmodel.models.outputs.quantiles import AscendingQuantiles, PinballLoss, QuantileHead
from seqmodel.models.outputs.student_t import StudentTHead
from seqmodel.specs import OutputSpec

__all__ = ["HEADS", "AscendingQuantiles", "Head", "PinballLoss", "choose_head"]

HEADS: dict[str, type[Head]] = {
    "quantiles": QuantileHead,
    "point": PointHead,
    "gaussian": GaussianHead,
    "student_t": StudentTHead,
    "negative_binomial": NegativeBinomialHead,
}


def choose_head(output: OutputSpec) -> Head:
    """Return the head that `output.kind` names."""
    return HEADS[output.kind](output)

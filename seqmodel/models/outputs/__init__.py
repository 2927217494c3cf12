"""What the network says about each step of the horizon: one file a kind, one line each in HEADS.

A head makes numbers of what a network says without Keras; the layer it ends in and its loss are in
`seqmodel.models.endings`.
"""

from __future__ import annotations

from seqmodel.models.outputs.binary import BinaryHead
from seqmodel.models.outputs.categorical import CategoricalHead
from seqmodel.models.outputs.classes import ClassHead
from seqmodel.models.outputs.gaussian import GaussianHead
from seqmodel.models.outputs.head import Head
from seqmodel.models.outputs.negative_binomial import NegativeBinomialHead
from seqmodel.models.outputs.point import PointHead
from seqmodel.models.outputs.quantiles import QuantileHead
from seqmodel.models.outputs.student_t import StudentTHead
from seqmodel.specs import OutputSpec

__all__ = [
    "CLASS_HEADS",
    "HEADS",
    "ClassHead",
    "Head",
    "choose_head",
]

HEADS: dict[str, type[Head]] = {
    "quantiles": QuantileHead,
    "point": PointHead,
    "gaussian": GaussianHead,
    "student_t": StudentTHead,
    "negative_binomial": NegativeBinomialHead,
}

#: Heads of targets that are classes.
CLASS_HEADS: dict[str, type[ClassHead]] = {"binary": BinaryHead, "categorical": CategoricalHead}


def choose_head(output: OutputSpec, classes: int = 0) -> Head:
    """Return the head that `output.kind` names.

    Args:
        output: what the network says.
        classes: K, of a target that is a class.
    """
    if output.kind in CLASS_HEADS:
        return CLASS_HEADS[output.kind](output, classes)
    return HEADS[output.kind](output)

"""The Keras side of the heads: the layer a network ends in, and the loss it learns by.

A file for each of those in `seqmodel.models.outputs`. Importing this registers all that a stored
network may name; whoever only reads what a network said needs none of it.
"""

from __future__ import annotations

from seqmodel.models.endings.binary import BinaryLoss
from seqmodel.models.endings.categorical import CategoricalLoss
from seqmodel.models.endings.gaussian import GaussianLoss, LocationScale
from seqmodel.models.endings.negative_binomial import MeanDispersion, NegativeBinomialLoss
from seqmodel.models.endings.point import PointLoss
from seqmodel.models.endings.quantiles import AscendingQuantiles, PinballLoss
from seqmodel.models.endings.student_t import LocationScaleFreedom, StudentTLoss

__all__ = [
    "AscendingQuantiles",
    "BinaryLoss",
    "CategoricalLoss",
    "GaussianLoss",
    "LocationScale",
    "LocationScaleFreedom",
    "MeanDispersion",
    "NegativeBinomialLoss",
    "PinballLoss",
    "PointLoss",
    "StudentTLoss",
]

"""What a model builder is given, and the registry's promise; no Keras here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, final

from seqmodel.specs import ModelSpec


@final
@dataclass(frozen=True)
class InputShapes:
    """Sizes of the inputs.

    Attributes:
        lookback: L (steps).
        horizon: H (steps).
        features: F, features of a lookback row.
        known: K, features of a horizon row.
        reals: static reals.
        cardinalities: codes of each static category, 0 (unseen) included.
    """

    lookback: int
    horizon: int
    features: int
    known: int
    reals: int
    cardinalities: tuple[int, ...]


class Builder(Protocol):
    """Builds an uncompiled network of N x H x Q ascending outputs."""

    def __call__(self, spec: ModelSpec, shapes: InputShapes, levels: tuple[float, ...]) -> Any:
        """Return a Keras model."""
        ...

"""What windows are cut from: encoded rows, and the shape of the cut; numbers only."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, Self, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.specs import Scale

Floats32 = NDArray[np.float32]
Integers = NDArray[np.int64]


@final
@dataclass(frozen=True)
class Rows:
    """R encoded rows of S series, one contiguous block a series.

    Attributes:
        values: R x F features of a lookback row: target, observed, past ..., known ...; a missing
            number is 0, or NaN in the columns that a window's own scale is still to be applied to.
        codes: R x C categories: past ..., known ...; 0 where missing or never seen in training.
        target: R scaled targets, 0 where missing; empty where `values` has them unfilled. Of a
            target that is a class its number, -1 where missing or never seen in training.
        gap: R lengths of the filled gap so far, 0 outside of one; empty where nothing is filled.
        begins: S positions of the series' first rows.
        first: S grid numbers of the series' first rows.
        static: S x A real static covariates, scaled.
        static_codes: S x B static categories; 0 for one that was never seen in training.
        series_codes: S x 1 numbers of the series in training, from 1; 0 for the others.
        scale: S x 1 spreads of the target (target's unit, bent).
        location: S x 1 locations of the target (target's unit, bent).
    """

    values: Floats32
    codes: NDArray[np.int32]
    target: Floats32
    gap: NDArray[np.int32]
    begins: Integers
    first: Integers
    static: Floats32
    static_codes: NDArray[np.int32]
    series_codes: NDArray[np.int32]
    scale: Floats32
    location: Floats32

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, as they are stored."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        """Read what `arrays` returned, whatever else is there."""
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})


@final
@dataclass(frozen=True)
class Cut:
    """How a window is cut from rows, and which of their columns are what.

    Attributes:
        lookback: L (steps).
        horizon: H (steps).
        known: K, the last columns of `values`, known through the horizon.
        known_codes: D, the last columns of `codes`, known through the horizon.
        scale: of each window, measured on its own lookback.
        season: (steps).
        cycle: what the phase of a window counts in (steps).
        target_columns: columns of `values` in the target's scale, 0 among them.
        weigh: how much the errors of a window count.
        transform: curve that the target is bent by.
        in_target_unit: targets as whole numbers in the target's own unit, for counts.
        class_weights: K weights in the loss of a target that is a class, none of a number.
    """

    lookback: int
    horizon: int
    known: int = 0
    known_codes: int = 0
    scale: Scale = "none"
    season: int = 1
    cycle: int = 1
    target_columns: tuple[int, ...] = (0,)
    in_target_unit: bool = False
    weigh: Literal["even", "naive", "mixed"] = "even"
    transform: str = "none"
    class_weights: tuple[float, ...] = ()

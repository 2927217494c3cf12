"""Per-series standard scaling: statistics of training rows, exact inverse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: A spread below this share of the mean's size may be the rounding of the mean, not a signal.
FLAT = 1e-8


@final
@dataclass(frozen=True)
class Scaler:
    """Mean and standard deviation of S series for one column.

    Attributes:
        mean: S means (column's unit).
        spread: S standard deviations, never zero (column's unit).
    """

    mean: Floats
    spread: Floats

    @classmethod
    def fit(cls, values: Floats, series: NDArray[np.int32], count: int) -> Self:
        """Measure S series; NaN is left out.

        A series with no value gets the mean and spread of all the others; one that never changes
        gets the spread 1.

        Args:
            values: R values, NaN where missing.
            series: R series numbers.
            count: S.
        """
        seen = np.isfinite(values)
        values, series = values[seen], series[seen]
        rows = np.bincount(series, minlength=count)
        with np.errstate(invalid="ignore"):
            mean = np.bincount(series, values, count) / rows
            # Two passes: the one-pass formula loses all digits of a large mean.
            square = np.bincount(series, (values - mean[series]) ** 2, count) / rows
        spread = np.sqrt(square)
        known = rows > 0
        mean = np.where(known, mean, mean[known].mean() if known.any() else 0.0)
        spread = np.where(known, spread, spread[known].mean() if known.any() else 1.0)
        # Rounding is no unit; a real spread on top of a huge mean is one.
        flat = spread <= FLAT * np.abs(mean)
        return cls(mean=mean, spread=np.where(flat, np.maximum(spread, 1.0), spread))

    def transform(self, values: Floats, series: NDArray[np.int32]) -> Floats:
        """Scale R values of the numbered series."""
        return (values - self.mean[series]) / self.spread[series]

    def inverse(self, values: Floats, series: NDArray[np.int32]) -> Floats:
        """Undo `transform` for N x ... values of N numbered series."""
        shape = (-1, *(1,) * (values.ndim - 1))
        return values * self.spread[series].reshape(shape) + self.mean[series].reshape(shape)

    def take(self, positions: NDArray[np.int64], fallback: Scaler) -> Scaler:
        """Return the statistics of other series in another order.

        Args:
            positions: where each wanted series is here, -1 for one that was never seen.
            fallback: statistics of the wanted series themselves, used for the unseen.
        """
        if not len(self.mean):
            return fallback
        known = positions >= 0
        return Scaler(
            mean=np.where(known, self.mean[positions], fallback.mean),
            spread=np.where(known, self.spread[positions], fallback.spread),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the statistics as JSON; doubles survive it exactly."""
        return {"mean": self.mean.tolist(), "spread": self.spread.tolist()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Read what `to_json` returned."""
        return cls(
            mean=np.array(value["mean"], dtype=np.float64),
            spread=np.array(value["spread"], dtype=np.float64),
        )

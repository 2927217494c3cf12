"""The scale of each series: a curve, then location and spread of training rows; exact inverse.

       bend                       transform
y  ------------>  log1p(y)  ------------------->  (log1p(y) - location) / spread
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.quantiles import measure_quantiles
from seqmodel.specs import Scale

Floats = NDArray[np.float64]
Numbers = NDArray[np.integer[Any]]

#: A spread below this share of the location's size may be the rounding of it, not a signal.
FLAT = 1e-8
#: Interquartile range of a normal distribution in standard deviations.
IQR = 1.3489795003921634
#: Beyond this expm1 and sinh are infinite in double precision.
STEEPEST = 709.0


def choose_curve(transform: str, values: Floats) -> str:
    """Return the curve that `auto` stands for, given the target's training rows; others stay.

    A logarithm turns relative changes into steps of one size; where values change their sign it
    would tear the smallest ones apart instead.

    Args:
        transform: of `scaling.transform`.
        values: of the target, NaN where missing.
    """
    if transform != "auto":
        return transform
    seen = values[np.isfinite(values)]
    return "log1p" if seen.size and (seen >= 0).all() else "none"


def bend(values: Floats, transform: str) -> Floats:
    """Apply a curve of `scaling.transform`; all are odd, ascending and without bounds."""
    if transform == "log1p":
        return np.sign(values) * np.log1p(np.abs(values))
    return np.arcsinh(values) if transform == "asinh" else values


def unbend(values: Floats, transform: str) -> Floats:
    """Undo `bend`; what would overflow stays at the largest number."""
    if transform == "none":
        return values
    held = np.clip(values, -STEEPEST, STEEPEST)
    return np.sign(held) * np.expm1(np.abs(held)) if transform == "log1p" else np.sinh(held)


def steepen(values: Floats, transform: str) -> Floats:
    """Return the slope of `unbend`: how much the target moves with its bent value, 1 or more."""
    if transform == "none":
        return np.ones_like(values)
    held = np.clip(values, -STEEPEST, STEEPEST)
    return np.exp(np.abs(held)) if transform == "log1p" else np.cosh(held)


def _find_begins(series: Numbers, count: int) -> NDArray[np.int64]:
    """Return at which of N ascending numbers of series each of S series begins."""
    return np.searchsorted(series, np.arange(count, dtype=series.dtype))


def _average(values: Floats, begins: NDArray[np.int64]) -> Floats:
    """Return S means of N values series by series, NaN without any."""
    sizes = np.diff(begins, append=len(values))
    found, some = np.full(len(begins), np.nan), sizes > 0
    if some.any():
        found[some] = np.add.reduceat(values, begins[some]) / sizes[some]
    return found


@final
@dataclass(frozen=True)
class Grouped:
    """Observed values of S series, series by series.

    Attributes:
        values: observed values.
        series: number of the series of each.
        rows: position of each on the grid of all rows.
        count: S.
        season: (steps).
    """

    values: Floats
    series: Numbers
    rows: NDArray[np.int64]
    count: int
    season: int

    def mean(self, of: Floats) -> Floats:
        """Return S means of one number an observed value, NaN without any."""
        return _average(of, self._begins)

    @cached_property
    def _begins(self) -> NDArray[np.int64]:
        return _find_begins(self.series, self.count)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """S numbers of observed values."""
        return np.diff(self._begins, append=len(self.series))

    def find_pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return which values lie a season apart in one series: the later and the earlier one."""
        if self._is_complete:
            near = np.arange(max(len(self.rows) - self.season, 0))
            near = near[self.series[near] == self.series[near + self.season]]
            return near + self.season, near
        first = int(self.rows[0]) if len(self.rows) else 0
        # Where on the grid a value is, found by its place: a search would cost ten times as much.
        places = np.full(int(self.rows[-1]) - first + 1 if len(self.rows) else 0, -1)
        places[self.rows - first] = np.arange(len(self.rows))
        later = np.arange(np.searchsorted(self.rows, first + self.season), len(self.rows))
        earlier = places[self.rows[later] - first - self.season]
        pairs = (earlier >= 0) & (self.series[earlier] == self.series[later])
        return later[pairs], earlier[pairs]

    @cached_property
    def _is_complete(self) -> bool:
        """Whether no series has a hole between its first and its last value."""
        some = self.sizes > 0
        begins, sizes = self._begins[some], self.sizes[some]
        spans = self.rows[begins + sizes - 1] - self.rows[begins] + 1
        return bool((spans == sizes).all())

    @cached_property
    def standard(self) -> tuple[Floats, Floats]:
        """Mean and standard deviation."""
        mean = self.mean(self.values)
        # Two passes: the one-pass formula loses all digits of a large mean.
        return mean, np.sqrt(self.mean((self.values - np.repeat(mean, self.sizes)) ** 2))


def measure_standard(g: Grouped) -> tuple[Floats, Floats]:
    """Mean and standard deviation."""
    return g.standard


def measure_robust(g: Grouped) -> tuple[Floats, Floats]:
    """Median, and interquartile range in standard deviations of a normal distribution."""
    found = measure_quantiles(g.values, g.series, g.count, np.array([0.25, 0.5, 0.75]))
    return found[:, 1], (found[:, 2] - found[:, 0]) / IQR


def measure_mean_abs(g: Grouped) -> tuple[Floats, Floats]:
    """Zero and mean size: zeros stay zeros."""
    return np.zeros(g.count), g.mean(np.abs(g.values))


def measure_min_max(g: Grouped) -> tuple[Floats, Floats]:
    """Minimum and range."""
    found = measure_quantiles(g.values, g.series, g.count, np.array([0.0, 1.0]))
    return found[:, 0], found[:, 1] - found[:, 0]


def measure_last(g: Grouped) -> tuple[Floats, Floats]:
    """Newest value and standard deviation."""
    last = np.zeros(g.count)
    last[g.series] = g.values
    return last, measure_standard(g)[1]


def measure_seasonal(g: Grouped) -> tuple[Floats, Floats]:
    """Mean, and mean size of what changes within a season."""
    later, earlier = g.find_pairs()
    change = np.abs(g.values[later] - g.values[earlier])
    of = g.series[later]
    found = _average(change, _find_begins(of, g.count))
    mean, spread = measure_standard(g)
    return mean, np.where(np.isfinite(found), found, spread)


#: Name of a scale -> location and spread of each series.
SCALES: dict[Scale, Callable[[Grouped], tuple[Floats, Floats]]] = {
    "none": lambda g: (np.zeros(g.count), np.ones(g.count)),
    "standard": measure_standard,
    "robust": measure_robust,
    "mean_abs": measure_mean_abs,
    "min_max": measure_min_max,
    "last": measure_last,
    "seasonal": measure_seasonal,
}


@final
@dataclass(frozen=True)
class Scaler:
    """Location and spread of S series for one column.

    Attributes:
        location: S numbers (column's unit).
        spread: S numbers, never zero (column's unit).
    """

    location: Floats
    spread: Floats

    @classmethod
    def fit(
        cls,
        values: Floats,
        series: Numbers,
        count: int,
        scale: Scale = "standard",
        season: int = 1,
    ) -> Self:
        """Measure S series; what is not finite is left out.

        A series with no value gets the mean location and spread of all the others; one that never
        changes gets its standard deviation, or the spread 1 where that is zero as well.

        Args:
            values: R values on the grid, series by series, NaN where missing.
            series: R series numbers, ascending.
            count: S.
            scale: name in `SCALES`.
            season: (steps).
        """
        rows = np.flatnonzero(np.isfinite(values))
        grouped = Grouped(values[rows], series[rows], rows, count, season)
        location, spread = SCALES[scale](grouped)
        seen = grouped.sizes > 0
        if scale != "none":
            size = np.abs(measure_standard(grouped)[0])
            # Rounding is no unit; a real spread on top of a huge mean is one.
            for other in (measure_standard(grouped)[1], 1.0):
                flat = spread <= FLAT * size
                spread = np.where(flat, other, spread)
        location = np.where(seen, location, location[seen].mean() if seen.any() else 0.0)
        spread = np.where(seen, spread, spread[seen].mean() if seen.any() else 1.0)
        return cls(location=location, spread=np.where(spread > 0, spread, 1.0))

    def transform(self, values: Floats, lengths: NDArray[np.int64]) -> Floats:
        """Scale R values, series by series; S numbers of each one's."""
        return (values - np.repeat(self.location, lengths)) / np.repeat(self.spread, lengths)

    def inverse(self, values: Floats, series: Numbers) -> Floats:
        """Undo `transform` for N x ... values of N numbered series."""
        shape = (-1, *(1,) * (values.ndim - 1))
        return values * self.spread[series].reshape(shape) + self.location[series].reshape(shape)

    def choose(self, positions: Numbers) -> Scaler:
        """Return the statistics of some of the series."""
        return Scaler(location=self.location[positions], spread=self.spread[positions])

    def take(self, positions: NDArray[np.int64], fallback: Scaler) -> Scaler:
        """Return the statistics of other series in another order.

        Args:
            positions: where each wanted series is here, -1 for one that was never seen.
            fallback: statistics of the wanted series themselves, used for the unseen.
        """
        if not len(self.location):
            return fallback
        known = positions >= 0
        return Scaler(
            location=np.where(known, self.location[positions], fallback.location),
            spread=np.where(known, self.spread[positions], fallback.spread),
        )

    def average(self, own: Scaler, seen: NDArray[np.bool_]) -> Scaler:
        """Return S' statistics of other series, the mean of all here where none was seen."""
        if not len(self.location):
            return own
        return Scaler(
            location=np.where(seen, own.location, self.location.mean()),
            spread=np.where(seen, own.spread, self.spread.mean()),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the statistics as JSON; doubles survive it exactly."""
        return {"location": self.location.tolist(), "spread": self.spread.tolist()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Read what `to_json` returned."""
        return cls(
            location=np.array(value["location"], dtype=np.float64),
            spread=np.array(value["spread"], dtype=np.float64),
        )

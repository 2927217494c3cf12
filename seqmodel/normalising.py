"""The scale of each window, measured on its own lookback; exact inverse.

    lookback L                          horizon H
    x_1 ............. x_L  |  y_1 ............. y_H
    (x - past) / spread       (y - future) / spread

Location and spread come from observed steps of the lookback only, in the scale of the series. For
`seasonal` the location moves: it is the value a season before, and in the horizon the newest season
repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.scaling import IQR
from seqmodel.specs import Scale

Floats32 = NDArray[np.float32]

#: Least spread of a window in the scale of its series: a calm lookback is no reason to blow up
#: whatever comes after it.
LEAST_SPREAD = 0.01
#: A spread below this share of the values' size is the rounding of single precision.
FLAT = 1e-5


@final
@dataclass(frozen=True)
class Normaliser:
    """Location and spread of N windows.

    Attributes:
        past: N x L or N x 1, subtracted in the lookback.
        future: N x H or N x 1, subtracted in the horizon.
        spread: N x 1, never zero.
    """

    past: Floats32
    future: Floats32
    spread: Floats32

    @classmethod
    def measure(cls, scale: Scale, values: Floats32, horizon: int, season: int) -> Self:
        """Measure N windows.

        Args:
            scale: name in `WINDOW_SCALES`.
            values: N x L lookbacks, NaN where missing.
            horizon: H (steps).
            season: (steps).
        """
        if scale == "seasonal":
            past, future, spread = _measure_seasonal(values, horizon, season)
        else:
            seen = np.isfinite(values)
            location, spread = WINDOW_SCALES[scale](np.where(seen, values, 0.0), seen)
            past = future = location[:, None].astype(np.float32)
        size = np.nan_to_num(np.abs(values)).max(axis=1, initial=0.0)
        # A window that does not change keeps the scale of its series.
        calm = ~(spread > FLAT * size)
        spread = np.where(calm, 1.0, np.maximum(spread, LEAST_SPREAD))[:, None]
        return cls(past, future, spread.astype(np.float32))

    def take(self, part: slice) -> Normaliser:
        """Return those of some neighbouring windows."""
        return Normaliser(self.past[part], self.future[part], self.spread[part])

    def inverse(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Undo the scale of N x H x Q forecasts."""
        back: NDArray[np.float64] = values * self.spread[:, :, None] + self.future[:, :, None]
        return back


def _count(seen: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.asarray(np.maximum(seen.sum(axis=1), 1))


def _measure_standard(
    values: Floats32, seen: NDArray[np.bool_]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    mean = values.sum(axis=1) / _count(seen)
    square = (np.where(seen, values - mean[:, None], 0.0) ** 2).sum(axis=1) / _count(seen)
    return mean, np.sqrt(square)


def _measure_robust(
    values: Floats32, seen: NDArray[np.bool_]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    # Missing ones sort to the end; the quartiles lie among the first `count`.
    ordered = np.sort(np.where(seen, values, np.inf), axis=1)
    place = (_count(seen) - 1)[:, None] * np.array([0.25, 0.5, 0.75])
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, (_count(seen) - 1)[:, None])
    some = np.asarray(seen.any(axis=1))[:, None]
    below = np.where(some, np.take_along_axis(ordered, low, axis=1), 0.0)
    above = np.where(some, np.take_along_axis(ordered, high, axis=1), 0.0)
    found = below + (above - below) * (place - low)
    return found[:, 1], (found[:, 2] - found[:, 0]) / IQR


def _measure_mean_abs(
    values: Floats32, seen: NDArray[np.bool_]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    return np.zeros(len(values)), np.abs(values).sum(axis=1) / _count(seen)


def _measure_min_max(
    values: Floats32, seen: NDArray[np.bool_]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    low = np.where(seen, values, np.inf).min(axis=1)
    high = np.where(seen, values, -np.inf).max(axis=1)
    some = seen.any(axis=1)
    return np.where(some, low, 0.0), np.where(some, high, 0.0) - np.where(some, low, 0.0)


def _measure_last(
    values: Floats32, seen: NDArray[np.bool_]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    newest = seen.shape[1] - 1 - np.argmax(seen[:, ::-1], axis=1)
    return values[np.arange(len(values)), newest], np.ones(len(values))


#: Name of a scale -> location and spread of N lookbacks (0 where not seen) and what was seen.
WINDOW_SCALES: dict[
    Scale,
    Callable[[Floats32, NDArray[np.bool_]], tuple[NDArray[np.floating], NDArray[np.floating]]],
] = {
    "standard": _measure_standard,
    "robust": _measure_robust,
    "mean_abs": _measure_mean_abs,
    "min_max": _measure_min_max,
    "last": _measure_last,
}


def _measure_seasonal(
    values: Floats32, horizon: int, season: int
) -> tuple[Floats32, Floats32, NDArray[np.floating]]:
    """Return the value a season before each step, and the mean size of what changed since.

    Where no step a season before was observed, the newest before that, or after it at the
    beginning of the lookback, stands in.
    """
    lookback = values.shape[1]
    season = min(season, lookback)
    held = _hold(values)
    past = np.concatenate([held[:, :season], held[:, : lookback - season]], axis=1)
    newest = held[:, lookback - season :]
    future = np.tile(newest, (1, -(-horizon // season)))[:, :horizon]
    change = np.abs(values[:, season:] - values[:, : lookback - season])
    seen = np.isfinite(change)
    spread = np.where(seen, change, 0.0).sum(axis=1) / _count(seen)
    # Without one pair of observed steps a season apart, the lookback's deviation.
    observed = np.isfinite(values)
    deviation = _measure_standard(np.where(observed, values, 0.0), observed)[1]
    return past, future, np.where(seen.any(axis=1), spread, deviation)


def _hold(values: Floats32) -> Floats32:
    """Repeat the newest observed value over missing steps; the first one over those before it."""
    seen = np.isfinite(values)
    steps = np.arange(values.shape[1])
    newest = np.maximum.accumulate(np.where(seen, steps, -1), axis=1)
    newest = np.where(newest < 0, np.argmax(seen, axis=1)[:, None], newest)
    held = np.take_along_axis(values, newest, axis=1)
    return np.nan_to_num(held)

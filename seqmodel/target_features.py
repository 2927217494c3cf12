"""Covariates made from the target's own past; row r never looks after r."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Marks = NDArray[np.bool_]

#: Cells of a rolling block in memory at once.
CELLS = 1 << 22
#: Brings the logarithm of an age in steps to about 1.
AGE_UNIT = 10.0


def _mean(values: Floats, seen: Marks) -> Floats:
    mean: Floats = np.where(seen, values, 0.0).sum(axis=1) / seen.sum(axis=1)
    return mean


def _std(values: Floats, seen: Marks) -> Floats:
    away = np.where(seen, values - _mean(values, seen)[:, None], 0.0)
    return np.sqrt(_mean(away**2, seen))


def _min(values: Floats, seen: Marks) -> Floats:
    return np.asarray(np.where(seen, values, np.inf).min(axis=1))


def _max(values: Floats, seen: Marks) -> Floats:
    return np.asarray(np.where(seen, values, -np.inf).max(axis=1))


#: Name of a rolling statistic -> its value over each row of a block, given what was seen.
STATISTICS: dict[str, Callable[[Floats, Marks], Floats]] = {
    "mean": _mean,
    "std": _std,
    "min": _min,
    "max": _max,
}


def roll(values: Floats, begins: Integers, statistic: str, steps: int) -> Floats:
    """Return a statistic of the newest steps up to each row, NaN where none was observed.

    Each row is computed from its own steps alone, not from running sums: so it is the same number
    whatever came before, and whatever comes after.

    Args:
        values: R values, NaN where missing.
        begins: R positions of the first row of the row's series.
        statistic: name in `STATISTICS`.
        steps: newest steps, the row's own among them (steps).
    """
    rows = len(values)
    blocks = sliding_window_view(np.concatenate([np.full(steps - 1, np.nan), values]), steps)
    found = np.empty(rows)
    size = max(CELLS // steps, 1)
    for begin in range(0, rows, size):
        block = blocks[begin : begin + size]
        place = np.arange(begin, begin + len(block))
        own = np.arange(steps) >= steps - 1 - (place - begins[place])[:, None]
        seen = np.isfinite(block) & own
        with np.errstate(invalid="ignore"):
            measured = STATISTICS[statistic](block, seen)
        found[begin : begin + size] = np.where(seen.any(axis=1), measured, np.nan)
    return found


def shift(values: Floats, begins: Integers, lag: int) -> Floats:
    """Return the value `lag` steps before each row, NaN before the series' first row."""
    places = np.arange(len(values)) - lag
    found: Floats = np.where(places >= begins, values[np.maximum(places, 0)], np.nan)
    return found


def hold(values: Floats, begins: Integers, most: int | None = None) -> Floats:
    """Return the newest observed value up to each row, NaN before the first of its series.

    Args:
        values: R values, NaN where missing.
        begins: R positions of the first row of the row's series.
        most: age at which a value is too old to be held, by default none is (steps).
    """
    rows = np.arange(len(values))
    places = np.maximum.accumulate(np.where(np.isfinite(values), rows, -1))
    oldest = begins if most is None else np.maximum(begins, rows - most)
    found: Floats = np.where(places >= oldest, values[np.maximum(places, 0)], np.nan)
    return found


def measure_age(numbers: Integers, births: Integers) -> Floats:
    """Return the logarithm of the steps since a series began, about 1 for a long one.

    Args:
        numbers: R grid numbers.
        births: R grid numbers of the first observed step of the row's series.
    """
    age: Floats = np.log1p(np.maximum(numbers - births, 0)) / AGE_UNIT
    return age

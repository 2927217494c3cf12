"""What targets tell of each series, counted run by run."""

from __future__ import annotations

from typing import final

import numpy as np

from seqmodel.table.tally import Booleans, Figures, Floats, Integers, Runs

#: Squares of larger targets would overflow.
TAME = 1e150


@final
class Scale:
    """Counts what targets tell: extremes, moments, zeros, flat stretches."""

    WAYS = {  # noqa: RUF012 - never changed
        "nulls": np.add,
        "non_finite": np.add,
        "targets": np.add,
        "sum": np.add,
        "min": np.minimum,
        "max": np.maximum,
        "zeros": np.add,
        "flat": np.maximum,
    }

    def __init__(self) -> None:
        self.parts: list[tuple[Integers, Figures]] = []
        #: Rows, mean and squares about it of each run, for targets that can be squared.
        self.moments: list[tuple[Integers, Integers, Floats, Floats]] = []
        self._series, self._target, self._flat = -1, np.nan, 0

    def add(self, runs: Runs, targets: Floats, null: Booleans) -> None:
        """Count the rows of a batch; null targets are NaN."""
        finite = np.isfinite(targets)
        count = runs.add_up(finite)
        kept = np.where(finite, targets, 0.0)
        nulls = runs.add_up(null)
        figures = {
            "nulls": nulls,
            "targets": count,
            "non_finite": runs.lengths - nulls - count,
            "min": np.minimum.reduceat(np.where(finite, targets, np.inf), runs.starts),
            "max": np.maximum.reduceat(np.where(finite, targets, -np.inf), runs.starts),
            "zeros": runs.add_up(targets == 0),
            "flat": self._find_flat(runs, np.where(finite, targets, np.nan)),
        }
        with np.errstate(over="ignore"):
            figures["sum"] = runs.add_up(kept)
        self.parts.append((runs.series, figures))
        self._square(runs, kept, finite)

    def _square(self, runs: Runs, kept: Floats, finite: Booleans) -> None:
        tame = finite & (np.abs(kept) < TAME)
        kept = np.where(tame, kept, 0.0)
        count = runs.add_up(tame)
        mean = runs.add_up(kept) / np.maximum(count, 1)
        off = np.where(tame, kept - np.repeat(mean, runs.lengths), 0.0)
        self.moments.append((runs.series, count, mean, runs.add_up(off * off)))

    def _find_flat(self, runs: Runs, targets: Floats) -> Integers:
        """Return the longest stretch of one equal finite target that ends in each run."""
        with np.errstate(over="ignore"):
            new = np.diff(targets, prepend=self._target) != 0  # also where one of both is NaN
        new[runs.starts[1:]] = True
        if runs.series[0] != self._series:
            new[0] = True
        goes_on = not new[0]
        new[0] = True
        begins = np.flatnonzero(new)
        lengths = np.diff(begins, append=runs.rows)
        lengths[np.isnan(targets[begins])] = 0
        lengths[0] += self._flat if goes_on else 0
        self._series, self._target = int(runs.series[-1]), targets[-1]
        self._flat = int(lengths[-1])
        return np.maximum.reduceat(lengths, np.searchsorted(begins, runs.starts))

    def spread(self, series: int) -> Floats:
        """Return the standard deviation of each series' targets."""
        if not self.moments:
            return np.full(series, np.nan)
        numbers, count, mean, squares = (np.concatenate(x) for x in zip(*self.moments, strict=True))
        rows = np.bincount(numbers, count, series)
        with np.errstate(invalid="ignore"):
            centre = np.bincount(numbers, count * mean, series) / rows
            off = mean - centre[numbers]
            return np.sqrt(np.bincount(numbers, squares + count * off * off, series) / rows)

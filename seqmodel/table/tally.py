"""One pass over sorted rows that counts everything a series can be judged by, at memory speed.

    batch      |a a a a|a a b b|b b b c|      a series may run over any number of batches
    runs        ^^^^^^^ ^^^ ^^^ ^^^^^ ^       neighbouring rows of one series in one batch

Each counter gives some figures a run, remembers the row at the border, and joins the figures of a
series' runs at the end: sums are added, extremes compared. Numbers of series only grow.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqmodel.grid import Grid

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Figures = dict[str, NDArray[Any]]


class Disorder(Exception):  # noqa: N818 - it says what was found
    """The rows are not sorted by series and time, or lack one of them."""


@final
@dataclass(frozen=True)
class Runs:
    """Neighbouring rows of one series each.

    Attributes:
        series: number of the series (R runs).
        starts: first row of each run (R runs).
        rows: number of rows.
    """

    series: Integers
    starts: Integers
    rows: int

    @property
    def lengths(self) -> Integers:
        """Rows of each run."""
        return np.diff(self.starts, append=self.rows)

    def keep(self, mask: Booleans) -> Runs:
        """Return the runs of the rows that a mask keeps; a run that loses all rows is gone."""
        lengths = self.add_up(mask)
        left = lengths > 0
        ends = np.cumsum(lengths[left])
        starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
        return Runs(self.series[left], starts, int(ends[-1]) if len(ends) else 0)

    def add_up(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the sum of each run."""
        kind = np.int64 if values.dtype == np.bool_ else values.dtype
        return np.add.reduceat(values, self.starts, dtype=kind)


def join(parts: list[tuple[Integers, Figures]], ways: dict[str, Any], series: int) -> Figures:
    """Join the figures of runs into figures of series.

    Args:
        parts: numbers of series, and figures of each run.
        ways: the ufunc that joins a figure.
        series: number of series; one without a run gets NaN.
    """
    found: Figures = {name: np.full(series, np.nan) for name in ways}
    if not parts:
        return found
    numbers = np.concatenate([part for part, _ in parts])
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    for name, way in ways.items():
        values = np.concatenate([figures[name] for _, figures in parts])
        joined = way.reduceat(values, starts)
        if len(starts) == series:
            found[name] = joined
        else:
            found[name][numbers[starts]] = joined
    return found


@final
class Clock:
    """Counts what timestamps tell: edges, duplicates, gaps.

    Args:
        grid: of the table.
    """

    WAYS = {  # noqa: RUF012 - never changed
        "first": np.minimum,
        "last": np.maximum,
        "first_step": np.minimum,
        "last_step": np.maximum,
        "duplicates": np.add,
        "off_grid": np.add,
        "filled": np.add,
        "longest_gap": np.maximum,
    }

    def __init__(self, grid: Grid) -> None:
        self.parts: list[tuple[Integers, Figures]] = []
        self._grid = grid
        self._series, self._moment, self._step = -1, 0, 0

    def add(self, runs: Runs, moments: Integers) -> None:
        """Count the rows of a batch that have a timestamp.

        Raises:
            Disorder: if a row is older than the one before.
        """
        if not runs.rows:
            return
        steps = self._grid.number(moments)
        fresh = np.zeros(runs.rows, dtype=bool)
        fresh[runs.starts] = True
        fresh[0] = runs.series[0] != self._series
        later = np.diff(moments, prepend=self._moment)
        apart = np.diff(steps, prepend=self._step)
        later[fresh] = apart[fresh] = 1
        if (later < 0).any():
            raise Disorder
        held = self._grid.holds(moments) if self._grid.step is None else None
        off = ~held if held is not None else steps * (self._grid.step or 1) != moments
        ends = runs.starts + runs.lengths - 1
        figures = {
            "first": moments[runs.starts],
            "last": moments[ends],
            "first_step": steps[runs.starts],
            "last_step": steps[ends],
            "duplicates": runs.add_up(later == 0),
            "off_grid": runs.add_up(off),
            "filled": runs.add_up(apart != 0),
            "longest_gap": np.maximum(np.maximum.reduceat(apart, runs.starts) - 1, 0),
        }
        self.parts.append((runs.series, figures))
        self._series, self._moment, self._step = int(runs.series[-1]), moments[-1], steps[-1]


@final
class Cutter:
    """Cuts batches into runs and numbers the series.

    Args:
        strict: raise `Disorder` at ids that fall or are null.
    """

    def __init__(self, *, strict: bool) -> None:
        self.ids: list[str | None] = []
        self._strict = strict

    def cut(self, ids: pa.DictionaryArray) -> Runs:
        """Return the runs of a batch.

        Raises:
            Disorder: if the ids are not sorted.
        """
        codes = ids.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        starts = np.flatnonzero(np.diff(codes, prepend=codes[0] - 1))
        names = ids.take(pa.array(starts)).cast(pa.string()).to_pylist()
        numbers = np.empty(len(starts), dtype=np.int64)
        for i, name in enumerate(names):
            if not self.ids or name != self.ids[-1]:
                if self._strict and (name is None or (self.ids and name < self.ids[-1])):
                    raise Disorder
                self.ids.append(name)
            numbers[i] = len(self.ids) - 1
        # Two codes of a dictionary may mean one series.
        true = np.flatnonzero(np.diff(numbers, prepend=-1))
        return Runs(numbers[true], starts[true].astype(np.int64), len(codes))


def count_nulls(runs: Runs, column: pa.Array) -> NDArray[np.int64]:
    """Return the nulls of each run."""
    if not column.null_count:
        return np.zeros(len(runs.series), dtype=np.int64)
    return np.asarray(runs.add_up(column.is_null().to_numpy(zero_copy_only=False)))


def total(parts: Iterable[tuple[Integers, Integers]], series: int) -> Integers:
    """Add up counts of runs into counts of series."""
    found = np.zeros(series, dtype=np.int64)
    for numbers, counts in parts:
        found[numbers] += counts
    return found

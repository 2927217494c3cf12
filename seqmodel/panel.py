"""The panel: rows sorted, unique and on the grid, one contiguous block a series.

series a   |#####.####|hhhh|          # observed, . missing, h known covariates only
series b       |######|hhhh|
series c         |##____|hhhh|          _ missing: the series ended early
                    cutoff   cutoff + horizon
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.errors import DataError
from seqmodel.grid import Grid
from seqmodel.static import Earlier

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
#: Of an event that nobody knows when it will be.
NO_MOMENT = np.iinfo(np.int64).min


@final
@dataclass(frozen=True)
class Labels:
    """A categorical column.

    Attributes:
        codes: R positions in `names`, -1 where missing.
        names: the categories.
    """

    codes: NDArray[np.int32]
    names: tuple[str, ...]


@final
@dataclass(frozen=True)
class Panel:
    """S series on one grid, all ending `horizon` steps after one cutoff.

    Attributes:
        grid: the grid.
        ids: S series ids, ascending.
        first: S grid numbers of the first rows.
        offsets: S + 1 positions; rows of series s are `offsets[s]:offsets[s + 1]`.
        cutoff: grid number of the last step of history.
        horizon: rows each series has after the cutoff, with known covariates only (steps).
        values: target, real past and known covariates, R rows each, NaN where missing.
        labels: categorical past and known covariates, R rows each.
        static: S values for each static covariate at the cutoff, numbers or strings.
        earlier: what those static covariates were before that changed.
        moments: of events, R timestamps (microseconds UTC), NO_MOMENT where none is known; None
            on a grid.
    """

    grid: Grid
    ids: list[str]
    first: Integers
    offsets: Integers
    cutoff: int
    horizon: int
    values: dict[str, Floats]
    labels: dict[str, Labels]
    static: dict[str, NDArray[Any]]
    earlier: dict[str, Earlier] = field(default_factory=dict)
    moments: Integers | None = None

    def __post_init__(self) -> None:
        ascending = all(a < b for a, b in zip(self.ids, self.ids[1:], strict=False))
        lengths = np.diff(self.offsets)
        fits = np.array_equal(self.first + lengths, np.full(len(self.ids), self.end))
        if not ascending or not fits or self.offsets[0] != 0:
            raise DataError(
                "found rows that are not sorted, unique and on one grid, needed a panel; build it"
                " with build_panel"
            )

    @property
    def end(self) -> int:
        """Grid number after the last row of every series."""
        return self.cutoff + self.horizon + 1

    @property
    def rows(self) -> int:
        """R, rows of all series."""
        return int(self.offsets[-1])

    @property
    def lengths(self) -> Integers:
        """S numbers of rows."""
        return np.asarray(np.diff(self.offsets))

    @cached_property
    def series_of_row(self) -> NDArray[np.int32]:
        """R numbers of the series each row belongs to."""
        return self.spread(np.arange(len(self.ids), dtype=np.int32))

    @cached_property
    def number_of_row(self) -> Integers:
        """R grid numbers."""
        starts = self.spread(self.offsets[:-1] - self.first)
        return np.asarray(np.arange(self.rows, dtype=np.int64) - starts)

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return R values, of each row that of its series: S are given."""
        # An eighth of the time of a look-up by `series_of_row`.
        return np.repeat(values, self.lengths)

    def static_at(self, number: int | Integers) -> dict[str, NDArray[Any]]:
        """Return S values for each static covariate as known at a number, or at S numbers.

        A series that begins later has its first value.
        """
        found = dict(self.static)
        for name, earlier in self.earlier.items():
            found[name] = earlier.put(found[name], number)
        return found

    def changes_after(self, number: int) -> NDArray[np.bool_]:
        """Mark those of S series with a static covariate that changes after a grid number."""
        marks = np.zeros(len(self.ids), dtype=bool)
        for earlier in self.earlier.values():
            marks[earlier.series[earlier.ends > number]] = True
        return marks

    @property
    def seen(self) -> NDArray[np.bool_]:
        """R marks of the rows whose target was observed."""
        if "target" in self.labels:
            return self.labels["target"].codes >= 0
        return np.isfinite(self.values["target"])

    def when(self, rows: Integers) -> Integers:
        """Return the timestamps of some rows (microseconds UTC)."""
        if self.moments is not None:
            return self.moments[rows]
        return self.grid.moment(self.number_of_row[rows])

    def until(self, number: int | Integers) -> NDArray[np.bool_]:
        """Mark the R rows up to a number, or up to S numbers, one for each series."""
        last = number if np.ndim(number) == 0 else self.spread(np.asarray(number))
        marks: NDArray[np.bool_] = self.number_of_row <= last
        return marks

    def number_at(self, moment: int) -> Integers:
        """Return the S numbers of the last row of each series at or before a moment.

        Args:
            moment: (microseconds UTC).
        """
        if self.moments is None:
            return np.full(len(self.ids), self.grid.number(np.array([moment]))[0])
        over = (self.moments <= moment) & (self.number_of_row <= self.cutoff)
        counts = np.bincount(self.series_of_row[over], minlength=len(self.ids))
        return self.first + counts - 1

    def take(self, series: Integers) -> Panel:
        """Return the panel of some series, ascending."""
        lengths = np.diff(self.offsets)[series]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
        rows = np.repeat(self.offsets[:-1][series], lengths) + within
        return Panel(
            grid=self.grid,
            ids=[self.ids[s] for s in series],
            first=self.first[series],
            offsets=offsets,
            cutoff=self.cutoff,
            horizon=self.horizon,
            values={name: values[rows] for name, values in self.values.items()},
            labels={n: Labels(one.codes[rows], one.names) for n, one in self.labels.items()},
            static={name: values[series] for name, values in self.static.items()},
            earlier={name: earlier.take(series) for name, earlier in self.earlier.items()},
            moments=None if self.moments is None else self.moments[rows],
        )

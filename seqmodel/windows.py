"""Windows over one contiguous array of rows, as an index of runs.

    rows of a series       |--------------------------------------------------|
    window at start i            |---- lookback L ----|-- horizon H --|
                                 i                i+L-1 = cutoff
    short history      |____-----|-- horizon H --|        _ no rows: zeros, flagged as not observed

Windows are never materialised, nor is the list of them: the index holds a run of neighbouring
windows in three numbers, and only the batch in hand exists.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

#: Entries of a table of runs, for each of them.
RUNS_IN_TABLE = 4
#: Ends of runs among the positions of an entry from which on a search is quicker.
MOST_ENDS = 3


@final
@dataclass(frozen=True)
class Windows:
    """N windows by where they begin.

    Attributes:
        starts: N positions of the first lookback row; before the series' first row where its
            history is short.
        series: N numbers of the series.
    """

    starts: Integers
    series: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, positions: Integers | slice) -> Windows:
        """Return some of the windows, in the order given."""
        return Windows(self.starts[positions], self.series[positions])


@final
@dataclass(frozen=True)
class WindowIndex:
    """N windows as I runs of neighbours: its size depends on the series, not on the rows.

    Attributes:
        starts: I positions where the first window of a run begins.
        counts: I numbers of windows in a run, one at least.
        series: I numbers of the series.
        stride: distance between the windows of a run (steps).
    """

    starts: Integers
    counts: Integers
    series: NDArray[np.int32]
    stride: int

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    @cached_property
    def _ends(self) -> Integers:
        return np.cumsum(self.counts)

    def take(self, positions: Integers) -> Windows:
        """Return the windows at some positions, in the order given."""
        runs = self._find_runs(positions)
        within = positions - (self._ends[runs] - self.counts[runs])
        return Windows(self.starts[runs] + within * self.stride, self.series[runs])

    def _find_runs(self, positions: Integers) -> Integers:
        """Return the runs that some positions are in."""
        table, shift, most = self._table
        if most > MOST_ENDS:
            found: Integers = np.searchsorted(self._ends, positions, side="right")
            return found
        runs: Integers = table[positions >> shift]
        for _ in range(most):
            runs += self._ends[runs] <= positions
        return runs

    @cached_property
    def _table(self) -> tuple[Integers, int, int]:
        """The first run of each 2^shift positions, shift, and the ends that these have at most.

        A look-up takes a fifth of the time of a search.
        """
        shift = max(int(len(self) // (RUNS_IN_TABLE * len(self._ends) or 1)).bit_length() - 1, 0)
        begins = np.arange(0, len(self), 1 << shift)
        table = np.searchsorted(self._ends, begins, side="right")
        ends = np.diff(table, append=len(self._ends) - 1)
        return table, shift, int(ends.max(initial=0))

    def all(self) -> Windows:
        """Return every window: for few."""
        return self.take(np.arange(len(self)))

    def spread(self, most: int) -> Windows:
        """Return at most `most` windows, evenly spaced over all."""
        if len(self) <= most:
            return self.all()
        return self.take(np.linspace(0, len(self) - 1, most).round().astype(np.int64))

    def split(self, most: int) -> Iterator[WindowIndex]:
        """Yield the windows in parts of whole runs, about `most` windows each."""
        part = self._ends // most
        for runs in np.split(np.arange(len(part)), np.flatnonzero(np.diff(part)) + 1):
            yield WindowIndex(self.starts[runs], self.counts[runs], self.series[runs], self.stride)

    @classmethod
    def join(cls, parts: Sequence[WindowIndex], stride: int) -> Self:
        """Return the windows of several indexes of one stride."""
        empty = [np.zeros(0, dtype=np.int64)]
        starts = np.concatenate([*(p.starts for p in parts), *empty])
        counts = np.concatenate([*(p.counts for p in parts), *empty])
        series = np.concatenate([*(p.series for p in parts), *empty]).astype(np.int32)
        return cls(starts, counts, series, stride)

    def choose(self, runs: NDArray[np.bool_]) -> WindowIndex:
        """Return the marked ones of the I runs."""
        return WindowIndex(self.starts[runs], self.counts[runs], self.series[runs], self.stride)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the index as arrays, as it is stored."""
        return {
            "starts": self.starts,
            "counts": self.counts,
            "series": self.series,
            "stride": np.array([self.stride]),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], name: str) -> Self:
        """Read what `arrays` returned, each stored under `<name>_`."""
        return cls(
            starts=arrays[f"{name}_starts"],
            counts=arrays[f"{name}_counts"],
            series=arrays[f"{name}_series"],
            stride=int(arrays[f"{name}_stride"][0]),
        )

    def keep(self, useful: NDArray[np.bool_]) -> WindowIndex:
        """Return the windows marked as useful, N marks in order: what lies between splits a run."""
        before = np.concatenate([[False], useful[:-1]])
        first = np.zeros(len(useful), dtype=bool)
        first[self._ends - self.counts] = True
        begins = np.flatnonzero(useful & (first | ~before))
        stops = np.flatnonzero(useful & np.concatenate([(first | ~useful)[1:], [True]]))
        windows = self.take(begins)
        return WindowIndex(windows.starts, stops - begins + 1, windows.series, self.stride)


def index_windows(
    first: Integers,
    offsets: Integers,
    lookback: int,
    horizon: int,
    *,
    after: int | Integers,
    until: int | Integers,
    stride: int = 1,
    least: int | None = None,
) -> WindowIndex:
    """List the windows whose targets all lie in `after < step <= until`.

    Windows are aligned to the newest possible one, so that a stride leaves out old ones first.

    Args:
        first: S grid numbers of the first rows.
        offsets: S + 1 positions of the series in the row array.
        lookback: L (steps).
        horizon: H (steps).
        after: grid number, or S of them; the cutoff of a window is this or later.
        until: grid number of the last target allowed, or S of them.
        stride: distance between windows (steps).
        least: rows of history a window has at least, the others are padded; by default L (steps).
    """
    lengths = np.diff(offsets)
    newest = np.minimum(until, first + lengths - 1) - horizon
    oldest = np.maximum(first + (least or lookback) - 1, after)
    # Align all series to `until - horizon`, also those that end earlier.
    newest -= (newest - (until - horizon)) % stride
    counts = np.maximum((newest - oldest) // stride + 1, 0)
    starts = offsets[:-1] + newest - (counts - 1) * stride - lookback + 1 - first
    some = np.flatnonzero(counts)
    return WindowIndex(starts[some], counts[some], some.astype(np.int32), stride)


def index_cutoffs(
    first: Integers,
    offsets: Integers,
    lookback: int,
    cutoffs: Integers,
    least: int = 1,
) -> Windows:
    """List one window for each series and cutoff, series by series within a cutoff.

    Series with less than `least` rows of history at a cutoff are left out there.
    """
    numbers = cutoffs[:, None] - first[None, :]  # cutoffs x S, position of the cutoff in a series
    inside = numbers >= least - 1
    series = np.broadcast_to(np.arange(len(first), dtype=np.int32), numbers.shape)
    starts = offsets[:-1] + numbers - lookback + 1
    return Windows(starts[inside], series[inside].copy())

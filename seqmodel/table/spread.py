"""How far targets stray: the share of outliers of each series, and a sample of the whole table.

An outlier is further from its series' median than 5 robust spreads; the robust spread is the
median distance from the median, times 1.4826 (a standard deviation, were the targets normal). A
series whose spread is zero, as when most of it is one value, has no outliers by that measure.

Up to 131,072 targets a series the share is exact; of longer ones a regular sample of at least half
as many is looked at. Which rows are sampled follows from their number alone (multiples of the
golden ratio, which fall in step with no season), so that the same table gives the same figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.table.tally import Floats, Integers, Runs

FAR = 5 * 1.4826
#: Most targets of a series, and of the table, that are kept at a time.
SAMPLE = 131_072
#: Series of fewer targets are sorted all at once: a call for each would cost more than the work.
FEW = 256
GOLDEN = np.uint64(11_400_714_819_323_198_485)
ALL = 2**64 - 1

Keys = NDArray[np.uint64]


@final
class Sampler:
    """Keeps an even share of a stream of targets, halved whenever it grows too long.

    Attributes:
        values: targets kept.
        keys: of their rows, in no order.
        limit: greatest key that is kept.
    """

    def __init__(self) -> None:
        self.values: Floats = np.empty(0)
        self.keys: Keys = np.empty(0, dtype=np.uint64)
        self.limit = ALL

    def add(self, values: Floats, keys: Keys) -> None:
        """Add targets with the keys of their rows."""
        if self.limit < ALL:
            chosen = keys <= np.uint64(self.limit)
            values, keys = values[chosen], keys[chosen]
        self.values = np.concatenate([self.values, values])
        self.keys = np.concatenate([self.keys, keys])
        while len(self.values) > SAMPLE:
            self.limit //= 2
            chosen = self.keys <= np.uint64(self.limit)
            self.values, self.keys = self.values[chosen], self.keys[chosen]

    @classmethod
    def join(cls, samplers: Sequence[Self]) -> Self:
        """Return the sample of several streams: an even share of all."""
        found = cls()
        found.limit = min((one.limit for one in samplers), default=ALL)
        for one in samplers:
            found.add(one.values, one.keys)
        return found

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what it keeps as arrays."""
        limit = np.array([self.limit], dtype=np.uint64)
        return {"values": self.values, "keys": self.keys, "limit": limit}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read what `arrays` returned."""
        found = cls()
        found.values, found.keys = arrays["values"], arrays["keys"]
        found.limit = int(arrays["limit"][0])
        return found


@final
class Spread:
    """Counts outliers series by series.

    Attributes:
        sample: of all finite targets of the table.
    """

    def __init__(self) -> None:
        self.sample = Sampler()
        self._row = 0
        self._open, self._series = Sampler(), -1
        self._found: list[tuple[Integers, Floats]] = []

    def add(self, runs: Runs, targets: Floats) -> None:
        """Take the finite targets of a batch."""
        if not runs.rows:
            return
        with np.errstate(over="ignore"):
            keys = np.arange(self._row, self._row + runs.rows, dtype=np.uint64) * GOLDEN
        self._row += runs.rows
        self.sample.add(targets, keys)
        begin = 0
        if runs.series[0] == self._series:
            begin = int(runs.lengths[0])
            self._open.add(targets[:begin], keys[:begin])
            if len(runs.series) == 1:
                return
        self._close()
        # The last series may go on in the next batch; those between are complete.
        last = int(runs.starts[-1])
        first = int(begin > 0)
        if len(runs.series) - 1 > first:
            lengths = runs.lengths[first:-1]
            self._found.append((runs.series[first:-1], count_far(targets[begin:last], lengths)))
        self._open, self._series = Sampler(), int(runs.series[-1])
        self._open.add(targets[last:], keys[last:])

    def _close(self) -> None:
        if self._series >= 0:
            values = self._open.values
            share = count_far(values, np.array([len(values)]))
            self._found.append((np.array([self._series]), share))
            self._series = -1

    def share(self, series: int) -> Floats:
        """Return the share of outliers of each series, NaN without a finite target."""
        self._close()
        found = np.full(series, np.nan)
        for numbers, shares in self._found:
            found[numbers] = shares
        return found


def count_far(values: Floats, lengths: Integers) -> Floats:
    """Return the share of outliers in each of several series.

    Args:
        values: finite targets, series after series.
        lengths: number of targets of each series, at least one.
    """
    share = np.zeros(len(lengths))
    ends = np.cumsum(lengths)
    for i in np.flatnonzero(lengths >= FEW):
        mine = values[ends[i] - lengths[i] : ends[i]]
        with np.errstate(over="ignore"):
            off = np.abs(mine - np.median(mine))
        share[i] = _measure(off, float(np.median(off)))
    few = lengths < FEW
    if few.any():
        small = lengths[few]
        mine = values[np.repeat(few, lengths)]
        with np.errstate(over="ignore", invalid="ignore"):
            off = np.abs(mine - np.repeat(_find_medians(mine, small), small))
            spread = np.repeat(_find_medians(off, small), small)
            far = (off > FAR * spread) & (spread > 0)
        starts = np.cumsum(small) - small
        share[few] = np.add.reduceat(far, starts, dtype=np.int64) / small
    return share


def _measure(off: Floats, spread: float) -> float:
    return float(np.count_nonzero(off > FAR * spread) / len(off)) if spread > 0 else 0.0


def _find_medians(values: Floats, lengths: Integers) -> Floats:
    ranked = values[np.lexsort((values, np.repeat(np.arange(len(lengths)), lengths)))]
    starts = np.cumsum(lengths) - lengths
    lower, upper = ranked[starts + (lengths - 1) // 2], ranked[starts + lengths // 2]
    return np.asarray(0.5 * lower + 0.5 * upper)

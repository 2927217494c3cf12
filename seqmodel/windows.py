"""Windows over one contiguous array of rows: an index of starts, and a gather a batch.

    rows of a series   |--------------------------------------------------|
    window at start i        |---- lookback L ----|-- horizon H --|
                             i                i+L-1 = cutoff

Windows are never materialised: only the batch in hand exists.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from seqmodel.features import Rows

Integers = NDArray[np.int64]
Inputs = dict[str, NDArray[np.float32] | NDArray[np.int32]]


@final
@dataclass(frozen=True)
class WindowIndex:
    """N windows by where they begin.

    Attributes:
        starts: N positions of the first lookback row.
        series: N numbers of the series.
    """

    starts: Integers
    series: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, positions: Integers) -> WindowIndex:
        """Return some of the windows, in the order given."""
        return WindowIndex(self.starts[positions], self.series[positions])

    def spread(self, most: int) -> WindowIndex:
        """Return at most `most` windows, evenly spaced over all."""
        if len(self) <= most:
            return self
        return self.take(np.linspace(0, len(self) - 1, most).round().astype(np.int64))


def index_windows(
    first: Integers,
    offsets: Integers,
    lookback: int,
    horizon: int,
    *,
    after: int,
    until: int,
    stride: int = 1,
) -> WindowIndex:
    """List the windows whose targets all lie in `after < step <= until`.

    Windows are aligned to the newest possible one, so that a stride leaves out old ones first.

    Args:
        first: S grid numbers of the first rows.
        offsets: S + 1 positions of the series in the row array.
        lookback: L (steps).
        horizon: H (steps).
        after: grid number; the cutoff of a window is this or later.
        until: grid number of the last target allowed.
        stride: distance between windows (steps).
    """
    lengths = np.diff(offsets)
    newest = np.minimum(until, first + lengths - 1) - horizon
    oldest = np.maximum(first + lookback - 1, after)
    # Align all series to `until - horizon`, also those that end earlier.
    newest -= (newest - (until - horizon)) % stride
    counts = np.maximum((newest - oldest) // stride + 1, 0)
    series = np.repeat(np.arange(len(first), dtype=np.int32), counts)
    within = np.arange(len(series)) - np.repeat(np.cumsum(counts) - counts, counts)
    cutoffs = (newest - (counts - 1) * stride)[series] + within * stride
    starts = offsets[:-1][series] + cutoffs - lookback + 1 - first[series]
    return WindowIndex(starts.astype(np.int64), series)


def index_cutoffs(
    first: Integers, offsets: Integers, lookback: int, cutoffs: Integers
) -> WindowIndex:
    """List one window for each series and cutoff, series by series within a cutoff.

    Series whose first row comes after the beginning of the lookback are left out at that cutoff.
    """
    begins = cutoffs[:, None] - lookback + 1 - first[None, :]  # cutoffs x S
    inside = begins >= 0
    series = np.broadcast_to(np.arange(len(first), dtype=np.int32), begins.shape)
    return WindowIndex((offsets[:-1] + begins)[inside], series[inside].copy())


@final
class WindowReader:
    """Gathers batches of windows from rows.

    Args:
        rows: encoded rows.
        lookback: L (steps).
        horizon: H (steps).
    """

    def __init__(self, rows: Rows, lookback: int, horizon: int) -> None:
        self.rows = rows
        self.lookback, self.horizon = lookback, horizon
        self._past = _flatten(rows.past, lookback)
        self._known = _flatten(rows.known, horizon)
        self._target = _flatten(rows.target[:, None], horizon)
        self._weight = _flatten(rows.weight[:, None], horizon)

    def inputs(self, index: WindowIndex) -> Inputs:
        """Gather what the network reads.

        Returns:
            `past` N x L x F, `known` N x H x K, `reals` N x ..., `codes` N x ...; inputs without
            a single feature are left out.
        """
        count = len(index)
        after = index.starts + self.lookback
        found: Inputs = {
            "past": self._past[index.starts].reshape(count, self.lookback, self.rows.past.shape[1]),
            "known": self._known[after].reshape(count, self.horizon, self.rows.known.shape[1]),
            "reals": self.rows.reals[index.series],
            "codes": self.rows.codes[index.series],
        }
        return {name: array for name, array in found.items() if array.shape[-1]}

    def targets(self, index: WindowIndex) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Gather scaled targets and their weights, N x H each."""
        after = index.starts + self.lookback
        return self._target[after], self._weight[after]


def _flatten(rows: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    """View R x F rows as every run of `steps` of them: (R - steps + 1) x (steps * F), no copy."""
    rows = np.ascontiguousarray(rows)
    count = max(rows.shape[0] - steps + 1, 0)
    shape = (count, steps * rows.shape[1])
    return as_strided(rows, shape, (rows.strides[0], rows.itemsize), writeable=False)


def shuffle_batches(
    count: int, batch_size: int, seed: int, epoch: int, most: int | None = None
) -> Iterator[Integers]:
    """Yield the positions of one epoch's training batches, all of one size.

    The order depends on seed and epoch only. What does not fill a batch waits for another epoch's
    order; fewer windows than one batch are repeated to fill it.

    Args:
        count: N.
        batch_size: windows a batch.
        seed: of the run.
        epoch: number of the epoch.
        most: windows drawn at most.
    """
    order = np.random.default_rng((seed, epoch)).permutation(count)
    if most is not None:
        order = order[: max(most, batch_size)]
    if count < batch_size:
        order = np.resize(order, batch_size)
    for begin in range(0, len(order) - batch_size + 1, batch_size):
        yield order[begin : begin + batch_size]


def pad_batches(count: int, batch_size: int) -> Iterator[tuple[Integers, int]]:
    """Yield positions in order, the last batch filled up with its last window, and how many count.

    One shape of batch means one compilation.
    """
    for begin in range(0, count, batch_size):
        end = min(begin + batch_size, count)
        positions = np.minimum(np.arange(begin, begin + batch_size), end - 1)
        yield positions, end - begin

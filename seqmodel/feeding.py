"""Batches for training: shuffled, of one shape, gathered while the network is busy, resumable.

epoch e:  position 0 | 1 | 2 | ... | steps - 1        each a batch of `batch_size` windows
                       ^ a run that was killed goes on here, with the same windows
gathered: |---- a load ----|---- a load ----|         several batches at once
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from itertools import islice
from typing import final

import numpy as np
from numpy.typing import NDArray

from seqmodel.errors import DataError
from seqmodel.gathering import Batch, WindowReader
from seqmodel.shuffling import Permutation, scramble
from seqmodel.specs import TrainSpec
from seqmodel.windows import WindowIndex, Windows

Integers = NDArray[np.int64]

#: Loads gathered ahead of the network, by another thread: numpy copies without the interpreter.
AHEAD = 2
#: Size of a load (bytes): handing it over takes less time by far than gathering it.
LOAD = 6 << 20
#: Positions shuffled at once: one batch alone would cost more in calls than in work.
SHUFFLED = 16_384


@final
class Feeder:
    """The training windows of each epoch, in an order that seed, epoch and position determine.

    What does not fill a batch waits for another epoch's order; fewer windows than one batch are
    repeated to fill it.

    Args:
        reader: gathers the windows.
        index: training windows.
        train: batch size, seed, sampling, recency and windows per epoch count.

    Raises:
        DataError: if there is no window.
    """

    def __init__(self, reader: WindowReader, index: WindowIndex, train: TrainSpec) -> None:
        if not len(index):
            raise DataError(
                "found no window to train on, needed one at least; shorten window.lookback or"
                " window.horizon, or bring a longer history"
            )
        self.reader, self.index, self.train = reader, index, train
        self._series = np.unique(index.series) if train.sampling == "balanced" else None
        self._newest = self._find_newest() if train.half_life else 0

    @property
    def count(self) -> int:
        """Windows of an epoch, before those are left out that fill no batch."""
        count = len(self.index)
        if self._series is not None:
            count = len(self._series) * -(-count // len(self._series))
        return count

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        most = min(self.train.windows_per_epoch or self.count, self.count)
        return max(most // self.train.batch_size, 1)

    def batches(self, epoch: int, position: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from a position on.

        Args:
            epoch: counted from 1.
            position: batches of this epoch that are done.
        """
        # Loads begin at the same positions wherever an epoch is taken up: the same sums to the bit.
        skipped = position % self.together
        coming = self._cut(epoch, position - skipped, self.together)
        waiting: deque[Future[list[Batch]]] = deque()
        with ThreadPoolExecutor(1, thread_name_prefix="feeder") as pool:
            while True:
                for windows in islice(coming, AHEAD - len(waiting)):
                    waiting.append(pool.submit(self._gather, windows))
                if not waiting:
                    return
                if not waiting[0].done():
                    # Quicker than the other thread: gather beside it instead of waiting for it.
                    waiting.extend(map(self._gather_here, islice(coming, 1)))
                yield from waiting.popleft().result()[skipped:]
                skipped = 0

    @cached_property
    def together(self) -> int:
        """Batches of a load."""
        size = self.reader.bytes_of_a_window * self.train.batch_size
        return max(min(LOAD // size, self.steps), 1)

    def windows(self, epoch: int, position: int = 0) -> Iterator[Windows]:
        """Yield the windows of the batches of an epoch from a position on."""
        return self._cut(epoch, position, 1)

    def _cut(self, epoch: int, position: int, together: int) -> Iterator[Windows]:
        """Yield the windows of so many batches at once, the last ones of an epoch may be fewer."""
        size = self.train.batch_size
        order = Permutation(self.count, (self.train.seed, epoch))
        many = together * max(SHUFFLED // (size * together), 1)
        for begin in range(position, self.steps, many):
            end = min(begin + many, self.steps)
            drawn = order(np.arange(begin * size, end * size) % self.count)
            if self._series is not None:
                drawn = self._balance(drawn, epoch)
            chosen = self.index.take(drawn)
            for load in range(0, len(chosen), size * together):
                yield chosen.take(slice(load, load + size * together))

    def _gather(self, windows: Windows) -> list[Batch]:
        """Read a load, cut into its batches."""
        return list(self._read(windows).split(self.train.batch_size))

    def _gather_here(self, windows: Windows) -> Future[list[Batch]]:
        """Read a load in this thread; what goes wrong is raised when its turn comes."""
        load: Future[list[Batch]] = Future()
        try:
            load.set_result(self._gather(windows))
        except Exception as error:  # noqa: BLE001 - raised by `result`
            load.set_exception(error)
        return load

    def _balance(self, drawn: Integers, epoch: int) -> Integers:
        """Turn numbers into windows so that every series comes equally often."""
        ends, series = self._bounds
        place = drawn % len(series)
        begins = np.concatenate([[0], ends[:-1]])[place]
        key = np.random.SeedSequence((self.train.seed, epoch, len(series))).generate_state(
            1, np.uint64
        )
        share = scramble(drawn.astype(np.uint64), int(key[0])).astype(np.float64) / 2.0**64
        within = (share * (ends[place] - begins)).astype(np.int64)
        found: Integers = np.minimum(begins + within, ends[place] - 1)
        return found

    @cached_property
    def _bounds(self) -> tuple[Integers, NDArray[np.int32]]:
        """Where the windows of each series end in the index, whose runs go series by series."""
        last = np.flatnonzero(np.diff(self.index.series, append=-1))
        return np.cumsum(self.index.counts)[last], self.index.series[last]

    def _read(self, windows: Windows) -> Batch:
        batch = self.reader.read(windows)
        if not self.train.half_life:
            return batch
        age = (self._newest - self._number(windows)) / self.train.half_life
        weights = batch.weights * np.exp2(-age).astype(np.float32)[:, None]
        return Batch(batch.inputs, batch.targets, weights, batch.normaliser)

    def _number(self, windows: Windows) -> Integers:
        """Return the grid numbers of the windows' first steps."""
        rows = self.reader.rows
        return windows.starts - rows.begins[windows.series] + rows.first[windows.series]

    def _find_newest(self) -> int:
        last = self.index.take(np.cumsum(self.index.counts) - 1)
        return int(self._number(last).max())


def pad_batches(windows: Windows, batch_size: int) -> Iterator[tuple[Windows, int]]:
    """Yield windows in order, the last batch filled up with its last window, and how many count.

    One shape of batch means one compilation.
    """
    for begin in range(0, len(windows), batch_size):
        end = min(begin + batch_size, len(windows))
        positions = np.minimum(np.arange(begin, begin + batch_size), end - 1)
        yield windows.take(positions), end - begin

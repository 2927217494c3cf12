"""Windows gathered into arrays, a batch at a time: the only place where a window becomes one.

rows        |=================================================|   R x F, mapped or in memory
window            |---- lookback L ----|-- horizon H --|          one block, copied whole
short       |____-----|-- horizon H --|        _ no rows: zeros, flagged as not observed
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from seqmodel.normalising import Normaliser
from seqmodel.rows import Cut, Rows
from seqmodel.weighing import Own, weigh_windows
from seqmodel.windows import Windows

Integers = NDArray[np.int64]
Floats32 = NDArray[np.float32]
Inputs = dict[str, NDArray[np.float32] | NDArray[np.int32]]


@final
@dataclass(frozen=True)
class Batch:
    """N windows as arrays.

    Attributes:
        inputs: by name, see `seqmodel.models.protocol`; those without a feature are left out.
        targets: N x H scaled targets, or numbers of classes, 0 where missing.
        weights: N x H, how much each error counts: above 0 where the target was observed, else 0.
        normaliser: the windows' own scale, None where they have none.
    """

    inputs: Inputs
    targets: Floats32
    weights: Floats32
    normaliser: Normaliser | None

    def split(self, size: int) -> Iterator[Batch]:
        """Yield the windows in parts of `size`, in order, without copying them."""
        for begin in range(0, len(self.targets), size):
            part = slice(begin, begin + size)
            inputs: Inputs = {name: array[part] for name, array in self.inputs.items()}
            normaliser = self.normaliser.take(part) if self.normaliser else None
            yield Batch(inputs, self.targets[part], self.weights[part], normaliser)

    def inverse(self, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bring N x H x Q forecasts back to the scale of the series."""
        return self.normaliser.inverse(scaled) if self.normaliser else scaled


@final
@dataclass(frozen=True)
class Padding:
    """Which of N windows begin before their series does.

    Attributes:
        begins: N positions of the series' first rows.
        short: N marks.
    """

    begins: Integers
    short: NDArray[np.bool_]


@final
class WindowReader:
    """Gathers batches of windows from rows: the only place where a window becomes an array.

    Args:
        rows: encoded rows.
        cut: lookback, horizon, the windows' scale, and which columns are what.
    """

    def __init__(self, rows: Rows, cut: Cut) -> None:
        self.rows, self.cut = rows, cut
        self.steps = cut.lookback + cut.horizon
        # Lookback and horizon lie side by side: one gather fetches both.
        self._values = _flatten(rows.values, self.steps)
        self._codes = _flatten(rows.codes, self.steps)
        self._target = _flatten(rows.target[:, None], cut.horizon)

    @property
    def bytes_of_a_window(self) -> int:
        """Memory that the rows of a window take, once they are gathered (bytes)."""
        rows = self.rows
        values, codes = rows.values, rows.codes
        row = values.itemsize * values.shape[1] + codes.itemsize * codes.shape[1]
        return self.steps * int(row)

    def read(self, windows: Windows) -> Batch:
        """Gather N windows."""
        rows, cut = self.rows, self.cut
        after = windows.starts + cut.lookback
        hole = 0.0 if cut.scale == "none" else np.nan
        begins = rows.begins[windows.series]
        short = windows.starts < begins
        padded = Padding(begins, short) if short.any() else None
        values = self._gather(windows, rows.values, self._values, padded, hole)
        past, future = values[:, : cut.lookback], values[:, cut.lookback :]
        known = future[:, :, future.shape[2] - cut.known :]
        weights = future[:, :, 1]
        targets = self._target[after] if rows.target.size else future[:, :, 0]
        if cut.class_weights:
            targets, weights = self._weigh_classes(targets)
        if rows.gap.size:
            self._open_gaps(past, after, hole)
        if cut.weigh != "even":
            weights = weights * self._weigh(windows, past)
        normaliser = None
        if cut.scale != "none":
            normaliser = Normaliser.measure(cut.scale, past[:, :, 0], cut.horizon, cut.season)
            targets = np.where(weights > 0, targets - normaliser.future, 0) / normaliser.spread
            self._normalise(past, known, normaliser)
        scale = rows.scale[windows.series]
        if cut.in_target_unit:
            targets = np.rint(targets * scale)
        numbers = after - begins + rows.first[windows.series]
        inputs: Inputs = {
            "past": past,
            "series": rows.series_codes[windows.series],
            "phase": (numbers % cut.cycle).astype(np.int32)[:, None],
            "scale": scale,
        }
        if cut.known:
            inputs["known"] = known
        if rows.codes.shape[1]:
            codes = self._gather(windows, rows.codes, self._codes, padded, 0)
            inputs["past_codes"] = codes[:, : cut.lookback]
            if cut.known_codes:
                inputs["known_codes"] = codes[:, cut.lookback :, -cut.known_codes :]
        constants: Inputs = {"static": rows.static, "static_codes": rows.static_codes}
        inputs |= {n: one[windows.series] for n, one in constants.items() if one.shape[1]}
        return Batch(inputs, targets, weights, normaliser)

    def _weigh(self, windows: Windows, past: Floats32) -> Floats32:
        """Return N x H, how much errors count by what the lookback says."""
        rows, cut = self.rows, self.cut
        own = Own(cut.transform, rows.location[windows.series], rows.scale[windows.series])
        return weigh_windows(
            cut.weigh, own, past[:, :, 0], past[:, :, 1], season=cut.season, horizon=cut.horizon
        )

    def _weigh_classes(self, codes: Floats32) -> tuple[Floats32, Floats32]:
        """Return N x H classes and how much each counts, none where the class is not known."""
        known = codes >= 0
        weights = np.array(self.cut.class_weights, dtype=np.float32)
        targets = np.where(known, codes, np.float32(0))
        return targets, weights[targets.astype(np.int64)] * known

    def _gather(
        self,
        windows: Windows,
        rows: NDArray[Any],
        view: NDArray[Any],
        padding: Padding | None,
        hole: float,
    ) -> NDArray[Any]:
        """Return N x (L + H) x columns; what lies before a series' first row is zero."""
        shape = (len(windows), self.steps, rows.shape[1])
        if padding is None:
            # Blocks of one row each: numpy copies a whole window at a time.
            block: NDArray[Any] = view[windows.starts].reshape(shape)
            return block
        begins, short = padding.begins, padding.short
        block = np.empty(shape, dtype=rows.dtype)
        block[~short] = view[windows.starts[~short]].reshape(-1, *shape[1:])
        places = windows.starts[short, None] + np.arange(self.steps)
        there = places >= begins[short, None]
        padded = np.where(there[:, :, None], rows[np.where(there, places, 0)], 0)
        for column in self.cut.target_columns if rows is self.rows.values else ():
            padded[:, :, column][~there] = hole
        block[short] = padded
        return block

    def _open_gaps(self, past: Floats32, after: Integers, hole: float) -> None:
        """Take out what was filled in a gap that is still open at the cutoff.

        That it would end, and within the limit, nobody knew there.
        """
        lengths = self.rows.gap[after - 1]
        for window in np.flatnonzero(lengths):
            past[window, max(self.cut.lookback - lengths[window], 0) :, 0] = hole

    def _normalise(self, past: Floats32, known: Floats32, normaliser: Normaliser) -> None:
        begin = past.shape[2] - known.shape[2]
        for column in self.cut.target_columns:
            scaled = (past[:, :, column] - normaliser.past) / normaliser.spread
            past[:, :, column] = np.nan_to_num(scaled, nan=0.0)
            if column >= begin:
                scaled = (known[:, :, column - begin] - normaliser.future) / normaliser.spread
                known[:, :, column - begin] = np.nan_to_num(scaled, nan=0.0)


def _flatten(rows: NDArray[Any], steps: int) -> NDArray[Any]:
    """View R x F rows as every run of `steps` of them: (R - steps + 1) x (steps * F), no copy."""
    count = max(rows.shape[0] - steps + 1, 0)
    shape = (count, steps * rows.shape[1])
    return as_strided(rows, shape, (rows.strides[0], rows.itemsize), writeable=False)

"""Where training ends, the holdout lies and the backtest begins, as grid numbers.

first row            train    holdout     first cutoff                 cutoff
|--- training targets ---|gap|--- holdout ---|gap|--- backtest targets ---|
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from seqmodel.errors import DataError
from seqmodel.specs import PipelineSpec

#: Width of a drawn timeline (characters).
DRAWN = 72


@final
@dataclass(frozen=True)
class Split:
    """Borders of the parts; no window's targets straddle one.

    Attributes:
        first: number of the oldest row.
        train: number of the last training target.
        holdout: number of the last holdout target.
        cutoffs: numbers of the backtest's cutoffs, ascending.
        horizon: H (steps).
        gap: left out between the parts (steps).
    """

    first: int
    train: int
    holdout: int
    cutoffs: NDArray[np.int64]
    horizon: int
    gap: int = 0

    @property
    def last(self) -> int:
        """Number of the last target of the backtest."""
        return int(self.cutoffs[-1]) + self.horizon


def split_steps(first: int, cutoff: int, spec: PipelineSpec) -> Split:
    """Divide the steps from `first` to `cutoff`.

    Args:
        first: grid number of the oldest row of any series.
        cutoff: grid number of the newest.
        spec: window, train and backtest sections count.

    Raises:
        DataError: if training would have no window.
    """
    horizon, gap = spec.window.horizon, spec.backtest.gap
    last = cutoff - horizon
    cutoffs = last - spec.backtest.step * np.arange(spec.backtest.cutoffs)[::-1]
    holdout = int(cutoffs[0]) - gap
    steps = holdout - first + 1
    past = spec.window.least_history
    needed = past + 2 * horizon + gap
    if steps < needed:
        reserve = cutoff - holdout
        raise DataError(
            f"found {cutoff - first + 1} steps in the longest series, needed a history of {past} +"
            f" two horizons of {horizon} (training, holdout) + {reserve + gap} steps of backtest"
            " and gaps; shorten window.lookback, window.horizon or backtest.cutoffs, or bring a"
            " longer history"
        )
    # At least one horizon for the holdout, at least one window for training.
    most = holdout - gap - (first + past + horizon - 1)
    share = min(max(horizon, round(spec.train.holdout * (steps - past))), most)
    return Split(first, holdout - gap - share, holdout, cutoffs, horizon, gap)


def draw_split(split: Split, show: Callable[[int], str]) -> str:
    """Draw the parts as a timeline of plain text.

    Args:
        split: the borders.
        show: writes a grid number as a moment.

    Returns:
        Three lines: the bar in proportion, its cutoffs as `^`, and what each letter means. A part
        is drawn with one letter at least.
    """
    parts = [
        ("t", split.first, split.train, "training"),
        (".", split.train + 1, split.train + split.gap, "gap"),
        ("h", split.train + split.gap + 1, split.holdout, "holdout"),
        (".", split.holdout + 1, int(split.cutoffs[0]), "gap"),
        ("b", int(split.cutoffs[0]) + 1, split.last, "backtest"),
    ]
    whole = split.last - split.first + 1
    bar, legend = "", []
    for letter, begin, end, name in parts:
        if end < begin:
            continue
        bar += letter * max(1, round(DRAWN * (end - begin + 1) / whole))
        legend.append(f"{letter} {name}: {end - begin + 1} steps, {show(begin)} to {show(end)}")
    places = [
        min(len(bar) - 1, round(len(bar) * (int(c) - split.first + 1) / whole))
        for c in split.cutoffs
    ]
    marks = "".join("^" if i in places else " " for i in range(len(bar)))
    count = f"{len(split.cutoffs)} cutoff{'s' if len(split.cutoffs) > 1 else ''}"
    return "\n".join([f"|{bar}|", f" {marks.rstrip()}  {count}", *legend])

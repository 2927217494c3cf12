"""Where training ends, the holdout lies and the backtest begins, as grid numbers.

first row            train    holdout     first cutoff                 cutoff
|--- training targets ---|gap|--- holdout ---|gap|--- backtest targets ---|

Events are divided by time, all series at the same moments: the borders are moments, and of each
series the number of its last event by then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from seqmodel.errors import DataError
from seqmodel.panel import Panel
from seqmodel.specs import PipelineSpec

Integers = NDArray[np.int64]

#: Fewer events with a label make no training, holdout and backtest.
LEAST_EVENTS = 3
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


@final
@dataclass(frozen=True)
class EventSplit:
    """Borders of the parts of events: the same moments in all series.

    Attributes:
        first: least number of any event.
        train: S numbers of the series' last training events.
        holdout: S numbers of the series' last holdout events.
        cutoffs: moments at which the periods of the backtest begin, ascending (microseconds UTC).
        gap: left out between the parts, nothing.
    """

    first: int
    train: Integers
    holdout: Integers
    cutoffs: Integers
    gap: int = 0


Parts = Split | EventSplit


def list_cutoffs(cutoff: int, spec: PipelineSpec) -> Integers:
    """Return the cutoffs of the backtest, ascending.

    Args:
        cutoff: grid number of the newest step.
        spec: window and backtest sections count.
    """
    back = spec.backtest.step * np.arange(spec.backtest.cutoffs)[::-1]
    return np.asarray(cutoff - spec.window.horizon - back)


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
    cutoffs = list_cutoffs(cutoff, spec)
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


def split_panel(panel: Panel, spec: PipelineSpec, *, scored: bool = True) -> Parts:
    """Divide a panel.

    Args:
        panel: rows of S series.
        spec: window, train and backtest sections count.
        scored: whether a part is kept for the backtest, of events.

    Raises:
        DataError: if training would have no window.
    """
    if panel.moments is None:
        return split_steps(int(panel.first.min()), panel.cutoff, spec)
    moments = np.sort(panel.moments[panel.seen])
    share = spec.backtest.share if scored else 0.0
    count = len(moments)
    backtest = round(share * count)
    holdout = max(1, round(spec.train.holdout * (count - backtest)))
    if count < LEAST_EVENTS:
        raise DataError(
            f"found {count} events with a label, needed {LEAST_EVENTS} at least for training,"
            " holdout and backtest; bring more"
        )
    edges = count - backtest + backtest * np.arange(spec.backtest.cutoffs) // spec.backtest.cutoffs
    # Events of one moment stay together: a border lies after the last event of its moment.
    cutoffs = moments[np.maximum(edges - 1, 0)]
    train = int(moments[max(count - backtest - holdout - 1, 0)])
    if not moments[0] <= train < cutoffs[0] or (scored and cutoffs[0] == moments[-1]):
        raise DataError(
            f"found {count} events with a label at too few moments to divide them into training,"
            " holdout and backtest, needed a moment for each; bring rows of other times"
        )
    return EventSplit(
        first=int(panel.first.min()),
        train=panel.number_at(train),
        holdout=panel.number_at(int(cutoffs[0])),
        cutoffs=np.unique(cutoffs),
    )


def draw_events(split: EventSplit, panel: Panel, show: Callable[[int], str]) -> str:
    """Say how many events with a label each part has, and from when to when.

    Args:
        split: the borders.
        panel: the events.
        show: writes a moment.
    """
    trained, held = panel.until(split.train), panel.until(split.holdout)
    parts = {"training": trained, "holdout": held & ~trained, "backtest": ~held}
    lines = []
    for name, rows in parts.items():
        moments = np.zeros(0) if panel.moments is None else panel.moments[rows & panel.seen]
        if len(moments):
            between = f"{show(int(moments.min()))} to {show(int(moments.max()))}"
            lines.append(f"{name}: {len(moments):,} events, {between}")
    return "\n".join(lines)


def draw_split(split: Split, show: Callable[[int], str]) -> str:
    """Draw the parts as a timeline of plain text.

    Args:
        split: the borders.
        show: writes a grid number as a moment.

    Returns:
        Three lines: the bar in proportion, its cutoffs as `^`, and what each letter means. A part
        is drawn with one letter at least.
    """
    train, holdout = split.train, split.holdout
    parts = [
        ("t", split.first, train, "training"),
        (".", train + 1, train + split.gap, "gap"),
        ("h", train + split.gap + 1, holdout, "holdout"),
        (".", holdout + 1, int(split.cutoffs[0]), "gap"),
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

"""Short gaps of the target filled for the network to read; never scored, never learned as targets.

target   4  5  .  .  8  9  .  .  .  .  3        . missing
limit 2  4  5  5  5  8  9  .  .  .  .  3        forward: the long gap stays missing entirely
               gap

That a gap ends, and where, is known only after it. So a gap that is still open at a cutoff must not
be filled for a forecast from there, whatever the policy: a night that runs at the cutoff cannot
know whether its gap will end within the limit, and `interpolate` would even read the answer.

So the rows carry how long the filled gap has been open at each step (`measure_open`), and a window
that ends in one shows it as missing (`WindowReader`): at every cutoff the lookback is what a night
that ran there would have seen.

Nothing is filled before a series' first or after its last observed step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.panel import Panel
from seqmodel.specs import GridSpec

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Fill = Literal["none", "forward", "interpolate", "zero", "seasonal"]
#: Seasons that `seasonal` looks back through until one has the step observed.
SEASONS_BACK = 4


@final
@dataclass(frozen=True)
class Gaps:
    """G runs of missing steps between two observed ones of one series.

    Attributes:
        before: G positions of the observed row before each gap.
        after: G positions of the observed row after it.
        series: G numbers of the series.
    """

    before: Integers
    after: Integers
    series: Integers

    @property
    def lengths(self) -> Integers:
        """G numbers of missing steps."""
        return self.after - self.before - 1

    def take(self, chosen: NDArray[np.bool_]) -> Gaps:
        """Return some of the gaps."""
        return Gaps(self.before[chosen], self.after[chosen], self.series[chosen])

    def list_rows(self) -> tuple[Integers, Integers]:
        """Return the position of every missing row, and the gap it belongs to."""
        lengths = self.lengths
        gap = np.repeat(np.arange(len(lengths)), lengths)
        within = np.arange(len(gap)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return self.before[gap] + 1 + within, gap


def list_gaps(values: Floats, offsets: Integers) -> Gaps:
    """List the gaps of every series, all at once.

    Args:
        values: R values, NaN where missing.
        offsets: S + 1 positions of the series.
    """
    seen = np.flatnonzero(np.isfinite(values))
    wide = np.flatnonzero(np.diff(seen) > 1)
    before, after = seen[wide], seen[wide + 1]
    series = np.searchsorted(offsets, before, side="right") - 1
    gaps = Gaps(before, after, series)
    return gaps.take(after < offsets[series + 1])


def fill_gaps(values: Floats, offsets: Integers, gaps: Gaps, policy: Fill, season: int) -> Floats:
    """Return the values with the given gaps filled; observed ones stay as they are.

    Args:
        values: R values, NaN where missing.
        offsets: S + 1 positions of the series.
        gaps: the gaps to fill.
        policy: `forward` repeats the value before the gap, `interpolate` draws a line between its
            ends, `seasonal` takes the step one season earlier, or two to four where that is missing
            too, and leaves the rest missing.
        season: (steps).
    """
    if policy == "none":
        return values
    filled = values.copy()
    rows, gap = gaps.list_rows()
    before, after = gaps.before[gap], gaps.after[gap]
    if policy == "zero":
        filled[rows] = 0.0
    elif policy == "forward":
        filled[rows] = values[before]
    elif policy == "interpolate":
        share = (rows - before) / (after - before)
        # Two products, not a difference: that of two huge values would be infinite.
        filled[rows] = (1 - share) * values[before] + share * values[after]
    else:
        begins = offsets[gaps.series[gap]]
        for back in range(SEASONS_BACK, 0, -1):
            donors = rows - back * season
            found = np.where(donors >= begins, values[np.maximum(donors, 0)], np.nan)
            filled[rows] = np.where(np.isfinite(found), found, filled[rows])
    return filled


def list_fillable(panel: Panel, grid: GridSpec) -> Gaps:
    """List the gaps of a panel's target that are filled; one open at its cutoff is not."""
    history = panel.number_of_row <= panel.cutoff
    gaps = list_gaps(np.where(history, panel.values["target"], np.nan), panel.offsets)
    return gaps.take((gaps.lengths <= grid.fill_limit) & (grid.fill != "none"))


def fill_target(panel: Panel, grid: GridSpec, season: int) -> Floats:
    """Return the target as a lookback shows it, R values; the panel keeps what was observed.

    Args:
        panel: rows of S series.
        grid: policy and limit.
        season: (steps).
    """
    gaps = list_fillable(panel, grid)
    return fill_gaps(panel.values["target"], panel.offsets, gaps, grid.fill, season)


def measure_open(panel: Panel, grid: GridSpec) -> NDArray[np.int32]:
    """Return how long the filled gap at each of the R rows has been open, 0 outside of one."""
    lengths = np.zeros(panel.rows, dtype=np.int32)
    gaps = list_fillable(panel, grid)
    rows, gap = gaps.list_rows()
    lengths[rows] = rows - gaps.before[gap]
    return lengths


def measure_reach(grid: GridSpec, season: int) -> int:
    """Return how far before a row its fill may look (steps)."""
    if grid.fill == "none":
        return 0
    return grid.fill_limit + (SEASONS_BACK * season if grid.fill == "seasonal" else 0)

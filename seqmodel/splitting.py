"""Where training ends, the holdout lies and the backtest begins, as grid numbers.

|-------- training targets --------|-- holdout targets --|--- backtest targets ---|
first row                        train               first cutoff              cutoff
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from seqmodel.errors import DataError
from seqmodel.specs import PipelineSpec


@final
@dataclass(frozen=True)
class Split:
    """Borders of the parts; no window's targets straddle one.

    Attributes:
        train: number of the last training target.
        holdout: number of the last holdout target = the first backtest cutoff.
        cutoffs: numbers of the backtest's cutoffs, ascending.
    """

    train: int
    holdout: int
    cutoffs: NDArray[np.int64]


def split_steps(first: int, cutoff: int, spec: PipelineSpec) -> Split:
    """Divide the steps from `first` to `cutoff`.

    Args:
        first: grid number of the oldest row of any series.
        cutoff: grid number of the newest.
        spec: window, train and backtest sections count.

    Raises:
        DataError: if training would have no window.
    """
    horizon = spec.window.horizon
    last = cutoff - horizon
    cutoffs = last - spec.backtest.step * np.arange(spec.backtest.cutoffs)[::-1]
    holdout = int(cutoffs[0])
    steps = holdout - first + 1
    needed = spec.window.lookback + 2 * horizon
    if steps < needed:
        reserve = cutoff - holdout
        raise DataError(
            f"found {cutoff - first + 1} steps in the longest series, needed lookback"
            f" {spec.window.lookback} + two horizons of {horizon} (training, holdout) + {reserve}"
            " steps of backtest; shorten window.lookback or backtest.cutoffs, or bring a longer"
            " history"
        )
    # At least one horizon for the holdout, at least one window for training.
    share = max(horizon, round(spec.train.holdout * (steps - spec.window.lookback)))
    return Split(train=min(holdout - share, holdout - horizon), holdout=holdout, cutoffs=cutoffs)

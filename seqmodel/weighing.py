"""How much the errors of a window count in training, by what its own lookback says.

Errors in the scale of the series add up to those of its metric only where that metric is an
absolute error. In MASE an error counts in the target's own unit, bent by no curve, in errors of the
seasonal naive: the calmer a series and the higher the hour, the more. Weights are taken from the
lookback alone, so they depend on nothing that is to be forecast, and the forecast with the least
weighed absolute error stays the median.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.scaling import steepen, unbend

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Weighing = Literal["even", "naive", "mixed"]

#: A seasonal difference below this share of the window's own spread counts as this share: a window
#: that repeats itself is no reason to forget all the others.
LEAST = 0.1
#: No step counts more than this many times the usual one.
LARGEST = 20.0


@final
@dataclass(frozen=True)
class Own:
    """How N windows in the scale of their series come to the target's own unit.

    Attributes:
        transform: the curve that bent the target.
        location: N x 1 (target's unit, bent).
        spread: N x 1 (target's unit, bent).
    """

    transform: str
    location: Floats32
    spread: Floats32

    def bend(self, values: Floats) -> Floats:
        """Return N x L values of the scale of their series as bent targets."""
        return values * self.spread + self.location

    def slope(self, bent: Floats) -> Floats:
        """Return N x L, how much the target moves with its value in the scale of its series."""
        return steepen(bent, self.transform) * self.spread


def weigh_windows(
    how: Weighing, own: Own, values: Floats32, observed: Floats32, *, season: int, horizon: int
) -> Floats32:
    """Return N x H, how much the steps of N windows count, 1 on average.

    Args:
        how: even: all the same; naive: by the inverse of the mean absolute seasonal difference,
            both in the target's own unit; mixed: half of each.
        own: from the scale of the series to the target's own unit.
        values: N x L lookbacks, anything where not observed.
        observed: N x L, 1 where observed.
        season: (steps); a lookback no longer than it is measured from step to step.
        horizon: H (steps).
    """
    if how == "even":
        return np.ones((len(values), horizon), dtype=np.float32)
    lag = season if season < values.shape[1] else 1
    seen = observed > 0
    bent = own.bend(np.where(seen, values, 0.0).astype(np.float64))
    spread = _measure_change(np.where(seen, unbend(bent, own.transform), 0.0), seen, lag)
    slope = _mean_by_phase(own.slope(bent), seen, lag, horizon)
    known = (spread > 0)[:, None]
    steep = slope / np.where(known, spread[:, None], 1.0)
    usual = float(np.median(steep[known[:, 0]])) if known.any() else 1.0
    # A flat window says nothing about its unit: it counts like the usual one.
    weights = np.where(known, np.minimum(steep / usual, LARGEST), 1.0)
    weights /= max(float(weights.mean()), 1e-12)
    found: Floats32 = ((1 + weights) / 2 if how == "mixed" else weights).astype(np.float32)
    return found


def _measure_change(values: Floats, seen: NDArray[np.bool_], lag: int) -> Floats:
    """Return the mean absolute differences of N windows, no less than a share of their spread."""
    pairs = seen[:, lag:] & seen[:, :-lag]
    change = np.where(pairs, np.abs(values[:, lag:] - values[:, :-lag]), 0.0)
    number = np.maximum(seen.sum(axis=1), 1)
    mean = values.sum(axis=1) / number
    square = np.where(seen, (values - mean[:, None]) ** 2, 0.0).sum(axis=1) / number
    found: Floats = np.maximum(
        change.sum(axis=1) / np.maximum(pairs.sum(axis=1), 1), LEAST * np.sqrt(square)
    )
    return found


def _mean_by_phase(slopes: Floats, seen: NDArray[np.bool_], season: int, horizon: int) -> Floats:
    """Return N x H means of the observed slopes a whole number of seasons before each step.

    Where none was observed, that of the whole lookback; where there is none either, 1.
    """
    missing = -slopes.shape[1] % season
    shape = (len(slopes), -1, season)
    there = np.pad(seen, ((0, 0), (missing, 0))).reshape(shape)
    sums = np.where(there, np.pad(slopes, ((0, 0), (missing, 0))).reshape(shape), 0.0).sum(axis=1)
    counts = there.sum(axis=1)
    total = counts.sum(axis=1, keepdims=True)
    mean = np.where(total > 0, sums.sum(axis=1, keepdims=True) / np.maximum(total, 1), 1.0)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), mean)
    return np.tile(means, (1, -(-horizon // season)))[:, :horizon]

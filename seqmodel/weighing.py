"""How much the errors of a window count in training, by what its own lookback says.

Errors in the scale of the series add up to those of its metric only where that metric is an
absolute error. In MASE an error counts in errors of the seasonal naive: the calmer a series, the
more. Weights are taken from the lookback alone, so they depend on nothing that is to be forecast,
and the forecast with the least weighed absolute error stays the median.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats32 = NDArray[np.float32]
Weighing = Literal["even", "naive", "mixed"]

#: A seasonal difference below this share of the window's own spread counts as this share: a window
#: that repeats itself is no reason to forget all the others.
LEAST = 0.1
#: No window counts more than this many times the mean one.
LARGEST = 20.0


def weigh_windows(how: Weighing, values: Floats32, observed: Floats32, season: int) -> Floats32:
    """Return how much N windows count, 1 on average.

    Args:
        how: even: all the same; naive: by the inverse of the mean absolute seasonal difference;
            mixed: half of each.
        values: N x L lookbacks, anything where not observed.
        observed: N x L, 1 where observed.
        season: (steps); a lookback no longer than it is measured from step to step.
    """
    if how == "even":
        return np.ones(len(values), dtype=np.float32)
    lag = season if season < values.shape[1] else 1
    seen = observed > 0
    clean = np.where(seen, values, 0.0).astype(np.float64)
    pairs = seen[:, lag:] & seen[:, :-lag]
    change = np.where(pairs, np.abs(clean[:, lag:] - clean[:, :-lag]), 0.0)
    count = np.maximum(pairs.sum(axis=1), 1)
    number = np.maximum(seen.sum(axis=1), 1)
    mean = clean.sum(axis=1) / number
    square = np.where(seen, (clean - mean[:, None]) ** 2, 0.0).sum(axis=1) / number
    spread = np.maximum(change.sum(axis=1) / count, LEAST * np.sqrt(square))
    known = spread > 0
    usual = float(np.median(spread[known])) if known.any() else 1.0
    # A flat window says nothing about its unit: it counts like the usual one.
    weights = np.minimum(usual / np.where(known, spread, usual), LARGEST)
    if how == "mixed":
        weights = (1 + weights) / 2
    found: Floats32 = (weights / max(float(weights.mean()), 1e-12)).astype(np.float32)
    return found

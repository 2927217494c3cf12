"""Naive 2 of the M4 competition: the reference of OWA.

The naive forecast of the seasonally adjusted series, times the seasonal indices of a classical
multiplicative decomposition; adjusted only where the autocorrelation at the season is significant
at 90 % (S. Makridakis et al.: The M4 Competition, International Journal of Forecasting 36(1), 2020,
appendix A; its code in R, `Benchmarks and Evaluation.R`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: 95th percentile of the normal distribution: 90 % on both sides, as the competition had it.
CRITICAL = 1.645


def predict_naive2(history: Floats, season: int, horizon: int) -> Floats:
    """Return H forecasts of one series."""
    indices = measure_indices(history, season) if is_seasonal(history, season) else np.ones(season)
    steps = np.arange(len(history), len(history) + horizon)
    last = history[-1] / indices[(len(history) - 1) % season]
    return last * indices[steps % season]


def is_seasonal(history: Floats, season: int) -> bool:
    """Return whether the autocorrelation at the season is significant."""
    if season < 2 or len(history) < 3 * season:
        return False
    centred = history - history.mean()
    power = float(centred @ centred)
    if power == 0:
        return False
    acf = np.array([centred[lag:] @ centred[:-lag] for lag in range(1, season + 1)]) / power
    limit = CRITICAL * np.sqrt((1 + 2 * np.sum(acf[:-1] ** 2)) / len(history))
    return bool(abs(acf[-1]) > limit)


def measure_indices(history: Floats, season: int) -> Floats:
    """Return the multiplicative index of each step of the season, their mean 1."""
    width = season + 1 - season % 2
    weights = np.ones(width)
    if season % 2 == 0:
        weights[[0, -1]] = 0.5
    trend = np.convolve(history, weights / weights.sum(), mode="valid")
    margin = width // 2
    inner = np.arange(margin, len(history) - margin)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = history[inner] / trend
    good = np.isfinite(ratio)
    phase = inner[good] % season
    count = np.bincount(phase, minlength=season)
    total = np.bincount(phase, ratio[good], season)
    found = np.divide(total, count, out=np.ones(season), where=count > 0)
    mean = found.mean()
    # A series that crosses zero has no such indices.
    usable = mean > 0 and (found > 0).all()
    return found / mean if usable else np.ones(season)

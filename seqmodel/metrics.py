"""Scores of forecasts: one function and one line each; NaN targets are left out.

All work on N windows x H steps and return N x H contributions, so that any mean over series,
steps or cutoffs is a mean over a part of the same array.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Scored:
    """Forecasts beside what came.

    Attributes:
        actual: N x H targets, NaN where missing.
        quantiles: N x H x Q forecasts.
        levels: Q levels with 0.5 among them.
        scale: N in-sample errors of the seasonal naive (target's unit), NaN where unknown.
        root_scale: the same, the root of the mean square; None where RMSSE is not wanted.
    """

    actual: Floats
    quantiles: Floats
    levels: tuple[float, ...]
    scale: Floats
    root_scale: Floats | None = None

    @property
    def point(self) -> Floats:
        """N x H medians."""
        return self.quantiles[:, :, self.levels.index(0.5)]


def absolute_error(s: Scored) -> Floats:
    """MAE: |y - f|."""
    return np.abs(s.actual - s.point)


def squared_error(s: Scored) -> Floats:
    """MSE: (y - f)^2; its root over the mean is the RMSE."""
    return (s.actual - s.point) ** 2


def scaled_error(s: Scored) -> Floats:
    """MASE: |y - f| / in-sample MAE of the seasonal naive (Hyndman & Koehler 2006)."""
    error: Floats = np.abs(s.actual - s.point) / s.scale[:, None]
    return error


def squared_scaled_error(s: Scored) -> Floats:
    """RMSSE: ((y - f) / in-sample RMSE of the seasonal naive)^2, the root over the mean (M5)."""
    if s.root_scale is None:
        return np.full_like(s.actual, np.nan)
    error: Floats = ((s.actual - s.point) / s.root_scale[:, None]) ** 2
    return error


def symmetric_error(s: Scored) -> Floats:
    """Symmetric MAPE of the M4 competition: 200 |y - f| / (|y| + |f|), 0 where both are 0 (%)."""
    total = np.abs(s.actual) + np.abs(s.point)
    error = 200 * np.abs(s.actual - s.point)
    share: Floats = np.divide(error, total, out=np.zeros_like(error), where=total != 0)
    return share + 0 * s.actual


def signed_error(s: Scored) -> Floats:
    """Bias: f - y."""
    return s.point - s.actual


def pinball(s: Scored) -> Floats:
    """Mean over Q levels of twice the pinball loss; divided by mean |y| it is the WQL."""
    levels = np.array(s.levels)
    error = s.actual[:, :, None] - s.quantiles
    loss: Floats = 2 * np.maximum(levels * error, (levels - 1) * error).mean(axis=-1)
    return loss


def inside(s: Scored) -> Floats:
    """Coverage of the widest interval: 1 where q_low <= y <= q_high."""
    low, high = s.quantiles[:, :, 0], s.quantiles[:, :, -1]
    return ((s.actual >= low) & (s.actual <= high)) + 0 * s.actual


def width(s: Scored) -> Floats:
    """Width of the widest interval (target's unit)."""
    return s.quantiles[:, :, -1] - s.quantiles[:, :, 0] + 0 * s.actual


#: Metric -> contribution of each window and step.
METRICS: dict[str, Callable[[Scored], Floats]] = {
    "mase": scaled_error,
    "mae": absolute_error,
    "rmse": squared_error,
    "rmsse": squared_scaled_error,
    "smape": symmetric_error,
    "wql": pinball,
    "bias": signed_error,
    "coverage": inside,
    "width": width,
}
#: Metrics that are the root of a mean.
ROOTS = frozenset({"rmse", "rmsse"})


def summarise(metric: str, contributions: Floats, scored: Scored) -> float:
    """Return one figure of some contributions (any shape); NaN when nothing was observed.

    Args:
        metric: name in `METRICS`.
        contributions: from the metric's function, N x H or a part of it.
        scored: the forecasts of the same windows.
    """
    values = contributions[np.isfinite(contributions)]
    if not values.size:
        return float("nan")
    mean = float(values.mean())
    if metric in ROOTS:
        return float(np.sqrt(mean))
    if metric == "wql":
        size = np.abs(scored.actual[np.isfinite(scored.actual)]).mean()
        return mean / float(size) if size else float("nan")
    return mean


def score(scored: Scored) -> dict[str, float]:
    """Return every metric over all windows and steps.

    All are NaN if one forecast of an observed target is not a number: leaving it out would make
    a broken model look good.
    """
    if not np.isfinite(scored.quantiles[np.isfinite(scored.actual)]).all():
        return dict.fromkeys(METRICS, float("nan"))
    return {name: summarise(name, function(scored), scored) for name, function in METRICS.items()}


def list_changes(
    target: Floats, offsets: NDArray[np.int64], season: int, until: NDArray[np.int64]
) -> tuple[Floats, NDArray[np.int64]]:
    """Return the observed seasonal differences of S series, series by series.

    Args:
        target: R targets, NaN where missing.
        offsets: S + 1 positions.
        season: (steps).
        until: S positions after the last row that counts.

    Returns:
        The differences, and the number of the series of each.
    """
    counts = np.maximum(np.minimum(until, offsets[1:]) - offsets[:-1] - season, 0)
    series = np.repeat(np.arange(len(until)), counts)
    # Position of each difference's older row: the first of its series, the next, ...
    older = np.arange(len(series)) + (offsets[:-1] - np.cumsum(counts) + counts)[series]
    change = target[older + season] - target[older]
    seen = np.isfinite(change)
    return change[seen], series[seen]


def measure_scale(
    target: Floats,
    offsets: NDArray[np.int64],
    season: int,
    until: NDArray[np.int64],
    *,
    squared: bool = False,
) -> Floats:
    """Return the in-sample error of the seasonal naive of S series: the unit of MASE.

    Args:
        target: R targets, NaN where missing.
        offsets: S + 1 positions.
        season: (steps).
        until: S positions after the last training row.
        squared: the root of the mean square instead, the unit of RMSSE.

    Returns:
        S mean absolute seasonal differences; NaN where there are none, or all are zero.
    """
    change, series = list_changes(target, offsets, season, until)
    counts = np.bincount(series, minlength=len(until))
    totals = np.bincount(series, change**2 if squared else np.abs(change), len(until))
    scale: Floats = np.full(len(until), np.nan)
    np.divide(totals, counts, out=scale, where=totals > 0)
    return np.sqrt(scale) if squared else scale

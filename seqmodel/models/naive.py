"""Seasonal naive and drift: the baseline of every score, and the forecast when no model serves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seqmodel.metrics import list_changes
from seqmodel.panel import Panel
from seqmodel.quantiles import measure_quantiles
from seqmodel.target_features import hold
from seqmodel.windows import Windows

Floats = NDArray[np.float64]
#: Seasons looked back through until one has the step observed.
SEASONS_BACK = 4
MEDIAN = 0.5


def predict_naive(
    panel: Panel,
    index: Windows,
    lookback: int,
    horizon: int,
    season: int,
    levels: tuple[float, ...],
    until: int,
) -> Floats:
    """Repeat the newest season that was observed before the cutoff.

    The quantiles add those of the series' own seasonal differences over rows up to `until`
    (R. J. Hyndman, G. Athanasopoulos: Forecasting: Principles and Practice, 3rd ed., 5.5, take
    normal ones instead of these empirical ones).

    Args:
        panel: rows of S series.
        index: N windows.
        lookback: L (steps).
        horizon: H (steps).
        season: (steps).
        levels: Q quantile levels.
        until: grid number of the last row whose differences are measured.

    Returns:
        N x H x Q in the target's unit.
    """
    target = panel.values["target"]
    cutoff = index.starts + lookback - 1  # N rows
    begin = panel.offsets[:-1][index.series]
    steps = np.arange(1, horizon + 1)
    point = np.full((len(index), horizon), np.nan)
    for back in range(SEASONS_BACK):
        rows = cutoff[:, None] + steps - season * (-(-steps // season) + back)
        usable = np.isnan(point) & (rows >= begin[:, None])
        point[usable] = target[rows[usable]]
    begins = panel.offsets[:-1][panel.series_of_row]
    last = np.nan_to_num(hold(target, begins))[cutoff]
    point = np.where(np.isnan(point), last[:, None], point)
    spread = measure_spread(panel, season, levels, until)[index.series]  # N x Q
    return point[:, :, None] + spread[:, None, :]


def predict_drift(
    panel: Panel,
    index: Windows,
    lookback: int,
    horizon: int,
    season: int,  # noqa: ARG001 - all baselines are called alike
    levels: tuple[float, ...],
    until: int,
) -> Floats:
    """Draw the line from a series' first observed value through its newest one.

    The quantiles add those of the series' changes from step to step, less their mean, times the
    root of the distance (R. J. Hyndman, G. Athanasopoulos: Forecasting: Principles and Practice,
    3rd ed., 5.2 and 5.5, take normal ones instead of these empirical ones).

    Args:
        panel: rows of S series.
        index: N windows.
        lookback: L (steps).
        horizon: H (steps).
        season: not used.
        levels: Q quantile levels.
        until: grid number of the last row whose changes are measured.

    Returns:
        N x H x Q in the target's unit.
    """
    target = panel.values["target"]
    begins = panel.offsets[:-1][panel.series_of_row]
    cutoff = index.starts + lookback - 1
    places = np.where(np.isfinite(target), np.arange(panel.rows), np.nan)
    newest = hold(places, begins)[cutoff]
    seen = np.flatnonzero(np.isfinite(target))
    first = np.full(len(panel.ids), panel.rows - 1)
    np.minimum.at(first, panel.series_of_row[seen], seen)
    oldest = first[index.series]
    known = np.isfinite(newest)
    last = np.where(known, newest, 0).astype(np.int64)
    steps = last - oldest
    rise = np.where(known & (steps > 0), target[last] - target[oldest], 0.0)
    slope = rise / np.maximum(steps, 1)
    ahead = (cutoff - last)[:, None] + np.arange(1, horizon + 1)
    point = np.where(known, target[last], 0.0)[:, None] + slope[:, None] * ahead
    spread = measure_spread(panel, 1, levels, until, centred=True)[index.series]
    found: Floats = point[:, :, None] + spread[:, None, :] * np.sqrt(ahead)[:, :, None]
    return found


#: Name of a baseline -> what forecasts.
BASELINES = {"seasonal_naive": predict_naive, "drift": predict_drift}


def measure_spread(
    panel: Panel, season: int, levels: tuple[float, ...], until: int, *, centred: bool = False
) -> Floats:
    """Return quantiles of each series' seasonal differences, S x Q, 0 at the level 0.5.

    Args:
        panel: rows of S series.
        season: (steps).
        levels: Q quantile levels.
        until: grid number of the last row that counts.
        centred: subtract each series' mean difference.
    """
    ends = panel.offsets[:-1] + np.maximum(until + 1 - panel.first, 0)
    change, series = list_changes(panel.values["target"], panel.offsets, season, ends)
    if centred:
        sizes = np.maximum(np.bincount(series, minlength=len(panel.ids)), 1)
        change = change - (np.bincount(series, change, len(panel.ids)) / sizes)[series]
    found = measure_quantiles(change, series, len(panel.ids), np.array(levels))
    # The point forecast is the median by decree; the others keep to their sides.
    below, above = np.array(levels) < MEDIAN, np.array(levels) > MEDIAN
    return np.where(below, np.minimum(found, 0), 0.0) + np.where(above, np.maximum(found, 0), 0.0)

"""Seasonal naive: the baseline of every score, and the forecast when no model serves."""

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


def measure_spread(panel: Panel, season: int, levels: tuple[float, ...], until: int) -> Floats:
    """Return quantiles of each series' seasonal differences, S x Q, 0 at the level 0.5."""
    ends = panel.offsets[:-1] + np.maximum(until + 1 - panel.first, 0)
    change, series = list_changes(panel.values["target"], panel.offsets, season, ends)
    found = measure_quantiles(change, series, len(panel.ids), np.array(levels))
    # The point forecast is the median by decree; the others keep to their sides.
    below, above = np.array(levels) < MEDIAN, np.array(levels) > MEDIAN
    return np.where(below, np.minimum(found, 0), 0.0) + np.where(above, np.maximum(found, 0), 0.0)

"""Seasonal naive: the baseline of every score, and the forecast when no model serves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seqmodel.panel import Panel
from seqmodel.windows import WindowIndex

Floats = NDArray[np.float64]
#: Seasons looked back through until one has the step observed.
SEASONS_BACK = 4


def predict_naive(
    panel: Panel,
    index: WindowIndex,
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
    last = _last_observed(target, panel.offsets)[cutoff]
    point = np.where(np.isnan(point), last[:, None], point)
    spread = measure_spread(panel, season, levels, until)[index.series]  # N x Q
    return point[:, :, None] + spread[:, None, :]


def measure_spread(panel: Panel, season: int, levels: tuple[float, ...], until: int) -> Floats:
    """Return quantiles of each series' seasonal differences, S x Q, 0 at the level 0.5."""
    spread = np.zeros((len(panel.ids), len(levels)))
    for s in range(len(panel.ids)):
        end = panel.offsets[s] + max(until + 1 - panel.first[s], 0)
        values = panel.values["target"][panel.offsets[s] : end]
        change = values[season:] - values[:-season]
        change = change[np.isfinite(change)]
        if len(change):
            found = np.quantile(change, levels)
            # The point forecast is the median by decree; the others keep to their sides.
            spread[s] = np.where(
                np.array(levels) < 0.5, np.minimum(found, 0), np.maximum(found, 0)
            ) * (np.array(levels) != 0.5)
    return spread


def _last_observed(target: Floats, offsets: NDArray[np.int64]) -> Floats:
    """Return for each row the newest observed target of its series so far; 0 before the first."""
    rows = np.where(np.isfinite(target), np.arange(len(target)), -1)
    rows = np.maximum.accumulate(rows)
    begin = np.repeat(offsets[:-1], np.diff(offsets))
    return np.where(rows >= begin, target[np.maximum(rows, 0)], 0.0)

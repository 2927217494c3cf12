"""Statistical baselines: what a model must beat, what forecasts while none serves, and members.

All are called alike. What they measure on training rows, the spread of their errors and where a
series began, is kept apart (`Baseline`), so that a member of an ensemble carries it in its bundle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.metrics import list_changes
from seqmodel.panel import Panel
from seqmodel.quantiles import measure_quantiles
from seqmodel.specs import Baseline as Name
from seqmodel.target_features import hold
from seqmodel.windows import Windows

Floats = NDArray[np.float64]
#: Seasons looked back through until one has the step observed.
SEASONS_BACK = 4
MEDIAN = 0.5


@final
@dataclass(frozen=True)
class Baseline:
    """A statistical forecast, and what it measured of S series.

    Attributes:
        name: which.
        season: (steps).
        levels: Q quantile levels.
        ids: S series.
        spread: S x Q quantiles of its errors one step or one season ahead (target's unit).
        begins: S grid numbers of the first observed values.
        first: S first observed values.
    """

    name: Name
    season: int
    levels: tuple[float, ...]
    ids: tuple[str, ...]
    spread: Floats
    begins: NDArray[np.int64]
    first: Floats

    @classmethod
    def fit(
        cls, name: Name, panel: Panel, season: int, levels: tuple[float, ...], until: int
    ) -> Self:
        """Measure a baseline on rows up to a grid number.

        Args:
            name: which.
            panel: rows of S series.
            season: (steps).
            levels: Q quantile levels.
            until: grid number of the last row that counts.
        """
        walk = name != "seasonal_naive"
        spread = measure_spread(panel, 1 if walk else season, levels, until, centred=walk)
        target = panel.values["target"]
        rows = np.flatnonzero(np.isfinite(target) & (panel.number_of_row <= until))
        taught, at = np.unique(panel.series_of_row[rows], return_index=True)
        return cls(
            name=name,
            season=season,
            levels=levels,
            ids=tuple(panel.ids[s] for s in taught),
            spread=spread[taught],
            begins=panel.number_of_row[rows[at]],
            first=target[rows[at]],
        )

    def predict(self, panel: Panel, index: Windows, lookback: int, horizon: int) -> Floats:
        """Forecast N windows; a series never measured has no spread.

        Returns:
            N x H x Q in the target's unit.
        """
        places = {series_id: i for i, series_id in enumerate(self.ids)}
        position = np.array([places.get(i, -1) for i in panel.ids], dtype=np.int64)[index.series]
        point, growth = POINTS[self.name](self, panel, index, lookback, horizon, position)
        spread = np.zeros((len(index), len(self.levels)))
        spread[position >= 0] = self.spread[position[position >= 0]]
        found: Floats = point[:, :, None] + spread[:, None, :] * growth[:, :, None]
        return found

    @property
    def reach(self) -> int:
        """How far before a cutoff it looks (steps), a season at least observed in one of four."""
        return self.season * (SEASONS_BACK + 1) if self.name == "seasonal_naive" else 0

    def to_json(self) -> dict[str, Any]:
        """Return everything measured as JSON."""
        return {
            "name": self.name,
            "season": self.season,
            "levels": list(self.levels),
            "ids": list(self.ids),
            "spread": self.spread.tolist(),
            "begins": self.begins.tolist(),
            "first": self.first.tolist(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Read what `to_json` returned."""
        levels = tuple(value["levels"])
        return cls(
            name=value["name"],
            season=value["season"],
            levels=levels,
            ids=tuple(value["ids"]),
            spread=np.array(value["spread"], np.float64).reshape(-1, len(levels)),
            begins=np.array(value["begins"], np.int64),
            first=np.array(value["first"], np.float64),
        )


Points = tuple[Floats, Floats]


def _repeat_season(
    fitted: Baseline,
    panel: Panel,
    index: Windows,
    lookback: int,
    horizon: int,
    _position: NDArray[np.int64],
) -> Points:
    """Repeat the newest season that was observed before the cutoff."""
    target, season = panel.values["target"], fitted.season
    cutoff = index.starts + lookback - 1  # N rows
    begin = panel.offsets[:-1][index.series]
    steps = np.arange(1, horizon + 1)
    point = np.full((len(index), horizon), np.nan)
    for back in range(SEASONS_BACK):
        rows = cutoff[:, None] + steps - season * (-(-steps // season) + back)
        usable = np.isnan(point) & (rows >= begin[:, None])
        point[usable] = target[rows[usable]]
    begins = panel.spread(panel.offsets[:-1])
    last = np.nan_to_num(hold(target, begins))[cutoff]
    return np.where(np.isnan(point), last[:, None], point), np.ones_like(point)


def _find_newest(panel: Panel, cutoff: NDArray[np.int64]) -> tuple[NDArray[np.int64], Floats]:
    """Return the rows of the newest observed values at N cutoffs, -1 for none, and the values."""
    target = panel.values["target"]
    begins = panel.spread(panel.offsets[:-1])
    places = np.where(np.isfinite(target), np.arange(panel.rows), np.nan)
    newest = hold(places, begins)[cutoff]
    known = np.isfinite(newest)
    rows = np.where(known, newest, -1).astype(np.int64)
    return rows, np.where(known, target[rows], 0.0)


def _repeat_newest(
    _fitted: Baseline,
    panel: Panel,
    index: Windows,
    lookback: int,
    horizon: int,
    _position: NDArray[np.int64],
) -> Points:
    """Repeat the newest observed value; errors grow with the root of the distance."""
    cutoff = index.starts + lookback - 1
    rows, values = _find_newest(panel, cutoff)
    ahead = np.where(rows >= 0, cutoff - rows, 0)[:, None] + np.arange(1, horizon + 1)
    return np.repeat(values[:, None], horizon, axis=1), np.sqrt(ahead)


def _draw_line(
    fitted: Baseline,
    panel: Panel,
    index: Windows,
    lookback: int,
    horizon: int,
    position: NDArray[np.int64],
) -> Points:
    """Draw the line from a series' first observed value through its newest one.

    That of a series never measured begins at its first observed value of the lookback, wherever
    the panel begins.
    """
    cutoff = index.starts + lookback - 1
    rows, values = _find_newest(panel, cutoff)
    target, offsets = panel.values["target"], panel.offsets[:-1][index.series]
    seen = np.append(np.flatnonzero(np.isfinite(target)), panel.rows)
    oldest = seen[np.searchsorted(seen, np.maximum(index.starts, offsets))]
    oldest = np.where(rows >= 0, np.minimum(oldest, rows), rows)
    shift = panel.first[index.series] - offsets  # grid number less row
    measured = position >= 0
    begins = np.where(measured, np.append(fitted.begins, 0)[position], oldest + shift)
    first = np.where(measured, np.append(fitted.first, 0.0)[position], target[oldest])
    steps = np.where(rows >= 0, rows + shift - begins, 0)
    slope = np.where(steps > 0, values - first, 0.0) / np.maximum(steps, 1)
    ahead = np.where(rows >= 0, cutoff - rows, 0)[:, None] + np.arange(1, horizon + 1)
    return values[:, None] + slope[:, None] * ahead, np.sqrt(ahead)


#: Name of a baseline -> points N x H, and N x H by which its spread is multiplied.
POINTS: dict[Name, Callable[..., Points]] = {
    "seasonal_naive": _repeat_season,
    "naive": _repeat_newest,
    "drift": _draw_line,
}


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
    fitted = Baseline.fit("seasonal_naive", panel, season, levels, until)
    return fitted.predict(panel, index, lookback, horizon)


def predict_last(
    panel: Panel,
    index: Windows,
    lookback: int,
    horizon: int,
    season: int,
    levels: tuple[float, ...],
    until: int,
) -> Floats:
    """Repeat the newest observed value: the naive forecast.

    The quantiles add those of the series' changes from step to step, less their mean, times the
    root of the distance. Arguments and result as in `predict_naive`.
    """
    fitted = Baseline.fit("naive", panel, season, levels, until)
    return fitted.predict(panel, index, lookback, horizon)


def predict_drift(
    panel: Panel,
    index: Windows,
    lookback: int,
    horizon: int,
    season: int,
    levels: tuple[float, ...],
    until: int,
) -> Floats:
    """Draw the line from a series' first observed value through its newest one.

    The quantiles add those of the series' changes from step to step, less their mean, times the
    root of the distance (R. J. Hyndman, G. Athanasopoulos: Forecasting: Principles and Practice,
    3rd ed., 5.2 and 5.5, take normal ones instead of these empirical ones). Arguments and result
    as in `predict_naive`.
    """
    fitted = Baseline.fit("drift", panel, season, levels, until)
    return fitted.predict(panel, index, lookback, horizon)


#: Name of a baseline -> what forecasts.
BASELINES: dict[str, Callable[..., Floats]] = {
    "seasonal_naive": predict_naive,
    "naive": predict_last,
    "drift": predict_drift,
}


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

"""What makes a forecast's intervals be met as often as they say; it travels in the model bundle.

The shifts of every step and level are conformal quantiles of the holdout's scores. Windows to come
never quite are exchangeable with these; `adaptive` goes on to move the levels by what the newest
cutoffs showed (I. Gibbs, E. Candes: Adaptive conformal inference under distribution shift, NeurIPS
2021), all windows and steps of a cutoff at once. The median is the point forecast and stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.ensembling import keep_ascending
from seqmodel.limiting import limit_forecast
from seqmodel.panel import Panel
from seqmodel.scaling import Scaler
from seqmodel.specs import ForecastSpec
from seqmodel.specs.model import MEDIAN

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
#: Levels around each one for which adaptive shifts are kept.
SPAN, PLACES = 0.15, 31
#: Share of the series' scale that is added to a width used as unit: a width may be 0.
FLOOR = 0.1


@final
@dataclass(frozen=True)
class Units:
    """What scores of S series are measured in.

    Attributes:
        kind: the scale of the series, or the width of the forecast.
        ids: S series.
        scaler: its spreads are the scales: mean seasonal differences of training rows.
        lookback: newest rows that scale a series never measured (steps).
        season: (steps).
    """

    kind: Literal["series", "width"]
    ids: tuple[str, ...]
    scaler: Scaler
    lookback: int
    season: int

    @cached_property
    def _places(self) -> dict[str, int]:
        return {series_id: i for i, series_id in enumerate(self.ids)}

    @classmethod
    def fit(
        cls, kind: Literal["series", "width"], panel: Panel, until: int, lookback: int, season: int
    ) -> Self:
        """Measure the scales on rows up to a grid number."""
        rows = panel.number_of_row <= until
        scaler = _measure(panel, rows, season)
        seen = rows & np.isfinite(panel.values["target"])
        taught = np.unique(panel.series_of_row[seen])
        ids = tuple(panel.ids[s] for s in taught)
        scaler = Scaler(scaler.location[taught], scaler.spread[taught])
        return cls(kind, ids, scaler, lookback, season)

    def align(self, panel: Panel, until: int) -> Floats:
        """Return S scales in a panel's order of series; a new one's is that of its newest rows."""
        positions = np.array([self._places.get(i, -1) for i in panel.ids], dtype=np.int64)
        if len(self.ids) and (positions >= 0).all():
            return self.scaler.spread[positions]
        numbers = panel.number_of_row
        newest = (numbers <= until) & (numbers > until - self.lookback)
        rows = newest & panel.spread(positions < 0)
        seen = np.zeros(len(panel.ids), dtype=bool)
        seen[panel.series_of_row[rows & np.isfinite(panel.values["target"])]] = True
        own = _measure(panel, rows, self.season)
        return self.scaler.take(positions, self.scaler.average(own, seen)).spread

    def measure(self, quantiles: Floats, levels: tuple[float, ...], scale: Floats) -> Floats:
        """Return the unit of N x H x Q quantiles, of windows with N scales."""
        unit = np.broadcast_to(scale[:, None, None], quantiles.shape)
        if self.kind == "series":
            return unit
        middle = quantiles[:, :, levels.index(MEDIAN), None]
        return np.asarray(np.abs(quantiles - middle) + FLOOR * unit)


def _measure(panel: Panel, rows: NDArray[np.bool_], season: int) -> Scaler:
    values = np.where(rows, panel.values["target"], np.nan)
    return Scaler.fit(values, panel.series_of_row, len(panel.ids), "seasonal", season)


@final
@dataclass(frozen=True)
class Calibration:
    """Shifts of every level and step.

    Attributes:
        kind: whether the levels move on with each cutoff.
        levels: Q, 0.5 among them.
        limits: within which the forecasts were published that it was measured for.
        units: what the shifts are measured in.
        offsets: G distances from a level, 0 among them, ascending.
        shifts: H x Q x G shifts, those of the levels themselves and of the levels around.
        windows: how many windows they were measured on.
        after: grid number of the last row that anything was trained on.
        step: distance between the cutoffs that adaptive levels learn from (steps).
        rate: step of the adaptive levels.
        cutoffs: how many of the newest cutoffs they learn from.
    """

    kind: Literal["split", "adaptive"]
    levels: tuple[float, ...]
    limits: ForecastSpec
    units: Units
    offsets: tuple[float, ...]
    shifts: Floats
    windows: int
    after: int
    step: int
    rate: float
    cutoffs: int

    @property
    def horizon(self) -> int:
        """H (steps)."""
        return len(self.shifts)

    def apply(self, quantiles: Floats, scale: Floats, moved: Floats | None = None) -> Floats:
        """Shift the quantiles of N windows.

        Args:
            quantiles: N x H x Q, ascending (target's unit).
            scale: N scales of the windows' series (target's unit).
            moved: Q distances by which the levels have moved, none by default.

        Returns:
            N x H x Q, ascending; the median is as it was.
        """
        unit = self.units.measure(quantiles, self.levels, scale)
        return keep_ascending(quantiles + self._look_up(moved) * unit, self.levels)

    def _look_up(self, moved: Floats | None) -> Floats:
        """Return H x Q shifts of the levels, or of those they have moved to."""
        if moved is None:
            return self.shifts[:, :, self.offsets.index(0.0)]
        places = np.array(self.offsets)
        at = np.clip(moved, places[0], places[-1])
        right = np.clip(np.searchsorted(places, at), 1, max(len(places) - 1, 1))
        if len(places) == 1:
            return self.shifts[:, :, 0]
        share = (at - places[right - 1]) / (places[right] - places[right - 1])
        pick = np.arange(len(self.levels))
        low, high = self.shifts[:, pick, right - 1], self.shifts[:, pick, right]
        return np.asarray(low + share * (high - low))

    def move(self, moved: Floats, quantiles: Floats, scale: Floats, actual: Floats) -> Floats:
        """Return how far the levels are moved after one more cutoff.

        A level that was met less often than it says goes up by `rate` times the difference.

        Args:
            moved: Q distances so far.
            quantiles: N x H x Q of the cutoff, before any shift.
            scale: N scales.
            actual: N x H, NaN where missing.
        """
        seen = np.isfinite(actual)
        if not seen.any():
            return moved
        shifted = self.apply(quantiles, scale, moved)
        found = limit_forecast(shifted, self.limits, self.levels)
        levels, came = np.array(self.levels), actual[:, :, None]
        # Of an interval's lower end counts what falls below it: its own value is inside.
        met = np.where(levels < MEDIAN, came < found, came <= found)[seen].mean(axis=0)
        step = np.where(levels == MEDIAN, 0.0, self.rate * (levels - met))
        return np.asarray(np.clip(moved + step, -SPAN, SPAN))

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON."""
        return {
            "kind": self.kind,
            "levels": list(self.levels),
            "limits": self.limits.model_dump(mode="json"),
            "unit": self.units.kind,
            "ids": list(self.units.ids),
            "scale": self.units.scaler.spread.tolist(),
            "lookback": self.units.lookback,
            "season": self.units.season,
            "offsets": list(self.offsets),
            "shifts": self.shifts.tolist(),
            "windows": self.windows,
            "after": self.after,
            "step": self.step,
            "rate": self.rate,
            "cutoffs": self.cutoffs,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Read what `to_json` returned."""
        scale = np.array(value["scale"], np.float64)
        units = Units(
            value["unit"],
            tuple(value["ids"]),
            Scaler(np.zeros_like(scale), scale),
            value["lookback"],
            value["season"],
        )
        names = ("kind", "windows", "after", "step", "rate", "cutoffs")
        return cls(
            levels=tuple(value["levels"]),
            limits=ForecastSpec.model_validate(value["limits"]),
            units=units,
            offsets=tuple(value["offsets"]),
            shifts=np.array(value["shifts"], np.float64),
            **{name: value[name] for name in names},
        )

"""Real targets: quantiles against what came, in the target's unit and in seasonal naives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.grid import to_datetime
from seqmodel.metrics import METRICS, Scored, absolute_error, measure_scale, score, summarise
from seqmodel.panel import Panel
from seqmodel.scoring.intervals import measure_intervals
from seqmodel.scoring.protocol import Prediction
from seqmodel.specs import PipelineSpec
from seqmodel.splitting import Parts as Split
from seqmodel.tallying import Parts, part_scored
from seqmodel.windows import Windows

Floats = NDArray[np.float64]
#: Steps of history shown before a forecast, in horizons.
SHOWN_HORIZONS = 4


@final
class RealScoring:
    """Scores quantiles.

    Args:
        spec: the pipeline.
        panel: rows of S series.
        index: N windows.
        split: the unit of MASE is measured on rows up to its holdout's end.
    """

    main = "mase"
    by_step = "mae"

    def __init__(self, spec: PipelineSpec, panel: Panel, index: Windows, split: Split) -> None:
        self.spec, self.panel, self.index = spec, panel, index
        self.actual = take_actuals(panel, index, spec)
        ends = panel.offsets[:-1] + np.maximum(split.holdout + 1 - panel.first, 0)
        season = spec.source.season
        measured = (panel.values["target"], panel.offsets, season, ends)
        self.scale = measure_scale(*measured)[index.series]
        self.root_scale = measure_scale(*measured, squared=True)[index.series]

    @property
    def observed(self) -> bool:
        """Whether there is a target to score."""
        return bool(np.isfinite(self.actual).any())

    def part(self, said: Prediction) -> Parts:
        """Return what every metric is made of."""
        return part_scored(self._pair(said))

    def measure(self, said: Prediction) -> dict[str, float]:
        """Return every metric."""
        return score(self._pair(said))

    def choose_part(self, metric: str | None) -> str:
        """Return the metric itself: all are means of contributions, or roots of such."""
        return metric or self.main

    def contribute(self, said: Prediction, metric: str | None = None) -> Floats:
        """Return the N x H contributions to a metric; by default the scaled errors."""
        return METRICS[metric or self.main](self._pair(said))

    def measure_steps(self, said: Prediction) -> list[float]:
        """Return the mean absolute error at each step (target's unit)."""
        scored = self._pair(said)
        error = absolute_error(scored)
        return [summarise(self.by_step, error[:, h], scored) for h in range(error.shape[1])]

    def describe(
        self, said: Mapping[str, Prediction], ranking: Mapping[str, float | None]
    ) -> dict[str, Any]:
        """Return the intervals' coverage and width, and the best, the median and the worst series.

        These are shown at the last cutoff, as fans.
        """
        levels = self.spec.output.levels
        intervals = {
            name: measure_intervals(one.values, self.actual, levels) for name, one in said.items()
        }
        return {"intervals": intervals, **self._draw_fans(said, ranking)}

    def _draw_fans(
        self, said: Mapping[str, Prediction], ranking: Mapping[str, float | None]
    ) -> dict[str, Any]:
        ranked = sorted((v, k) for k, v in ranking.items() if v is not None)
        if not ranked:
            return {"fans": []}
        chosen = {"best": 0, "median": len(ranked) // 2, "worst": len(ranked) - 1}
        return {
            "fans": [self._draw(label, *ranked[place], said) for label, place in chosen.items()]
        }

    def _pair(self, said: Prediction) -> Scored:
        levels = self.spec.output.levels
        return Scored(self.actual, said.values, levels, self.scale, self.root_scale)

    def _draw(
        self, label: str, value: float, series_id: str, said: Mapping[str, Prediction]
    ) -> dict[str, Any]:
        panel, index = self.panel, self.index
        window = int(np.flatnonzero(index.series == panel.ids.index(series_id))[-1])
        mine = said["challenger"].values[window]
        return {
            "series_id": series_id,
            "label": label,
            "score": value,
            **draw_history(panel, index, window, self.spec),
            "quantiles": {
                f"{level:g}": mine[:, q].tolist() for q, level in enumerate(self.spec.output.levels)
            },
            "actual": blank(self.actual[window]),
            "baseline": blank(self._pair(said["baseline"]).point[window]),
        }


def take_actuals(panel: Panel, index: Windows, spec: PipelineSpec) -> Floats:
    """Return the observed targets of N windows, N x H, NaN where missing."""
    rows = index.starts[:, None] + spec.window.lookback + np.arange(spec.window.horizon)
    actual: Floats = panel.values["target"][rows]
    return actual


def draw_history(panel: Panel, index: Windows, window: int, spec: PipelineSpec) -> dict[str, Any]:
    """Return the last steps before a window's cutoff, and the moments of its horizon."""
    lookback, horizon = spec.window.lookback, spec.window.horizon
    cut = int(index.starts[window]) + lookback
    series = int(index.series[window])
    begin = max(
        int(index.starts[window]), int(panel.offsets[series]), cut - SHOWN_HORIZONS * horizon
    )
    number = int(panel.first[series] + begin - panel.offsets[series])
    moments = panel.grid.moment(number + np.arange(cut - begin + horizon))
    shown = [to_datetime(int(m)).isoformat() for m in moments]
    return {
        "history_at": shown[: cut - begin],
        "history": blank(panel.values["target"][begin:cut]),
        "forecast_at": shown[cut - begin :],
    }


def blank(values: Floats) -> list[float | None]:
    """Return figures as JSON has them: None where there is none."""
    return [float(v) if np.isfinite(v) else None for v in values]

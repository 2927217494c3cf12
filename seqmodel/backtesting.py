"""Challenger, champion and baseline on the same windows, at rolling cutoffs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqmodel.errors import DataError
from seqmodel.forecasting import limit_forecast, predict_quantiles
from seqmodel.grid import to_datetime
from seqmodel.metrics import METRICS, Scored, absolute_error, measure_scale, score, summarise
from seqmodel.models.naive import BASELINES
from seqmodel.panel import Panel
from seqmodel.specs import PipelineSpec
from seqmodel.splitting import draw_split, split_steps
from seqmodel.store.refs import BacktestRef, ModelRef, RunRef, TableRef
from seqmodel.store.store import Store
from seqmodel.windowing import load_panel
from seqmodel.windows import Windows, index_cutoffs

Floats = NDArray[np.float64]
#: Steps of history shown before a forecast, in horizons.
SHOWN_HORIZONS = 4


def backtest_models(
    store: Store,
    run: RunRef,
    table: TableRef,
    models: dict[str, ModelRef],
    spec: PipelineSpec,
) -> BacktestRef:
    """Score stored models and the seasonal naive, and write `backtest.json`.

    Args:
        store: the data root.
        run: which run asks.
        table: a judged table.
        models: candidate (`challenger`, `champion`) -> version.
        spec: the pipeline.

    Raises:
        DataError: if no target of the backtest was observed.
    """
    panel = load_panel(store, table, spec)
    split = split_steps(int(panel.first.min()), panel.cutoff, spec)
    index = index_cutoffs(
        panel.first,
        panel.offsets,
        spec.window.lookback,
        split.cutoffs,
        spec.window.least_rows,
    )
    actual = take_actuals(panel, index, spec)
    if not np.isfinite(actual).any():
        raise DataError(
            "found no observed target in the backtest, needed some to score; lower backtest.cutoffs"
            " or bring newer data"
        )
    scale = _scale(panel, split.holdout, spec.source.season)[index.series]
    forecasts = _predict_all(store, panel, index, split.cutoffs, models, spec)
    scored = {
        name: Scored(actual, limit_forecast(quantiles, spec.forecast), spec.output.levels, scale)
        for name, quantiles in forecasts.items()
    }
    scores = {name: score(s) for name, s in scored.items()}
    moments = [to_datetime(int(m)) for m in panel.grid.moment(split.cutoffs)]
    by_series = {name: _score_series(panel, index, s) for name, s in scored.items()}
    key = f"{run.key}/backtest.json"
    store.write_json(
        key,
        {
            "table": table.fingerprint,
            "cutoffs": [m.isoformat() for m in moments],
            "windows": len(index),
            "timeline": draw_split(split, _shower(panel)),
            "season_length": spec.source.season,
            "baseline": spec.backtest.baseline,
            "versions": {name: model.version for name, model in models.items()},
            "scores": _plain(scores),
            "by_step": {name: _score_steps(s) for name, s in scored.items()},
            "by_cutoff": {name: _score_cutoffs(panel, index, s) for name, s in scored.items()},
            "by_series": by_series,
            "fans": _pick_fans(panel, index, scored, by_series["challenger"], spec),
        },
    )
    return BacktestRef(key=key, windows=len(index), cutoffs=tuple(moments), scores=_plain(scores))


def _shower(panel: Panel) -> Callable[[int], str]:
    """Return what writes a grid number as a moment."""
    return lambda number: (
        f"{to_datetime(int(panel.grid.moment(np.array([number]))[0])):%Y-%m-%d %H:%M}"
    )


def take_actuals(panel: Panel, index: Windows, spec: PipelineSpec) -> Floats:
    """Return the observed targets of N windows, N x H, NaN where missing."""
    rows = index.starts[:, None] + spec.window.lookback + np.arange(spec.window.horizon)
    actual: Floats = panel.values["target"][rows]
    return actual


def _predict_all(
    store: Store,
    panel: Panel,
    index: Windows,
    cutoffs: NDArray[np.int64],
    models: dict[str, ModelRef],
    spec: PipelineSpec,
) -> dict[str, Floats]:
    found: dict[str, Floats] = {}
    for name, model in models.items():
        _, found[name] = predict_quantiles(store, model.key, panel, cutoffs, spec.window.least_rows)
    found["baseline"] = BASELINES[spec.backtest.baseline](
        panel,
        index,
        spec.window.lookback,
        spec.window.horizon,
        spec.source.season,
        spec.output.levels,
        int(cutoffs[0]),
    )
    return found


def _scale(panel: Panel, until: int, season: int) -> Floats:
    ends = panel.offsets[:-1] + np.maximum(until + 1 - panel.first, 0)
    return measure_scale(panel.values["target"], panel.offsets, season, ends)


def _score_steps(scored: Scored) -> list[float | None]:
    error = absolute_error(scored)
    return [_finite(summarise("mae", error[:, step], scored)) for step in range(error.shape[1])]


def _score_series(panel: Panel, index: Windows, scored: Scored) -> dict[str, float | None]:
    error = METRICS["mase"](scored)
    return {
        panel.ids[s]: _finite(summarise("mase", error[index.series == s], scored))
        for s in np.unique(index.series)
    }


def _score_cutoffs(panel: Panel, index: Windows, scored: Scored) -> dict[str, float | None]:
    error = METRICS["mase"](scored)
    numbers = index.starts - (panel.offsets[:-1] - panel.first)[index.series]
    found = {}
    for number in np.unique(numbers):
        cutoff = number - numbers.max() + panel.cutoff - error.shape[1]
        moment = to_datetime(int(panel.grid.moment(np.array([cutoff]))[0]))
        found[moment.isoformat()] = _finite(summarise("mase", error[numbers == number], scored))
    return found


def _pick_fans(
    panel: Panel,
    index: Windows,
    scored: dict[str, Scored],
    ranking: dict[str, float | None],
    spec: PipelineSpec,
) -> list[dict[str, Any]]:
    """Show the best, the median and the worst series at the last cutoff."""
    ranked = sorted((v, k) for k, v in ranking.items() if v is not None)
    if not ranked:
        return []
    chosen = {"best": 0, "median": len(ranked) // 2, "worst": len(ranked) - 1}
    fans = []
    for label, place in chosen.items():
        value, series_id = ranked[place]
        window = int(np.flatnonzero(index.series == panel.ids.index(series_id))[-1])
        fans.append(
            {
                "series_id": series_id,
                "label": label,
                "score": value,
                **draw_history(panel, index, window, spec),
                "quantiles": {
                    f"{level:g}": scored["challenger"].quantiles[window, :, q].tolist()
                    for q, level in enumerate(spec.output.levels)
                },
                "actual": _nullable(scored["challenger"].actual[window]),
                "baseline": _nullable(scored["baseline"].point[window]),
            }
        )
    return fans


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
        "history": _nullable(panel.values["target"][begin:cut]),
        "forecast_at": shown[cut - begin :],
    }


def _nullable(values: Floats) -> list[float | None]:
    return [_finite(float(v)) for v in values]


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _plain(scores: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Leave out what could not be measured: NaN is not JSON."""
    return {
        name: {metric: value for metric, value in row.items() if np.isfinite(value)}
        for name, row in scores.items()
    }

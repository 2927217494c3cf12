"""Challenger, champion and baseline on the same windows, at rolling cutoffs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from seqmodel.errors import DataError
from seqmodel.forecasting import predict_quantiles
from seqmodel.freshness import choose_fresh
from seqmodel.grid import to_datetime
from seqmodel.grouping import group_panel
from seqmodel.limiting import limit_forecast
from seqmodel.models.naive import BASELINES
from seqmodel.pairing import pair_losses
from seqmodel.panel import Panel
from seqmodel.scoring import HIGHER, Prediction, Scoring, choose_scoring
from seqmodel.specs import PipelineSpec
from seqmodel.splitting import Split, draw_split, split_steps
from seqmodel.store.comparisons import Paired
from seqmodel.store.refs import BacktestRef, ModelRef, RunRef, TableRef
from seqmodel.store.store import Store
from seqmodel.windowing import load_panel
from seqmodel.windows import Windows, index_cutoffs

Floats = NDArray[np.float64]


def backtest_models(
    store: Store,
    run: RunRef,
    table: TableRef,
    models: dict[str, ModelRef],
    spec: PipelineSpec,
) -> BacktestRef:
    """Score stored models and the baseline, and write `backtest.json`.

    Args:
        store: the data root.
        run: which run asks.
        table: a judged table.
        models: candidate (`challenger`, `champion`) -> version.
        spec: the pipeline.

    Raises:
        DataError: if no target of the backtest was observed, or if the challenger has learned from
            all of them.
    """
    panel = load_panel(store, table, spec)
    split = split_steps(int(panel.first.min()), panel.cutoff, spec)
    fresh = choose_fresh(panel.grid, split.cutoffs, models)
    index = index_cutoffs(
        panel.first,
        panel.offsets,
        spec.window.lookback,
        fresh.cutoffs,
        spec.window.least_rows,
    )
    scoring = choose_scoring(spec, panel, index, split)
    if not scoring.observed:
        raise DataError(
            "found no observed target in the backtest, needed some to score; lower backtest.cutoffs"
            " or bring newer data"
        )
    said = _predict_all(store, panel, index, fresh.cutoffs, fresh.models, spec)
    scores = {name: scoring.measure(one) for name, one in said.items()}
    moments = [to_datetime(int(m)) for m in panel.grid.moment(fresh.cutoffs)]
    paired = _pair_all(panel, index, scoring, said, split, spec)
    by_series = {name: _score_series(panel, index, scoring, one) for name, one in said.items()}
    key = f"{run.key}/backtest.json"
    store.write_json(
        key,
        {
            "table": table.fingerprint,
            "cutoffs": [m.isoformat() for m in moments],
            "windows": len(index),
            "timeline": draw_split(split, _shower(panel)),
            "season_length": spec.source.season,
            "baseline": spec.baseline,
            "metrics": {"main": scoring.main, "by_step": scoring.by_step},
            "versions": {name: model.version for name, model in fresh.models.items()},
            "scores": _plain(scores),
            "paired": {name: one.model_dump(mode="json") for name, one in paired.items()},
            "notes": fresh.notes,
            "by_step": {name: _list(scoring.measure_steps(one)) for name, one in said.items()},
            "by_cutoff": {
                name: _score_cutoffs(panel, index, scoring, one) for name, one in said.items()
            },
            "by_series": by_series,
            "by_group": {
                column: {
                    name: _score_groups(panel, index, scoring, one, column)
                    for name, one in said.items()
                }
                for column in spec.backtest.groups
            },
            **scoring.describe(said, by_series["challenger"]),
        },
    )
    return BacktestRef(
        key=key,
        windows=len(index),
        cutoffs=tuple(moments),
        scores=_plain(scores),
        metric=scoring.main,
        asked=len(split.cutoffs),
        paired=paired,
        nominal=_find_nominal(spec),
        notes=fresh.notes,
        obstacle=fresh.obstacle,
    )


def _find_nominal(spec: PipelineSpec) -> float | None:
    """Return the share of targets that the widest interval should cover."""
    share = spec.output.levels[-1] - spec.output.levels[0]
    return share if share > 0 else None


def _pair_all(
    panel: Panel,
    index: Windows,
    scoring: Scoring,
    said: dict[str, Prediction],
    split: Split,
    spec: PipelineSpec,
) -> dict[str, Paired]:
    """Put the challenger beside champion and baseline, window by window."""
    gate = spec.promotion
    metric = gate.metric or scoring.main
    sign = -1 if metric in HIGHER else 1
    losses = {
        name: sign * scoring.contribute(said[name], metric)
        for name in ("challenger", "champion", "baseline")
        if name in said
    }
    cutoffs = index.starts - (panel.offsets[:-1] - panel.first)[index.series]
    groups = group_panel(panel, gate.group_by, split.holdout)
    test = "diebold_mariano" if gate.test == "none" else gate.test
    overlap = -(-spec.window.horizon // spec.backtest.step)
    return {
        name: pair_losses(
            losses["challenger"], losses[name], cutoffs, index.series.astype(np.int64), groups,
            test=test, overlap=overlap,
        )
        for name in losses
        if name != "challenger"
    }  # fmt: skip


def _shower(panel: Panel) -> Callable[[int], str]:
    """Return what writes a grid number as a moment."""
    return lambda number: (
        f"{to_datetime(int(panel.grid.moment(np.array([number]))[0])):%Y-%m-%d %H:%M}"
    )


def _predict_all(
    store: Store,
    panel: Panel,
    index: Windows,
    cutoffs: NDArray[np.int64],
    models: dict[str, ModelRef],
    spec: PipelineSpec,
) -> dict[str, Prediction]:
    found: dict[str, Floats] = {}
    for name, model in models.items():
        _, found[name] = predict_quantiles(store, model.key, panel, cutoffs, spec.window.least_rows)
    window, season, levels = spec.window, spec.source.season, spec.output.levels
    for name, forecast in BASELINES.items():
        found["baseline" if name == spec.baseline else name] = forecast(
            panel, index, window.lookback, window.horizon, season, levels, int(cutoffs[0])
        )
    if spec.backtest.reference:
        found["reference"] = _read_reference(panel, index, spec)
    names = tuple(f"{level:g}" for level in spec.output.levels)
    return {
        name: Prediction(limit_forecast(values, spec.forecast, spec.output.levels), names)
        for name, values in found.items()
    }


def _read_reference(panel: Panel, index: Windows, spec: PipelineSpec) -> Floats:
    """Return a known covariate as a forecast, the same at every level, N x H x Q."""
    rows = index.starts[:, None] + spec.window.lookback + np.arange(spec.window.horizon)
    values = panel.values[str(spec.backtest.reference)][rows]
    return np.repeat(values[:, :, None], len(spec.output.levels), axis=2)


def _score_groups(
    panel: Panel, index: Windows, scoring: Scoring, said: Prediction, column: str
) -> dict[str, float | None]:
    """Return the main metric over the series of each value of a static covariate."""
    parts, labels = scoring.contribute(said), panel.static[column][index.series]
    names = np.array(["missing" if v is None else str(v) for v in labels])
    return {str(name): _mean(parts[names == name]) for name in np.unique(names)}


def _score_series(
    panel: Panel, index: Windows, scoring: Scoring, said: Prediction
) -> dict[str, float | None]:
    parts = scoring.contribute(said)
    return {panel.ids[s]: _mean(parts[index.series == s]) for s in np.unique(index.series)}


def _score_cutoffs(
    panel: Panel, index: Windows, scoring: Scoring, said: Prediction
) -> dict[str, float | None]:
    parts = scoring.contribute(said)
    numbers = index.starts - (panel.offsets[:-1] - panel.first)[index.series]
    found = {}
    for number in np.unique(numbers):
        cutoff = number - numbers.max() + panel.cutoff - parts.shape[1]
        moment = to_datetime(int(panel.grid.moment(np.array([cutoff]))[0]))
        found[moment.isoformat()] = _mean(parts[numbers == number])
    return found


def _mean(parts: Floats) -> float | None:
    """Return the mean of what was observed; None where nothing was."""
    seen = parts[np.isfinite(parts)]
    return float(seen.mean()) if seen.size else None


def _list(values: list[float]) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values]


def _plain(scores: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Leave out what could not be measured: NaN is not JSON."""
    return {
        name: {metric: value for metric, value in row.items() if np.isfinite(value)}
        for name, row in scores.items()
    }

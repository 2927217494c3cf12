"""Challenger, champion and baseline on the same windows, at rolling cutoffs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqmodel.candidates import join_predictions, predict_candidates
from seqmodel.classifying import predict_class_baseline, predict_classes
from seqmodel.detailing import detail_scores
from seqmodel.errors import DataError
from seqmodel.forecasting import predict_quantiles
from seqmodel.freshness import Fresh, choose_fresh
from seqmodel.grid import to_datetime
from seqmodel.grouping import group_panel
from seqmodel.limiting import limit_forecast
from seqmodel.models.naive import BASELINES
from seqmodel.pairing import pair_losses
from seqmodel.panel import Panel
from seqmodel.quantiles import find_nominal
from seqmodel.scoring import HIGHER, Prediction, Scoring, choose_scoring
from seqmodel.specs import PipelineSpec
from seqmodel.splitting import EventSplit, Parts, draw_events, draw_split, split_panel
from seqmodel.store.comparisons import Paired
from seqmodel.store.histories import write_rows
from seqmodel.store.parts import PredictionsRef
from seqmodel.store.refs import BacktestRef, ModelRef, RunRef, TableRef
from seqmodel.store.store import Store
from seqmodel.windowing import load_panel
from seqmodel.windows import Windows, index_cutoffs, index_windows

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def backtest_models(
    store: Store,
    run: RunRef,
    table: TableRef,
    models: dict[str, ModelRef],
    spec: PipelineSpec,
    refits: tuple[ModelRef, ...] = (),
    told: tuple[PredictionsRef, ...] = (),
) -> BacktestRef:
    """Score stored models and the baseline, and write `backtest.json`.

    Args:
        store: the data root.
        run: which run asks.
        table: a judged table.
        models: candidate (`challenger`, `champion`) -> version.
        spec: the pipeline.
        refits: the challenger trained anew for later cutoffs, from `plan_refits`.
        told: what they say of every shard of the table; by default they are asked here.

    Raises:
        DataError: if no target of the backtest was observed, or if the challenger has learned from
            all of them.
    """
    panel = load_panel(store, table, spec)
    split = split_panel(panel, spec)
    fresh = choose_fresh(panel.grid, split.cutoffs, models)
    index = index_backtest(panel, fresh.cutoffs, spec)
    scoring = choose_scoring(spec, panel, index, split)
    if not scoring.observed:
        raise DataError(
            "found no observed target in the backtest, needed some to score; lower backtest.cutoffs"
            " or bring newer data"
        )
    if spec.output.of_classes:
        said, notes = _predict_classes(store, panel, index, fresh, split, spec)
    else:
        whole = (store, panel, fresh, split, spec, refits)
        found = join_predictions(store, told, panel, index, spec) if told else _ask_all(*whole)
        said, notes = _predict_baselines(panel, index, fresh, spec, found), {}
    scores = {name: scoring.measure(one) for name, one in said.items()}
    moments = [to_datetime(int(m)) for m in panel.grid.moment(fresh.cutoffs)]
    places = _place_windows(panel, index, fresh.cutoffs, spec)
    paired = _pair_all(panel, index, scoring, said, places, split, spec)
    by_series = {name: _score_series(panel, index, scoring, one) for name, one in said.items()}
    _write_details(store, run, panel, index, scoring, said, [moments[p] for p in places])
    key = run.scores
    store.write_json(
        key,
        {
            "table": table.fingerprint,
            "cutoffs": [m.isoformat() for m in moments],
            "windows": len(index),
            "timeline": _draw_timeline(split, panel),
            "season_length": spec.source.season,
            "baseline": spec.baseline,
            **notes,
            "metrics": {"main": scoring.main, "by_step": scoring.by_step},
            "versions": {name: model.version for name, model in fresh.models.items()},
            "scores": _plain(scores),
            "paired": {name: one.model_dump(mode="json") for name, one in paired.items()},
            "notes": fresh.notes,
            "by_step": {name: _list(scoring.measure_steps(one)) for name, one in said.items()},
            "by_cutoff": {n: _score_periods(places, moments, scoring, o) for n, o in said.items()},
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
        nominal=find_nominal(spec.output.levels),
        notes=fresh.notes,
        obstacle=fresh.obstacle,
    )


def _write_details(
    store: Store,
    run: RunRef,
    panel: Panel,
    index: Windows,
    scoring: Scoring,
    said: dict[str, Prediction],
    moments: list[datetime],
) -> None:
    """Write every metric by series, step and cutoff."""
    rows = detail_scores(
        {name: scoring.part(one) for name, one in said.items()},
        [panel.ids[s] for s in index.series],
        [moment.isoformat() for moment in moments],
        scoring.main,
    )
    write_rows(store, run.pipeline, f"{run.key}/scores.parquet", rows)


def _pair_all(
    panel: Panel,
    index: Windows,
    scoring: Scoring,
    said: dict[str, Prediction],
    places: Integers,
    split: Parts,
    spec: PipelineSpec,
) -> dict[str, Paired]:
    """Put the challenger beside champion and baseline, window by window."""
    gate = spec.promotion
    metric = scoring.choose_part(gate.metric)
    sign = -1 if metric in HIGHER else 1
    losses = {
        name: sign * scoring.contribute(said[name], metric)
        for name in ("challenger", "champion", "baseline")
        if name in said
    }
    groups = group_panel(panel, gate.group_by, split.holdout)
    test = "diebold_mariano" if gate.test == "none" else gate.test
    overlap = -(-spec.window.horizon // spec.backtest.step)
    return {
        name: pair_losses(
            losses["challenger"], losses[name], places, index.series.astype(np.int64), groups,
            test=test, overlap=overlap,
        )
        for name in losses
        if name != "challenger"
    }  # fmt: skip


def index_backtest(panel: Panel, cutoffs: Integers, spec: PipelineSpec) -> Windows:
    """List the windows that are scored: one a series and cutoff; of events each one's own.

    Args:
        panel: rows of S series.
        cutoffs: grid numbers, ascending; of events the moments at which periods begin.
        spec: window section counts.
    """
    window = spec.window
    if panel.moments is None:
        return index_cutoffs(
            panel.first, panel.offsets, window.lookback, cutoffs, window.least_rows
        )
    index = index_windows(
        panel.first,
        panel.offsets,
        window.lookback,
        window.horizon,
        after=panel.number_at(int(cutoffs[0])),
        until=panel.cutoff,
        least=window.least_rows,
    ).all()
    targets = index.starts[:, None] + window.lookback + np.arange(window.horizon)
    return index.take(np.flatnonzero(panel.seen[targets].any(axis=1)))


def _draw_timeline(split: Parts, panel: Panel) -> str:
    if isinstance(split, EventSplit):
        return draw_events(split, panel, lambda moment: f"{to_datetime(moment):%Y-%m-%d %H:%M}")
    return draw_split(split, _shower(panel))


def _shower(panel: Panel) -> Callable[[int], str]:
    """Return what writes a grid number as a moment."""
    return lambda number: (
        f"{to_datetime(int(panel.grid.moment(np.array([number]))[0])):%Y-%m-%d %H:%M}"
    )


def _predict_classes(
    store: Store,
    panel: Panel,
    index: Windows,
    fresh: Fresh,
    split: Parts,
    spec: PipelineSpec,
) -> tuple[dict[str, Prediction], dict[str, Any]]:
    """Return what each candidate says, and what is worth noting about the baseline."""
    until = split.holdout
    said = {
        name: predict_classes(store, model.key, panel, index, until, spec.window.lookback)
        for name, model in fresh.models.items()
    }
    said["baseline"], feature = predict_class_baseline(panel, index, spec, until)
    return said, {"feature": feature} if feature else {}


def _ask_all(
    store: Store,
    panel: Panel,
    fresh: Fresh,
    split: Parts,
    spec: PipelineSpec,
    refits: tuple[ModelRef, ...],
) -> dict[str, Floats]:
    """Return what each version says, N x H x Q."""

    def predict(model: ModelRef, cutoffs: Integers) -> Floats:
        return predict_quantiles(store, model.key, panel, cutoffs, spec.window.least_rows)[1]

    return predict_candidates(fresh, refits, panel.grid, split.cutoffs, spec, predict)


def _predict_baselines(
    panel: Panel, index: Windows, fresh: Fresh, spec: PipelineSpec, found: dict[str, Floats]
) -> dict[str, Prediction]:
    """Return what the versions and the baselines say, within the limits of the spec."""
    found = dict(found)
    window, season, levels = spec.window, spec.source.season, spec.output.levels
    for name, forecast in BASELINES.items():
        found["baseline" if name == spec.baseline else name] = forecast(
            panel, index, window.lookback, window.horizon, season, levels, int(fresh.cutoffs[0])
        )
    if spec.backtest.reference:
        found["reference"] = _read_reference(panel, index, spec)
    names = tuple(f"{level:g}" for level in levels)
    return {
        name: Prediction(limit_forecast(values, spec.forecast, levels), names)
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


def _place_windows(panel: Panel, index: Windows, cutoffs: Integers, spec: PipelineSpec) -> Integers:
    """Return which of the cutoffs each of N windows belongs to, by position.

    Of events these are the windows whose first target comes after it and not after the next.
    """
    last = index.starts + spec.window.lookback - 1
    if panel.moments is None:
        numbers = last - (panel.offsets[:-1] - panel.first)[index.series]
        return np.searchsorted(cutoffs, numbers)
    return np.searchsorted(cutoffs, panel.moments[last + 1], side="left") - 1


def _score_periods(
    places: Integers, moments: list[datetime], scoring: Scoring, said: Prediction
) -> dict[str, float | None]:
    parts = scoring.contribute(said)
    return {moments[p].isoformat(): _mean(parts[places == p]) for p in np.unique(places)}


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

"""From what a run left behind to the one value that its report is drawn from."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from seqmodel.ablation import WITHOUT, measure_gain
from seqmodel.grid import Grid, to_datetime
from seqmodel.quantiles import find_nominal
from seqmodel.refitting import REFITTED
from seqmodel.reporting.beside import gather_groups, gather_intervals, name_best
from seqmodel.reporting.live import gather_compared, gather_live
from seqmodel.reporting.night import Ablated, ClassPlots, Fan, Night, StepRecord, Tried
from seqmodel.specs import PipelineSpec
from seqmodel.store.forecasts import read_first
from seqmodel.store.newest import read_series
from seqmodel.store.refs import (
    BacktestRef,
    DecisionRef,
    ForecastRef,
    ModelRef,
    RunRef,
    ServingRef,
    SourceRef,
    TableRef,
    ValidatedTableRef,
)
from seqmodel.store.store import Store
from seqmodel.store.watched import WatchRef
from seqmodel.table.quality import Verdict
from seqmodel.trials import TuningRef

#: Candidates that the report lists, in this order.
CANDIDATES = (
    *("challenger", "champion", "baseline", REFITTED),
    *("seasonal_naive", "naive", "drift", "reference"),
)
#: Series of the published forecast that the report shows.
SHOWN_SERIES = 3
#: Steps of history before them, in horizons.
SHOWN_HORIZONS = 4
#: How a sentence calls a baseline.
BASELINES = {
    "seasonal_naive": "the seasonal naive",
    "naive": "the naive",
    "drift": "the drift",
    "majority": "the commonest class",
    "class_frequency": "the frequency of the classes",
    "markov": "the frequency of the classes after the last one",
    "single_feature": "the frequency of the classes given one input",
}


class Course(BaseModel):
    """How far a run came: everything it has made so far.

    Attributes:
        run: the run.
        source: set once looked at.
        table: set once ingested.
        judged: set once validated.
        challenger: set once trained.
        serving: the version forecast with.
        compared: what the challenger was compared with.
        scores: set once backtested.
        decision: set once promoted or kept.
        forecast: set once published.
        tuning: set once tuned.
        moved: set once rolled back.
        watched: set once the forecasts that are out were looked at.
        steps: what ran.
        notes: warnings, one sentence each.
        done: what was done beside all this, a sentence each, the first of them for the verdict.
        refusal: why the run stopped, if it did.
    """

    model_config = ConfigDict(extra="forbid")

    run: RunRef
    source: SourceRef | None = None
    table: TableRef | None = None
    judged: ValidatedTableRef | None = None
    challenger: ModelRef | None = None
    serving: ServingRef | None = None
    compared: ServingRef | None = None
    scores: BacktestRef | None = None
    decision: DecisionRef | None = None
    forecast: ForecastRef | None = None
    tuning: TuningRef | None = None
    moved: DecisionRef | None = None
    watched: WatchRef | None = None
    steps: list[StepRecord] = []
    notes: list[str] = []
    done: list[str] = []
    refusal: str | None = None


def compose_night(store: Store, course: Course, spec: PipelineSpec) -> Night:
    """Gather what the report says.

    Args:
        store: the data root.
        course: how far the run came.
        spec: the pipeline.
    """
    verdict, tone = _conclude(course, BASELINES[spec.baseline])
    table = course.judged.table if course.judged else course.table
    known = store.path(f"{course.run.key}/quality.json")
    quality = course.judged.verdict if course.judged else None
    if quality is None and course.table and known.exists():
        quality = Verdict.model_validate(store.read_json(f"{course.run.key}/quality.json"))
    notes = [
        *course.notes,
        *(course.serving.notes if course.serving else ()),
        *(course.scores.notes if course.scores else ()),
        *(course.watched.reasons if course.watched else ()),
        *(course.watched.notes if course.watched else ()),
    ]
    return Night(
        pipeline=spec.name,
        run=course.run.run,
        as_of=course.run.as_of,
        verdict=verdict,
        tone=tone,
        ledger=table.ledger if table else None,
        files=table.files if table else (),
        quality=quality,
        **_gather_scores(store, course, spec),
        compared=gather_compared(course.scores),
        nominal=find_nominal(spec.output.levels),
        **gather_live(store, course.run, course.watched, spec),
        ablation=_gather_ablation(store, course, spec),
        tuning=gather_trials(course.tuning) if course.tuning else (),
        history=course.challenger.history if course.challenger else (),
        best_epoch=course.challenger.best_epoch if course.challenger else None,
        begun=course.challenger.begun if course.challenger else "",
        forecast_fans=_draw_forecast(store, course, spec),
        forecast_head=course.forecast.head if course.forecast else (),
        steps=tuple(course.steps),
        places=_list_places(store, course),
        notes=tuple(dict.fromkeys([*notes, *course.done[1:]])),
    )


def _conclude(course: Course, baseline: str) -> tuple[str, Literal["good", "warn", "bad"]]:
    if course.refusal:
        return f"Stopped: {course.refusal}", "bad"
    parts = []
    if course.decision and course.scores:
        word = "Promoted" if course.decision.promoted else "Kept"
        parts.append(f"{word}: {course.decision.reason.split(': ', 1)[-1]}")
    if course.moved:
        parts.append(course.moved.reason[0].upper() + course.moved.reason[1:])
    if course.forecast:
        f = course.forecast
        by = f.model_version if f.model_version != "baseline" else baseline
        parts.append(f"{f.series:,} series forecast from {f.cutoff:%Y-%m-%d %H:%M} UTC by {by}")
    if course.tuning:
        best, before = course.tuning.trials[course.tuning.winner - 1], course.tuning.before
        was = "" if before is None else f" ({before:.4g} as the spec is)"
        parts.append(
            f"{len(course.tuning.trials)} trials: number {best.number} is best, score"
            f" {best.score:.4g}{was}"
        )
    parts += course.done[:1]
    tone: Literal["good", "warn"] = "warn" if course.notes else "good"
    return "; ".join(parts) + "." if parts else "Nothing was left to do.", tone


def _name_baseline(details: dict[str, Any]) -> str:
    baseline, season = details["baseline"], details["season_length"]
    if baseline == "seasonal_naive":
        return f"seasonal naive ({season} steps)"
    if baseline == "drift":
        return "drift"
    if baseline == "single_feature":
        return f"{BASELINES[baseline]}, {details['feature']}"
    return BASELINES[baseline]


def _gather_scores(store: Store, course: Course, spec: PipelineSpec) -> dict[str, Any]:
    if course.scores is None or course.challenger is None:
        return {}
    details = store.read_json(course.scores.key)
    labels = {
        "challenger": f"{course.challenger.kind} {course.challenger.version}",
        "baseline": _name_baseline(details),
    }
    scores = dict(course.scores.scores)
    before = course.compared.model if course.compared else None
    if before:
        labels["champion"] = f"{before.kind} {before.version}"
    elif course.decision and course.decision.promoted:
        # The first night: the challenger is the champion from now on.
        labels["champion"] = f"{course.challenger.version}, the first one, promoted now"
        scores["champion"] = scores["challenger"]
    if REFITTED in scores:
        labels[REFITTED] = f"trained anew every {spec.backtest.refit} cutoffs"
    if spec.backtest.reference:
        labels["reference"] = f"{spec.backtest.reference} taken as the forecast"
    order = [name for name in CANDIDATES if name in scores]
    return {
        "scores": {name: scores[name] for name in order},
        "labels": labels,
        "by_step": {
            name: tuple(v if v is not None else float("nan") for v in values)
            for name, values in details["by_step"].items()
            if name in ("challenger", "champion", "baseline")
        },
        "best_baseline": name_best(scores, course.scores.metric, details["baseline"]),
        "intervals": gather_intervals(details),
        "groups": gather_groups(details),
        "timeline": details["timeline"],
        "decision": course.decision.reason if course.decision else None,
        "promoted": course.decision.promoted if course.decision else None,
        "cutoffs": course.scores.cutoffs,
        "backtest_fans": tuple(Fan.model_validate(fan) for fan in details["fans"]),
        "classes": ClassPlots.model_validate(details["classes"]) if "classes" in details else None,
    }


def _gather_ablation(store: Store, course: Course, spec: PipelineSpec) -> tuple[Ablated, ...]:
    if course.scores is None:
        return ()
    scores, by_cutoff = course.scores.scores, store.read_json(course.scores.key)["by_cutoff"]
    found = []
    for group, inputs in spec.backtest.ablation.items():
        name = f"{WITHOUT}{group}"
        metric = course.scores.metric
        if name in by_cutoff and metric in scores[name]:
            gain, error = measure_gain(by_cutoff["challenger"], by_cutoff[name])
            score = scores[name][metric]
            found.append(Ablated(group=group, inputs=inputs, score=score, gain=gain, error=error))
    return tuple(sorted(found, key=lambda one: -one.gain))


def gather_trials(found: TuningRef) -> tuple[Tried, ...]:
    """Return the trials of a tuning as the report shows them."""
    return tuple(
        Tried(
            **trial.model_dump(exclude={"knobs"}),
            knobs=trial.show(),
            best=trial.number == found.winner,
        )
        for trial in found.trials
    )


def _draw_forecast(store: Store, course: Course, spec: PipelineSpec) -> tuple[Fan, ...]:
    """Show the first series of the published forecast after their newest history."""
    if course.forecast is None or course.judged is None or spec.output.of_classes:
        return ()
    rows = read_first(store.path(course.forecast.key))
    grid = Grid(spec.source.freq)
    begin = course.judged.table.cutoff
    horizon = spec.window.horizon
    start = grid.moment(
        grid.number(pa.array([begin]).cast(pa.timestamp("us")).cast(pa.int64()).to_numpy())
        - SHOWN_HORIZONS * horizon
        + 1
    )
    shown = rows["series_id"].slice(0, SHOWN_SERIES * horizon).unique().to_pylist()
    folder = store.find(course.judged.table.key)
    history = read_series(folder, ["series_id", "timestamp", "target"], shown, int(start[0]))
    fans = []
    for begin_row in range(0, min(SHOWN_SERIES * horizon, rows.num_rows), horizon):
        part = rows.slice(begin_row, horizon)
        series_id = part["series_id"][0].as_py()
        past = history.filter(pa.compute.equal(history["series_id"], series_id))
        levels = [n for n in part.column_names if n.startswith("q") and n[1:2].isdigit()]
        fans.append(
            Fan(
                series_id=series_id,
                label="forecast",
                score=None,
                history_at=tuple(_moments(past)),
                history=tuple(past["target"].to_pylist()),
                forecast_at=tuple(_moments(part)),
                quantiles={name[1:]: tuple(part[name].to_pylist()) for name in levels},
            )
        )
    return tuple(fans)


def _moments(rows: pa.Table) -> list[datetime]:
    return [to_datetime(v) for v in rows["timestamp"].cast(pa.int64()).to_pylist()]


def _list_places(store: Store, course: Course) -> dict[str, str]:
    places = {}
    if course.forecast:
        places["forecast"] = str(store.path(course.forecast.key))
    if course.tuning:
        places["winner"] = str(store.path(course.tuning.key))
    if course.challenger:
        places["challenger"] = str(store.path(course.challenger.key))
    table = course.judged.table if course.judged else course.table
    if table and course.judged:
        places["table"] = str(store.path(table.key))
    if table and table.quarantine:
        places["quarantine"] = str(store.path(table.quarantine))
    places["reports"] = str(store.path(course.run.key))
    places["report"] = str(store.path(f"{course.run.key}/report.html"))
    return places

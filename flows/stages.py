"""The stretches that flows share: each takes the course of a run and moves it on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from prefect import get_run_logger

from flows.naming import decide_moment
from flows.spreading import backtest_shards, forecast_shards, measure_shards
from seqmodel.ablation import WITHOUT, leave_out
from seqmodel.errors import ChildDied, SeqmodelError, SpecError
from seqmodel.refitting import plan_refits
from seqmodel.reporting.composing import BASELINES, Course
from seqmodel.reporting.night import StepRecord
from seqmodel.specs import PipelineSpec, list_members
from seqmodel.store.refs import (
    BacktestRef,
    ForecastRef,
    ModelRef,
    ReportRef,
    ServingRef,
    ValidatedTableRef,
)
from seqmodel.store.runs import name_run
from seqmodel.store.staged import drop_staged
from seqmodel.store.store import Store
from seqmodel.studying import hold_study
from tasks.assemble import assemble
from tasks.backtest import backtest
from tasks.backtest_shard import list_backtest_shards
from tasks.caching import call, call_all
from tasks.choose import choose
from tasks.deliver import deliver
from tasks.elect import elect
from tasks.forecast import forecast
from tasks.ingest import ingest
from tasks.look import look
from tasks.make_graph import make_graph
from tasks.measure_shard import list_measured_shards
from tasks.monitor import monitor
from tasks.promote import promote
from tasks.publish_shards import list_shards, look_at_fence, publish_shards
from tasks.report import report
from tasks.roll_back import roll_back
from tasks.train import train
from tasks.try_out import try_out
from tasks.validate import validate
from tasks.window import window

MOMENT = timedelta(microseconds=1)


def begin(spec: PipelineSpec, as_of: datetime | None, lateness: float | None = None) -> Course:
    """Open the course of a run; `as_of` defaults to the scheduled start.

    Args:
        spec: the pipeline.
        as_of: the moment that was asked for.
        lateness: how late the run may begin and still be about the time it was due (hours).
    """
    moment, note = decide_moment(as_of, lateness)
    return Course(run=name_run(spec, moment), notes=[note] if note else [])


def prepare(course: Course, spec: PipelineSpec) -> None:
    """Look at the source, ingest, validate."""
    course.source = look(spec)
    course.run = name_run(spec, course.run.as_of, course.source)
    run, steps = course.run, course.steps
    course.table = call(ingest, steps, run=run, as_of=run.as_of, source=course.source, spec=spec)
    what = {"run": run, "as_of": run.as_of, "table": course.table}
    course.judged = _validate(course, what, spec)


def _validate(course: Course, what: dict[str, Any], spec: PipelineSpec) -> ValidatedTableRef:
    """Measure and judge in one go, or measure shard by shard where the spec wants it."""
    if spec.quality.shards == 1:
        return call(validate, course.steps, **what, spec=spec)
    shards = list_measured_shards(what["table"], spec)
    with _summed_up(course, f"{len(shards)} profile shards") as ran:
        measured = measure_shards(**what, shards=shards, spec=spec, records=ran)
    judged = call(validate, course.steps, **what, measured=measured, spec=spec)
    drop_staged(Store.from_environment(), measured)
    return judged


def watch(course: Course, spec: PipelineSpec) -> None:
    """Look at what came of the forecasts that are out; roll back where the spec says so.

    The forecast never waits for it: whatever fails here is a note.
    """
    try:
        # As in training: what this very moment promoted is nothing that was out there before it.
        serving = elect(course.run.as_of - MOMENT, spec)
        course.watched = monitor(course.run, _judged(course), serving, spec)
        why = "; ".join(course.watched.reasons)
        if course.watched.action == "roll_back":
            move_back(course, spec, "previous", why)
        elif course.watched.action == "baseline" and serving.model:
            move_back(course, spec, "baseline", why)
    except Exception as error:  # noqa: BLE001 - the forecast must not wait for its accuracy
        get_run_logger().exception("the watch failed")
        course.notes.append(f"The watch failed: {error}")


def fit(course: Course, spec: PipelineSpec) -> None:
    """Window, train."""
    course.challenger = _train(course, spec)


def _train(course: Course, spec: PipelineSpec, label: str = "") -> ModelRef:
    steps, judged, as_of = course.steps, course.judged, course.run.as_of
    # The version of an earlier night: one of this very moment is what a re-run makes again.
    older = elect(as_of - MOMENT, spec).model if spec.train.warm_start else None
    moved = course.watched.reasons if course.watched and course.watched.action == "retrain" else ()
    whole = spec.model.kind == "ensemble"
    jobs = []
    for number, member in enumerate(list_members(spec), start=1):
        if member.baseline:
            continue
        name = f" {member.name}{label}" if whole else label
        cut = window.with_options(task_run_name=f"window{name}")
        windows = call(cut, steps, judged=judged, spec=member.spec)
        jobs.append(
            (
                train.with_options(task_run_name=f"train{name}"),
                {
                    "as_of": as_of,
                    "judged": judged,
                    "windows": windows,
                    "spec": member.spec,
                    "parent": older,
                    "watched": moved,
                    "member": number if whole else None,
                },
            )
        )
    trained = call_all(jobs, steps, spec.model.at_once)
    if not whole:
        return trained[0]
    join = assemble.with_options(task_run_name=f"assemble{label}")
    return call(join, steps, as_of=as_of, judged=judged, members=tuple(trained), spec=spec)


def ablate(course: Course, spec: PipelineSpec) -> dict[str, ModelRef]:
    """Train the model without each group of inputs that the spec names."""
    return {
        f"{WITHOUT}{group}": _train(course, leave_out(spec, names), f" {WITHOUT}{group}")
        for group, names in spec.backtest.ablation.items()
    }


def refit(course: Course, spec: PipelineSpec) -> tuple[ModelRef, ...]:
    """Train the model anew for later cutoffs of the backtest, as often as the spec says."""
    later = enumerate(plan_refits(spec), start=1)
    return tuple(_train(course, one, f" refit {number}") for number, one in later)


def compare(
    course: Course,
    spec: PipelineSpec,
    others: dict[str, ModelRef] | None = None,
    refits: tuple[ModelRef, ...] = (),
) -> None:
    """Backtest challenger, champion and others at the same cutoffs."""
    run, challenger = course.run, course.challenger
    if challenger is None:
        raise RuntimeError("found no challenger, needed one; call fit first")
    course.compared = elect(run.as_of, spec, instead_of=challenger.version)
    models = {"challenger": challenger, **(others or {})}
    if course.compared.model:
        models["champion"] = course.compared.model
    what = {"run": run, "judged": _judged(course), "models": models, "refits": refits}
    course.scores = _score(course, what, spec)


def _score(course: Course, what: dict[str, Any], spec: PipelineSpec) -> BacktestRef:
    """Predict and score in one go, or predict shard by shard where the table is large."""
    shards = list_backtest_shards(what["judged"], spec)
    if len(shards) == 1:
        return call(backtest, course.steps, **what, spec=spec)
    with _summed_up(course, f"{len(shards)} backtest shards") as ran:
        told = backtest_shards(**what, shards=shards, spec=spec, records=ran)
    scores = call(backtest, course.steps, **what, told=told, spec=spec)
    drop_staged(Store.from_environment(), told)
    return scores


def renew(course: Course, spec: PipelineSpec) -> None:
    """Window, train, backtest, promote or keep."""
    fit(course, spec)
    compare(course, spec)
    course.decision = call(
        promote,
        course.steps,
        run=course.run,
        challenger=course.challenger,
        scores=course.scores,
        spec=spec,
    )


def search(course: Course, spec: PipelineSpec) -> None:
    """Try settings of the knobs, one after the other, and write down the best."""
    end, judged = time.monotonic() + spec.tune.deadline, course.judged
    while (left := _count_left(course, spec)) and time.monotonic() < end:
        trial = try_out.with_options(task_run_name=f"trial {spec.tune.trials - left + 1}")
        try:
            call(trial, course.steps, judged=judged, spec=spec)
        except ChildDied as error:
            course.notes.append(f"A trial's process died for good: {error}")
    if left:
        course.notes.append(f"{left} trials were not begun: tune.deadline was over")
    course.tuning = call(choose, course.steps, judged=judged, spec=spec)


def _judged(course: Course) -> ValidatedTableRef:
    if course.judged is None:
        raise RuntimeError("found no judged table, needed one; call prepare first")
    return course.judged


def _count_left(course: Course, spec: PipelineSpec) -> int:
    with hold_study(Store.from_environment(), _judged(course).table.fingerprint, spec) as study:
        return study.settle()


def publish(course: Course, spec: PipelineSpec) -> None:
    """Forecast with whatever serves: tonight's winner, the champion, or the baseline."""
    won = course.decision.serves if course.decision else None
    course.serving = elect(course.run.as_of, spec, prefer=won)
    if course.serving.model is None:
        baseline = BASELINES[spec.baseline]
        course.notes.append(f"no model serves yet: the forecast is {baseline}'s")
    course.forecast = _forecast(course, course.serving, spec)
    if failed := course.forecast.counts.fallen_back:
        course.notes.append(
            f"{failed} of {course.forecast.series} series had no sane forecast and have the"
            f" baseline's, such as {course.forecast.counts.failed_ids[0]}"
        )
    if spec.forecast.sink:
        rows = deliver(course.forecast, spec)
        course.done.append(f"{rows} rows delivered to table {spec.forecast.sink_table}")


def _forecast(course: Course, serving: ServingRef, spec: PipelineSpec) -> ForecastRef:
    """Forecast in one go, or shard by shard where the table is large."""
    judged = _judged(course)
    what = {"judged": judged, "serving": serving, "spec": spec}
    shards = list_shards(judged, spec)
    if len(shards) == 1:
        return call(forecast, course.steps, **what)
    fence = look_at_fence(judged, spec)
    quick = _find_graph(course, serving, spec)
    with _summed_up(course, f"{len(shards)} forecast shards") as ran:
        parts = forecast_shards(judged, quick, shards, spec, ran)
    return call(publish_shards, course.steps, parts=parts, fence=fence, **what)


def _find_graph(course: Course, serving: ServingRef, spec: PipelineSpec) -> ServingRef:
    """Let shards do without Keras; a version that has no graphs forecasts with it."""
    half = spec.train.precision != "float32"  # which the other runtime rounds otherwise
    if serving.model is None or spec.forecast.runtime == "keras" or half:
        return serving
    try:
        graph = call(make_graph, course.steps, model=serving.model, spec=spec)
    except SeqmodelError as error:
        course.notes.append(f"the shards are forecast by Keras: {error}")
        return serving
    return serving.model_copy(update={"graph": graph})


@contextmanager
def _summed_up(course: Course, label: str) -> Iterator[list[StepRecord]]:
    """Give a list for the records of many; the course gets one: the worst of their outcomes."""
    begun = time.monotonic()
    ran: list[StepRecord] = []
    try:
        yield ran
    finally:
        outcomes = {record.outcome for record in ran}
        worst = next((o for o in ("failed", "ran") if o in outcomes), "from cache")
        seconds = time.monotonic() - begun
        one = StepRecord.model_validate({"step": label, "seconds": seconds, "outcome": worst})
        course.steps.append(one)


def move_back(course: Course, spec: PipelineSpec, to: str, reason: str) -> None:
    """Point to an older version."""
    course.moved = roll_back(course.run, spec, to, reason)


def conclude(course: Course, spec: PipelineSpec) -> ReportRef:
    """Write the report."""
    return report(course, spec)


@contextmanager
def reported(course: Course, spec: PipelineSpec) -> Iterator[None]:
    """Write a report of a run that is refused, then let the refusal through with its path."""
    try:
        yield
    except SpecError:
        raise
    except SeqmodelError as error:
        course.refusal = str(error)
        where = conclude(course, spec)
        path = Store.from_environment().path(where.key)
        raise type(error)(f"{error} (report: {path})") from error

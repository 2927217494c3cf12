"""Shards, a task each: over child processes, a cluster's workers, a work pool's.

local        this flow run -- tasks in threads --> a crew of child processes
dask         this flow run -- a flow run below it -- tasks on workers --> a child process of each
deployment   this flow run -- a flow run a shard, by a pool's workers --> a child process of each

A forecast goes by any of them, a table's profile and the windows of a backtest by the first two.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from prefect import Task, flow

from seqmodel.reporting.night import StepRecord
from seqmodel.specs import PipelineSpec
from seqmodel.store.parts import MeasuredRef, PartRef, PredictionsRef, Shard
from seqmodel.store.refs import ModelRef, RunRef, ServingRef, TableRef, ValidatedTableRef
from tasks.backtest_shard import backtest_shard
from tasks.caching import call_all
from tasks.clusters import make_runner, told_where
from tasks.crew import GRAPH, NETWORK, hold_crew
from tasks.forecast_shard import forecast_shard
from tasks.measure_shard import measure_shard
from tasks.request_runs import request_runs

What = Literal["profile", "forecast", "backtest"]


def forecast_shards(
    judged: ValidatedTableRef,
    serving: ServingRef,
    shards: tuple[Shard, ...],
    spec: PipelineSpec,
    records: list[StepRecord],
) -> tuple[PartRef, ...]:
    """Forecast all shards where the spec says.

    Args:
        judged: what is forecast.
        serving: by which version.
        shards: of the table.
        spec: the pipeline.
        records: gets an entry of each shard.

    Raises:
        Exception: whatever the first shard that failed raised in its last try.
    """
    shared = {"judged": judged, "serving": serving}
    if spec.runner.kind == "deployment":
        named = [{**shared, "spec": spec, "shard": one} for one in shards]
        jobs = [{name: one.model_dump(mode="json") for name, one in job.items()} for job in named]
        request_runs(spec.runner.deployment, jobs, spec.forecast.deadline)
    # Shards done elsewhere are taken from the cache; one that failed there is tried here.
    network = GRAPH if serving.graph else NETWORK
    ready = network if serving.model and spec.runner.kind == "local" else ()
    return _spread("forecast", shared, shards, spec, records, ready)


def backtest_shards(
    run: RunRef,
    judged: ValidatedTableRef,
    models: dict[str, ModelRef],
    refits: tuple[ModelRef, ...],
    shards: tuple[Shard, ...],
    spec: PipelineSpec,
    records: list[StepRecord],
) -> tuple[PredictionsRef, ...]:
    """Predict the backtest's windows of all shards where the spec says.

    Args:
        run: which run asks.
        judged: what is predicted.
        models: candidate -> version.
        refits: the challenger trained anew for later cutoffs.
        shards: of the table.
        spec: the pipeline.
        records: gets an entry of each shard.

    Raises:
        Exception: whatever the first shard that failed raised in its last try.
    """
    shared = {"run": run, "judged": judged, "models": models, "refits": refits}
    return _spread("backtest", shared, shards, spec, records, NETWORK)


def measure_shards(
    run: RunRef,
    as_of: datetime,
    table: TableRef,
    shards: tuple[Shard, ...],
    spec: PipelineSpec,
    records: list[StepRecord],
) -> tuple[MeasuredRef, ...]:
    """Measure the series of all shards of a table where the spec says.

    Args:
        run: which run asks.
        as_of: the moment it pretends to be at.
        table: nobody has judged it yet.
        shards: of the table.
        spec: the pipeline.
        records: gets an entry of each shard.

    Raises:
        Exception: whatever the first shard that failed raised in its last try.
    """
    return _spread("profile", {"run": run, "as_of": as_of, "table": table}, shards, spec, records)


def _spread(
    what: What,
    shared: dict[str, Any],
    shards: tuple[Shard, ...],
    spec: PipelineSpec,
    records: list[StepRecord],
    ready: Sequence[str] = (),
) -> tuple[Any, ...]:
    if spec.runner.kind != "dask":
        with hold_crew(spec.forecast.at_once, ready):
            return _run(what, shared, shards, spec, records)
    runner = make_runner(spec.runner)
    with told_where():
        parts, ran = spread_shards.with_options(task_runner=runner)(what, shared, shards, spec)
    records += ran
    return tuple(parts)


@flow(name="shards", flow_run_name="{spec.name} {what} shards", persist_result=False)
def spread_shards(
    what: What, shared: dict[str, Any], shards: tuple[Shard, ...], spec: PipelineSpec
) -> tuple[tuple[Any, ...], list[StepRecord]]:
    """Do what the shards of a table need on the workers of a cluster.

    Args:
        what: the step.
        shared: what the task of each shard gets beside shard and spec.
        shards: of the table.
        spec: every knob of the pipeline.
    """
    records: list[StepRecord] = []
    return _run(what, shared, shards, spec, records), records


def _run(
    what: What,
    shared: dict[str, Any],
    shards: Sequence[Shard],
    spec: PipelineSpec,
    records: list[StepRecord],
) -> tuple[Any, ...]:
    tasks: dict[What, Task[..., Any]] = {
        "profile": measure_shard,
        "forecast": forecast_shard,
        "backtest": backtest_shard,
    }
    jobs = [
        (
            tasks[what].with_options(task_run_name=f"{what} shard {one.number + 1}"),
            {**shared, "shard": one, "spec": spec},
        )
        for one in shards
    ]
    return tuple(call_all(jobs, records, len(jobs)))

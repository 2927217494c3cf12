"""The shards of a forecast, a task each: over child processes, a cluster's workers, a work pool's.

local        this flow run -- tasks in threads --> a crew of child processes
dask         this flow run -- a flow run below it -- tasks on workers --> a child process of each
deployment   this flow run -- a flow run a shard, by a pool's workers --> a child process of each
"""

from __future__ import annotations

from prefect import flow

from seqmodel.reporting.night import StepRecord
from seqmodel.specs import PipelineSpec
from seqmodel.store.parts import PartRef, Shard
from seqmodel.store.refs import ServingRef, ValidatedTableRef
from tasks.caching import call_all
from tasks.clusters import make_runner, told_where
from tasks.crew import hold_crew
from tasks.forecast_shard import forecast_shard
from tasks.request_runs import request_runs


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
    if spec.runner.kind == "deployment":
        shared = {"judged": judged, "serving": serving, "spec": spec}
        named = [{**shared, "shard": one} for one in shards]
        jobs = [{name: one.model_dump(mode="json") for name, one in job.items()} for job in named]
        request_runs(spec.runner.deployment, jobs, spec.forecast.deadline)
    if spec.runner.kind != "dask":
        # Shards done elsewhere are taken from the cache; one that failed there is tried here.
        with hold_crew(spec.forecast.at_once):
            return _run(judged, serving, shards, spec, records)
    runner = make_runner(spec.runner)
    with told_where():
        parts, ran = spread_shards.with_options(task_runner=runner)(judged, serving, shards, spec)
    records += ran
    return tuple(parts)


@flow(name="forecast shards", flow_run_name="{spec.name} forecast shards", persist_result=False)
def spread_shards(
    judged: ValidatedTableRef, serving: ServingRef, shards: tuple[Shard, ...], spec: PipelineSpec
) -> tuple[tuple[PartRef, ...], list[StepRecord]]:
    """Forecast shards on the workers of a cluster.

    Args:
        judged: what is forecast.
        serving: by which version.
        shards: of the table.
        spec: every knob of the pipeline.
    """
    records: list[StepRecord] = []
    return _run(judged, serving, shards, spec, records), records


def _run(
    judged: ValidatedTableRef,
    serving: ServingRef,
    shards: tuple[Shard, ...],
    spec: PipelineSpec,
    records: list[StepRecord],
) -> tuple[PartRef, ...]:
    what = {"judged": judged, "serving": serving, "spec": spec}
    jobs = [
        (
            forecast_shard.with_options(task_run_name=f"forecast shard {one.number + 1}"),
            {**what, "shard": one},
        )
        for one in shards
    ]
    return tuple(call_all(jobs, records, len(jobs)))

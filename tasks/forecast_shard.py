"""Forecast one shard of the series into a staged file, in a child process that others share."""

from __future__ import annotations

from prefect import get_run_logger, task

from seqmodel.jobs import ShardJob
from seqmodel.specs import PipelineSpec
from seqmodel.store.parts import PartRef, Shard
from seqmodel.store.refs import ServingRef, ValidatedTableRef
from seqmodel.store.store import Store
from tasks.caching import cached
from tasks.crew import run_by_crew


@task(name="forecast shard", **cached("source", "grid", "window", "output", "features", "forecast"))
def forecast_shard(
    judged: ValidatedTableRef, serving: ServingRef, shard: Shard, spec: PipelineSpec
) -> PartRef:
    """Stage the forecast of one shard. Idempotent: equal inputs give equal bytes."""
    job = ShardJob(
        root=str(Store.from_environment().root),
        spec=spec,
        table=judged.table,
        model=serving.model,
        graph=serving.graph,
        shard=shard,
    )
    answer = run_by_crew(
        "seqmodel.jobs:forecast_shard",
        job.model_dump(mode="json"),
        deadline=spec.forecast.deadline,
        log=get_run_logger(),
        far=spec.runner.kind == "dask",
    )
    return PartRef.model_validate(answer)

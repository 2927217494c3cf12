"""Predict the backtest's windows of one shard of the series, in a child process others share."""

from __future__ import annotations

from prefect import get_run_logger, task

from seqmodel.jobs import BacktestShardJob
from seqmodel.planning import plan_backtest
from seqmodel.specs import PipelineSpec
from seqmodel.store.parts import PredictionsRef, Shard
from seqmodel.store.refs import ModelRef, RunRef, ValidatedTableRef
from seqmodel.store.store import Store
from tasks.caching import cached
from tasks.crew import run_by_crew


@task(
    name="backtest shard",
    # The same knobs as the scores': its predictions are dropped once they are scored.
    **cached("source", "grid", "window", "output", "backtest", "forecast"),
)
def backtest_shard(
    run: RunRef,
    judged: ValidatedTableRef,
    models: dict[str, ModelRef],
    refits: tuple[ModelRef, ...],
    shard: Shard,
    spec: PipelineSpec,
) -> PredictionsRef:
    """Stage the predictions of one shard. Idempotent: equal inputs give equal bytes."""
    job = BacktestShardJob(
        root=str(Store.from_environment().root),
        spec=spec,
        run=run,
        table=judged.table,
        models=models,
        refits=refits,
        shard=shard,
    )
    answer = run_by_crew(
        "seqmodel.jobs:backtest_shard",
        job.model_dump(mode="json"),
        deadline=spec.backtest.deadline,
        log=get_run_logger(),
        far=spec.runner.kind == "dask",
    )
    return PredictionsRef.model_validate(answer)


def list_backtest_shards(judged: ValidatedTableRef, spec: PipelineSpec) -> tuple[Shard, ...]:
    """Return the shards of a table."""
    return plan_backtest(Store.from_environment(), judged.table, spec)

"""Score challenger, champion and baseline at the same cutoffs, in a child process."""

from __future__ import annotations

from prefect import get_run_logger, task

from seqmodel.jobs import BacktestJob
from seqmodel.specs import PipelineSpec
from seqmodel.store.parts import PredictionsRef
from seqmodel.store.refs import BacktestRef, ModelRef, RunRef, ValidatedTableRef
from seqmodel.store.store import Store
from tasks.caching import cached
from tasks.child import run_in_child


@task(name="backtest", **cached("source", "grid", "window", "output", "backtest", "forecast"))
def backtest(
    run: RunRef,
    judged: ValidatedTableRef,
    models: dict[str, ModelRef],
    spec: PipelineSpec,
    refits: tuple[ModelRef, ...] = (),
    told: tuple[PredictionsRef, ...] = (),
) -> BacktestRef:
    """Forecast from past cutoffs and compare. Idempotent: the scores are written again, equal."""
    job = BacktestJob(
        root=str(Store.from_environment().root),
        spec=spec,
        run=run,
        table=judged.table,
        models=models,
        refits=refits,
        told=told,
    )
    answer = run_in_child(
        "seqmodel.jobs:backtest",
        job.model_dump(mode="json"),
        deadline=spec.backtest.deadline,
        tell=lambda _: None,
        log=get_run_logger(),
    )
    return BacktestRef.model_validate(answer)

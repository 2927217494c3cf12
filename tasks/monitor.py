"""Score the forecasts that are out and measure drift, in a child process."""

from __future__ import annotations

from prefect import get_run_logger, task

from seqmodel.jobs import WatchJob
from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import RunRef, ServingRef, ValidatedTableRef
from seqmodel.store.store import Store
from seqmodel.store.watched import WatchRef
from tasks.caching import FRESH
from tasks.child import run_in_child


@task(name="monitor", **FRESH)
def monitor(
    run: RunRef, judged: ValidatedTableRef, serving: ServingRef, spec: PipelineSpec
) -> WatchRef:
    """Look at what came and what moved. Idempotent: what is scored again is replaced, equal."""
    store = Store.from_environment()
    job = WatchJob(
        root=str(store.root), spec=spec, run=run, table=judged.table, model=serving.model
    )
    answer = run_in_child(
        "seqmodel.jobs:watch",
        job.model_dump(mode="json"),
        deadline=spec.monitor.deadline,
        tell=lambda _: None,
        log=get_run_logger(),
    )
    found = WatchRef.model_validate(answer)
    for reason in found.reasons:
        get_run_logger().warning("%s: %s", found.action, reason)
    return found

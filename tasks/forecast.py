"""Forecast with the version that serves and publish, in a child process."""

from __future__ import annotations

from prefect import get_run_logger
from prefect.assets import materialize

from seqmodel.jobs import ForecastJob
from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import ForecastRef, ServingRef, ValidatedTableRef
from seqmodel.store.store import Store
from tasks.caching import cached
from tasks.child import run_in_child
from tasks.lineage import FORECAST


@materialize(
    FORECAST,
    name="forecast",
    **cached("source", "grid", "window", "output", "features", "forecast"),
)
def forecast(judged: ValidatedTableRef, serving: ServingRef, spec: PipelineSpec) -> ForecastRef:
    """Publish the forecast of one cutoff. Idempotent: equal inputs give equal bytes."""
    job = ForecastJob(
        root=str(Store.from_environment().root),
        spec=spec,
        table=judged.table,
        model=serving.model,
    )
    answer = run_in_child(
        "seqmodel.jobs:forecast",
        job.model_dump(mode="json"),
        deadline=spec.forecast.deadline,
        tell=lambda _: None,
        log=get_run_logger(),
    )
    return ForecastRef.model_validate(answer)

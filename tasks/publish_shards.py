"""Publish the forecasts of all shards at once."""

from __future__ import annotations

from prefect.assets import materialize

from seqmodel.planning import plan_forecast
from seqmodel.publishing import publish_shards as publish_all
from seqmodel.specs import PipelineSpec
from seqmodel.store.forecasts import forecast_key, read_fence
from seqmodel.store.parts import PartRef, Shard
from seqmodel.store.refs import ForecastRef, ServingRef, ValidatedTableRef
from seqmodel.store.store import Store
from tasks.caching import cached
from tasks.lineage import FORECAST


@materialize(
    FORECAST,
    name="forecast",
    **cached("source", "grid", "window", "output", "features", "forecast", ignore=("fence",)),
)
def publish_shards(
    judged: ValidatedTableRef,
    serving: ServingRef,
    parts: tuple[PartRef, ...],
    fence: str,
    spec: PipelineSpec,
) -> ForecastRef:
    """Publish the forecast of one cutoff. Idempotent: equal inputs give equal bytes."""
    store = Store.from_environment()
    return publish_all(store, judged.table, serving.model, parts, spec, fence)


def list_shards(judged: ValidatedTableRef, spec: PipelineSpec) -> tuple[Shard, ...]:
    """Return the shards of a table."""
    return plan_forecast(Store.from_environment(), judged.table, spec)


def look_at_fence(judged: ValidatedTableRef, spec: PipelineSpec) -> str:
    """Return what is published at the table's cutoff now, as a digest."""
    return read_fence(Store.from_environment(), forecast_key(spec.name, judged.table.cutoff))

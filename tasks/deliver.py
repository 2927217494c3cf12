"""Put a published forecast into the table that the spec names."""

from __future__ import annotations

from prefect import task

from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import ForecastRef
from seqmodel.store.store import Store
from tasks.retrying import RETRIES


@task(name="deliver", persist_result=False, **RETRIES)
def deliver(forecast: ForecastRef, spec: PipelineSpec) -> int:
    """Deliver one cutoff; return the rows. Idempotent, and tried again whatever went wrong."""
    from seqmodel.store.sinks import deliver_forecast

    folder = Store.from_environment().path(forecast.key)
    return deliver_forecast(folder, spec.forecast.sink or "", spec.forecast.sink_table)

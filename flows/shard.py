"""One shard of a forecast as a flow run of its own, for a work pool with workers of its own.

prefect work-pool create shards --type process
prefect deploy flows/shard.py:shard --name shard --pool shards
python -m flows.refresh --deployment refresh --runner.kind deployment
"""

from __future__ import annotations

from prefect import flow

from seqmodel.reporting.night import StepRecord
from seqmodel.specs import PipelineSpec
from seqmodel.store.parts import Shard
from seqmodel.store.refs import ServingRef, ValidatedTableRef
from tasks.caching import call
from tasks.forecast_shard import forecast_shard


@flow(name="shard", flow_run_name="{spec.name} shard {shard.number}", persist_result=False)
def shard(judged: ValidatedTableRef, serving: ServingRef, shard: Shard, spec: PipelineSpec) -> None:
    """Stage the forecast of one shard; the run that asked for it publishes all of them.

    Args:
        judged: what is forecast.
        serving: by which version.
        shard: which series.
        spec: every knob of the pipeline.
    """
    records: list[StepRecord] = []
    call(forecast_shard, records, judged=judged, serving=serving, shard=shard, spec=spec)

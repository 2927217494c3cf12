"""Measure the series of one shard of a table, for whoever judges it."""

from __future__ import annotations

from datetime import datetime

from prefect import task

from seqmodel.planning import plan_profile
from seqmodel.specs import PipelineSpec
from seqmodel.store.parts import MeasuredRef, Shard
from seqmodel.store.refs import RunRef, TableRef
from seqmodel.store.store import Store
from seqmodel.table.shards import measure_shard as measure
from tasks.caching import cached


@task(
    name="profile shard",
    # The same inputs as the verdict's: its figures are dropped once the table is judged.
    **cached("source", "quality", "window", "backtest", ignore=("run",)),
)
def measure_shard(
    run: RunRef,
    as_of: datetime,  # noqa: ARG001 - a verdict of another moment asks for figures of its own
    table: TableRef,
    shard: Shard,
    spec: PipelineSpec,
) -> MeasuredRef:
    """Stage the figures of one shard. Idempotent: equal inputs give equal bytes."""
    return measure(Store.from_environment(), run, table, shard, spec.source)


def list_measured_shards(table: TableRef, spec: PipelineSpec) -> tuple[Shard, ...]:
    """Return the shards of a table."""
    return plan_profile(Store.from_environment(), table, spec)

"""Into which shards a table is cut for a step."""

from __future__ import annotations

from seqmodel.sharding import plan_shards
from seqmodel.specs import PipelineSpec
from seqmodel.store.newest import list_groups
from seqmodel.store.parts import Shard
from seqmodel.store.refs import TableRef
from seqmodel.store.store import Store


def plan_forecast(store: Store, table: TableRef, spec: PipelineSpec) -> tuple[Shard, ...]:
    """Cut a table into the shards that are forecast apart.

    Classes are forecast in one go.
    """
    groups = list_groups(store.find(table.key))
    return plan_shards(groups, 1 if spec.output.of_classes else spec.forecast.shards)


def plan_backtest(store: Store, table: TableRef, spec: PipelineSpec) -> tuple[Shard, ...]:
    """Cut a table into the shards whose windows are predicted apart.

    Classes and events are predicted in one go: the periods of events follow from all of them.
    """
    whole = spec.output.of_classes or spec.source.irregular
    groups = list_groups(store.find(table.key))
    return plan_shards(groups, 1 if whole else spec.backtest.shards)


def plan_profile(store: Store, table: TableRef, spec: PipelineSpec) -> tuple[Shard, ...]:
    """Cut a table into the shards that are measured apart, before anybody has judged it."""
    return plan_shards(list_groups(store.find(table.key)), spec.quality.shards)

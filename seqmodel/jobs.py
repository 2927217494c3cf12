"""What a child process is asked to do: JSON in, JSON out, the library's own functions between."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from seqmodel.specs import PipelineSpec
from seqmodel.store.parts import PredictionsRef, Shard
from seqmodel.store.refs import GraphRef, ModelRef, RunRef, TableRef, WindowsRef
from seqmodel.store.store import Store

Tell = Callable[[dict[str, Any]], None]


class Job(BaseModel):
    """Base of the jobs: where the data are, and the pipeline."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: str
    spec: PipelineSpec

    @property
    def store(self) -> Store:
        """The data root of the parent."""
        return Store(Path(self.root))


class TrainJob(Job):
    """Train a challenger."""

    as_of: datetime
    windows: WindowsRef
    lineage: dict[str, str]
    parent: ModelRef | None = None
    drift: str | None = None
    member: int | None = None
    table: TableRef | None = None


class AssembleJob(Job):
    """Put the members of an ensemble together."""

    as_of: datetime
    table: TableRef
    members: tuple[ModelRef, ...]
    lineage: dict[str, str]


class BacktestJob(Job):
    """Score models."""

    run: RunRef
    table: TableRef
    models: dict[str, ModelRef]
    refits: tuple[ModelRef, ...] = ()
    told: tuple[PredictionsRef, ...] = ()


class BacktestShardJob(BacktestJob):
    """Predict the windows of one shard and stage what was said."""

    shard: Shard


class ForecastJob(Job):
    """Forecast and publish."""

    table: TableRef
    model: ModelRef | None


class ShardJob(ForecastJob):
    """Forecast one shard and stage it."""

    shard: Shard
    graph: GraphRef | None = None


class GraphJob(Job):
    """Make the graphs of a version."""

    model: ModelRef


class WatchJob(Job):
    """Score what is out and measure drift."""

    run: RunRef
    table: TableRef
    model: ModelRef | None


class TrialJob(Job):
    """Train with the spec of one trial and score it on the holdout."""

    table: TableRef
    checkpoint: str
    levels: tuple[float, ...]


def train(job: dict[str, Any], tell: Tell) -> Any:
    """Run a `TrainJob`; return a `ModelRef` as JSON."""
    from seqmodel.store.bundles import MEMBERS, find_member
    from seqmodel.training import train_model

    j = TrainJob.model_validate(job)
    store, parent, folder = j.store, j.parent, "models"
    if j.member is not None:
        parent = parent and find_member(store, parent, j.member)
        folder = MEMBERS
    what = (store, j.windows, j.spec, j.as_of, j.lineage, tell, parent, j.drift)
    ref = train_model(*what, folder=folder, table=j.table)
    return ref.model_dump(mode="json")


def assemble(job: dict[str, Any], _tell: Tell) -> Any:
    """Run an `AssembleJob`; return a `ModelRef` as JSON."""
    from seqmodel.training.assembling import assemble_models

    j = AssembleJob.model_validate(job)
    ref = assemble_models(j.store, j.table, j.spec, j.as_of, j.members, j.lineage)
    return ref.model_dump(mode="json")


def backtest(job: dict[str, Any], _tell: Tell) -> Any:
    """Run a `BacktestJob`; return a `BacktestRef` as JSON."""
    from seqmodel.backtesting import backtest_models

    j = BacktestJob.model_validate(job)
    what = (j.store, j.run, j.table, j.models, j.spec, j.refits, j.told)
    return backtest_models(*what).model_dump(mode="json")


@lru_cache(maxsize=1)
def _load_candidates(described: str) -> Any:
    """Load what is compared, once for the shards of a table that this process is asked for."""
    from seqmodel.candidates import Candidates

    j = BacktestJob.model_validate_json(described)
    return Candidates.open(j.store, j.table, j.models, j.refits, j.spec)


def backtest_shard(job: dict[str, Any], _tell: Tell) -> Any:
    """Run a `BacktestShardJob`; return a `PredictionsRef` as JSON."""
    from seqmodel.candidates import backtest_shard as predict_shard

    j = BacktestShardJob.model_validate(job)
    candidates = _load_candidates(j.model_dump_json(exclude={"shard"}))
    return predict_shard(j.store, j.run, candidates, j.shard).model_dump(mode="json")


def forecast(job: dict[str, Any], _tell: Tell) -> Any:
    """Run a `ForecastJob`; return a `ForecastRef` as JSON."""
    from seqmodel.forecasting import forecast_table

    j = ForecastJob.model_validate(job)
    return forecast_table(j.store, j.table, j.model, j.spec).model_dump(mode="json")


@lru_cache(maxsize=1)
def _load_teller(described: str, graph: GraphRef | None) -> Any:
    """Load what forecasts, once for the shards of a table that this process is asked for."""
    from seqmodel.forecasting import load_teller

    j = ForecastJob.model_validate_json(described)
    return load_teller(j.store, j.table, j.model, j.spec, graph)


def forecast_shard(job: dict[str, Any], _tell: Tell) -> Any:
    """Run a `ShardJob`; return a `PartRef` as JSON."""
    from seqmodel.forecasting import forecast_shard as tell_shard

    j = ShardJob.model_validate(job)
    teller = _load_teller(j.model_dump_json(exclude={"shard", "graph"}), j.graph)
    return tell_shard(j.store, j.table, teller, j.shard, j.spec).model_dump(mode="json")


def make_graph(job: dict[str, Any], _tell: Tell) -> Any:
    """Run a `GraphJob`; return a `GraphRef` as JSON."""
    from seqmodel.graphing import make_graph as make

    j = GraphJob.model_validate(job)
    return make(j.store, j.model).model_dump(mode="json")


def watch(job: dict[str, Any], _tell: Tell) -> Any:
    """Run a `WatchJob`; return a `WatchRef` as JSON."""
    from seqmodel.monitoring.watching import watch as look

    j = WatchJob.model_validate(job)
    return look(j.store, j.run, j.table, j.model, j.spec).model_dump(mode="json")


def try_out(job: dict[str, Any], tell: Tell) -> Any:
    """Run a `TrialJob`; return its figures."""
    from seqmodel.tuning import run_trial

    j = TrialJob.model_validate(job)
    return run_trial(j.store, j.table, j.spec, j.levels, j.checkpoint, tell)

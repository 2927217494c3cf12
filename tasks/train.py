"""Train a challenger in a child process."""

from __future__ import annotations

from datetime import datetime

from prefect import get_run_logger
from prefect.assets import materialize

from seqmodel.jobs import TrainJob
from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import ModelRef, ValidatedTableRef, WindowsRef
from seqmodel.store.store import Store
from tasks.caching import cached
from tasks.child import run_in_child
from tasks.lineage import MODEL
from tasks.progress import follow_training

#: Rules whose breach means that an older model has learned another world.
DRIFTS = ("drift", "level_shift")


#: Where the holdout lies, and what its intervals are measured by.
SPLIT = ("backtest.cutoffs", "backtest.step", "backtest.gap", "backtest.share")
KNOBS = ("window", "model", "output", "train", "forecast.whole", *SPLIT)


@materialize(MODEL, name="train", **cached(*KNOBS))
def train(
    as_of: datetime,
    judged: ValidatedTableRef,
    windows: WindowsRef,
    spec: PipelineSpec,
    parent: ModelRef | None = None,
    member: int | None = None,
    watched: tuple[str, ...] = (),
) -> ModelRef:
    """Fit the network and store it as a version, or as a member of an ensemble to come.

    Idempotent: a version is written once. A try after a killed one goes on where that stood.
    """
    failed = [r for r in judged.verdict.rules if r.rule in DRIFTS and r.outcome == "failed"]
    moved = [*(r.found for r in failed), *watched]
    job = TrainJob(
        root=str(Store.from_environment().root),
        spec=spec,
        as_of=as_of,
        windows=windows,
        lineage={"table": judged.table.fingerprint},
        parent=parent,
        drift="; ".join(moved) or None,
        member=member,
        table=judged.table,
    )
    with follow_training(spec) as tell:
        answer = run_in_child(
            "seqmodel.jobs:train",
            job.model_dump(mode="json"),
            deadline=spec.train.deadline,
            memory_limit=spec.train.memory_limit,
            tell=tell,
            log=get_run_logger(),
        )
    return ModelRef.model_validate(answer)

"""Put the trained members of an ensemble together as one version, in a child process."""

from __future__ import annotations

from datetime import datetime

from prefect import get_run_logger
from prefect.assets import materialize

from seqmodel.jobs import AssembleJob
from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import ModelRef, ValidatedTableRef
from seqmodel.store.store import Store
from tasks.caching import cached
from tasks.child import run_in_child
from tasks.lineage import MODEL
from tasks.train import KNOBS as TRAINED

KNOBS = ("source", "grid", *TRAINED)


@materialize(MODEL, name="assemble", **cached(*KNOBS))
def assemble(
    as_of: datetime, judged: ValidatedTableRef, members: tuple[ModelRef, ...], spec: PipelineSpec
) -> ModelRef:
    """Learn the weights on the holdout and store one bundle. Idempotent: it is written once."""
    job = AssembleJob(
        root=str(Store.from_environment().root),
        spec=spec,
        as_of=as_of,
        table=judged.table,
        members=members,
        lineage={"table": judged.table.fingerprint},
    )
    answer = run_in_child(
        "seqmodel.jobs:assemble",
        job.model_dump(mode="json"),
        deadline=spec.train.deadline,
        memory_limit=spec.train.memory_limit,
        tell=lambda _: None,
        log=get_run_logger(),
    )
    return ModelRef.model_validate(answer)

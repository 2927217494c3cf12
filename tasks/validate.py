"""Let Great Expectations judge the table; publish it or stop."""

from __future__ import annotations

from datetime import datetime

from prefect.assets import materialize

from seqmodel.errors import QualityError
from seqmodel.specs import PipelineSpec
from seqmodel.store.parts import MeasuredRef
from seqmodel.store.refs import RunRef, TableRef, ValidatedTableRef
from seqmodel.store.store import Store
from seqmodel.store.tables import publish_table
from seqmodel.table.drift import find_reference, publish_profile
from seqmodel.table.shards import join_profiles
from tasks.caching import cached
from tasks.lineage import TABLE
from tasks.showing import show_quality


@materialize(
    TABLE,
    name="validate",
    **cached("source", "quality", "window", "backtest", ignore=("run",)),
)
def validate(
    run: RunRef,
    as_of: datetime,
    table: TableRef,
    spec: PipelineSpec,
    measured: tuple[MeasuredRef, ...] = (),
) -> ValidatedTableRef:
    """Judge a staged table. Idempotent: a published table is judged again and left as it is."""
    from tasks.judging import explain, measure_and_judge

    store = Store.from_environment()
    reference = find_reference(store, spec.name, table.fingerprint, as_of)
    profile = join_profiles(store, measured, spec.source) if measured else None
    verdict, profile = measure_and_judge(store.find(table.key), spec, as_of, reference, profile)
    store.write_json(f"{run.key}/quality.json", verdict.model_dump(mode="json"))
    show_quality(verdict, spec.name)
    if verdict.stops:
        raise QualityError(explain(verdict))
    publish_table(store, table)
    if profile is not None:
        publish_profile(store, spec.name, table.fingerprint, as_of, profile)
    return ValidatedTableRef(table=table, verdict=verdict)

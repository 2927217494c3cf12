"""Let Great Expectations judge the table; publish it or stop."""

from __future__ import annotations

from datetime import datetime

from prefect import task

from seqmodel.errors import QualityError
from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import RunRef, TableRef, ValidatedTableRef
from seqmodel.store.store import Store
from seqmodel.store.tables import publish_table
from tasks.caching import cached


@task(
    name="validate",
    **cached("source", "quality", "window", "backtest", ignore=("run",)),
)
def validate(
    run: RunRef, as_of: datetime, table: TableRef, spec: PipelineSpec
) -> ValidatedTableRef:
    """Judge a staged table. Idempotent: a published table is judged again and left as it is."""
    from tasks.judging import explain, judge

    store = Store.from_environment()
    verdict = judge(store.find(table.key), spec, as_of)
    store.write_json(f"{run.key}/quality.json", verdict.model_dump(mode="json"))
    if verdict.stops:
        raise QualityError(explain(verdict))
    publish_table(store, table)
    return ValidatedTableRef(table=table, verdict=verdict)

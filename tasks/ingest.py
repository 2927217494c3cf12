"""Clean the source into a staged table."""

from __future__ import annotations

from datetime import datetime

from prefect import task

from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import RunRef, SourceRef, TableRef
from seqmodel.store.store import Store
from seqmodel.table.ingesting import ingest_table
from tasks.caching import cached


@task(
    name="ingest",
    **cached(
        *("source", "grid.resample", "quality", "window.horizon", "window.lookback"),
        *("output.kind", "output.positive"),
        ignore=("run",),
    ),
)
def ingest(run: RunRef, as_of: datetime, source: SourceRef, spec: PipelineSpec) -> TableRef:
    """Read, clean, sort and account for every row. Idempotent: equal rows, equal fingerprint."""
    return ingest_table(Store.from_environment(), run, as_of, source, spec)

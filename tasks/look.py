"""Recognise the source."""

from __future__ import annotations

from prefect import task

from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import SourceRef
from seqmodel.table.reading import look_at
from tasks.caching import FRESH


@task(name="look", **FRESH)
def look(spec: PipelineSpec) -> SourceRef:
    """Look at the source's files without reading them whole; all that follows keys on it."""
    return look_at(spec.source)

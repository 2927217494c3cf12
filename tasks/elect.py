"""Find the version that serves."""

from __future__ import annotations

from datetime import datetime

from prefect import get_run_logger, task

from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import ServingRef
from seqmodel.store.serving import elect_version
from seqmodel.store.store import Store
from tasks.caching import FRESH


@task(name="elect", **FRESH)
def elect(
    as_of: datetime,
    spec: PipelineSpec,
    prefer: str | None = None,
    instead_of: str | None = None,
) -> ServingRef:
    """Look at the champion pointer; never cached, somebody may have rolled back."""
    store = Store.from_environment()
    serving = elect_version(store, spec, as_of, prefer=prefer, instead_of=instead_of)
    for note in serving.notes:
        get_run_logger().warning("%s", note)
    return serving

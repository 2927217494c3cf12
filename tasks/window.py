"""Cut the table into windows of (timesteps, features)."""

from __future__ import annotations

from prefect import task

from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import ValidatedTableRef, WindowsRef
from seqmodel.store.store import Store
from seqmodel.windowing import make_windows
from tasks.caching import cached


@task(name="window", **cached("source", "grid", "window", "features", "train.holdout", "backtest"))
def window(judged: ValidatedTableRef, spec: PipelineSpec) -> WindowsRef:
    """Encode the rows and index the windows. Idempotent: equal rows, equal fingerprint."""
    return make_windows(Store.from_environment(), judged, spec)

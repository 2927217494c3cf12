"""Cut the table into windows of (timesteps, features)."""

from __future__ import annotations

from prefect import task

from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import ValidatedTableRef, WindowsRef
from seqmodel.store.store import Store
from seqmodel.windowing import make_windows
from tasks.caching import cached

KNOBS = (
    *("source", "grid", "window", "features", "scaling", "train.holdout", "backtest"),
    *("output.kind", "output.positive", "output.class_weight"),
)


@task(name="window", **cached(*KNOBS))
def window(judged: ValidatedTableRef, spec: PipelineSpec) -> WindowsRef:
    """Encode the rows and index the windows. Idempotent: equal rows, equal fingerprint."""
    return make_windows(Store.from_environment(), judged, spec)

"""Move the champion pointer back."""

from __future__ import annotations

from prefect import get_run_logger, task

from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import DecisionRef, RunRef
from seqmodel.store.rolling_back import roll_back as move_pointer
from seqmodel.store.store import Store
from tasks.caching import FRESH
from tasks.telling import foresee_forecast, tell_event


@task(name="roll back", **FRESH)
def roll_back(run: RunRef, spec: PipelineSpec, to: str, reason: str) -> DecisionRef:
    """Point to an older version and write down why. Checked, then moved once or not at all."""
    store = Store.from_environment()
    pointer = move_pointer(store, spec.name, to, reason, run.as_of)
    ref = DecisionRef(
        key=f"{run.key}/rollback.json",
        promoted=False,
        serves=pointer.version,
        reason=f"rolled back to {pointer.version}: {reason}",
    )
    store.write_json(ref.key, ref.model_dump(mode="json"))
    get_run_logger().info("%s", ref.reason)
    tell_event(
        "seqmodel.model.rolled-back",
        spec.name,
        pointer.version,
        ref.reason,
        forecast=foresee_forecast(),
    )
    return ref

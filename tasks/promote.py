"""Move the champion pointer, or leave it."""

from __future__ import annotations

from prefect import get_run_logger, task

from seqmodel.promotion import promote_challenger
from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import BacktestRef, DecisionRef, ModelRef, RunRef
from seqmodel.store.store import Store
from tasks.caching import cached
from tasks.telling import foresee_forecast, tell_event


@task(name="promote", **cached("promotion"))
def promote(
    run: RunRef,
    challenger: ModelRef,
    scores: BacktestRef,
    spec: PipelineSpec,
    agreed: bool = False,  # noqa: FBT001, FBT002 - Prefect passes parameters by name
) -> DecisionRef:
    """Decide and swap. Idempotent: a challenger that serves already is left there."""
    store = Store.from_environment()
    found = promote_challenger(store, run, challenger, scores, spec.promotion, agreed=agreed)
    get_run_logger().info("%s", found.reason)
    word = "promoted" if found.promoted else "held" if found.held else "kept"
    tell_event(
        f"seqmodel.model.{word}",
        run.pipeline,
        challenger.version,
        found.reason,
        forecast=foresee_forecast(agreed=agreed) if found.promoted else "follows",
        scores=scores.scores,
    )
    return found

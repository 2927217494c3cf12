"""Move the champion pointer, or leave it."""

from __future__ import annotations

from prefect import get_run_logger, task

from seqmodel.promotion import promote_challenger
from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import BacktestRef, DecisionRef, ModelRef, RunRef
from seqmodel.store.store import Store
from tasks.caching import cached


@task(name="promote", **cached("promotion"))
def promote(
    run: RunRef, challenger: ModelRef, scores: BacktestRef, spec: PipelineSpec
) -> DecisionRef:
    """Decide and swap. Idempotent: a challenger that serves already is left there."""
    decision = promote_challenger(Store.from_environment(), run, challenger, scores, spec.promotion)
    get_run_logger().info("%s", decision.reason)
    return decision

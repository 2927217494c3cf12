"""Write down the best setting of a tuning and show all trials."""

from __future__ import annotations

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact

from seqmodel.choosing import choose_winner
from seqmodel.reporting.composing import gather_trials
from seqmodel.reporting.wording import format_trial
from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import ValidatedTableRef
from seqmodel.store.store import Store
from seqmodel.trials import TuningRef
from tasks.caching import FRESH


@task(name="choose", **FRESH)
def choose(judged: ValidatedTableRef, spec: PipelineSpec) -> TuningRef:
    """Write `winner.yaml`. Idempotent: it is replaced atomically."""
    store = Store.from_environment()
    found = choose_winner(store, judged.table.fingerprint, spec)
    best = found.trials[found.winner - 1]
    get_run_logger().info("trial %d is best, score %.5g", best.number, best.score)
    text = _describe(found, store.path(found.key).read_text())
    try:
        create_markdown_artifact(text, key=f"{spec.name}-tuning")
    except Exception as error:  # noqa: BLE001 - the picture is not the run
        get_run_logger().warning("the trials' artifact is not shown: %s", error)
    return found


def _describe(found: TuningRef, winner: str) -> str:
    """Return the trials as a table, and the winner as it is to be pasted."""
    rows = [" | ".join(format_trial(one)) for one in gather_trials(found)]
    head = ["trial | knobs | score | seconds | state", "---: | --- | ---: | ---: | ---"]
    return "\n".join(["# Trials", "", *head, *rows, "", "```yaml", winner.rstrip(), "```", ""])

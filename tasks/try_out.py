"""Try one setting of the tuned knobs, in a child process."""

from __future__ import annotations

from typing import Any

from prefect import get_run_logger, task

from seqmodel.errors import DataError, SpecError, TrainingError
from seqmodel.jobs import TrialJob
from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import ValidatedTableRef
from seqmodel.store.store import Store
from seqmodel.studying import Pruned, Study, hold_study
from seqmodel.trials import TrialRef
from seqmodel.tuning import set_knobs
from tasks.caching import FRESH
from tasks.child import run_in_child
from tasks.progress import follow_training


@task(name="try_out", **FRESH)
def try_out(judged: ValidatedTableRef, spec: PipelineSpec) -> TrialRef:
    """Train with the next setting and keep its score; no version is stored.

    Idempotent: finished trials are kept in the study. A setting whose process died is tried again
    and goes on where it stood; one that the spec or the data refuse is a failed trial, no error.
    """
    store = Store.from_environment()
    with hold_study(store, judged.table.fingerprint, spec) as study:
        study.settle()
        trial = study.ask()
        values = study.read_values(trial)
        get_run_logger().info("trial with %s", ", ".join(f"{k} {v}" for k, v in values.items()))
        try:
            answer = _run(study, trial, judged, set_knobs(spec, values))
            study.finish(trial.number, answer["score"])
        except Pruned as ended:
            study.prune(trial.number)
            get_run_logger().info("the trial was pruned: %s", ended)
        except (SpecError, DataError, TrainingError) as refused:
            study.fail(trial.number, str(refused))
            get_run_logger().warning("the trial failed: %s", refused)
        return study.list_trials()[-1]


def _run(study: Study, trial: Any, judged: ValidatedTableRef, chosen: PipelineSpec) -> Any:
    """Run the child; its scores after each epoch may end it."""
    job = TrialJob(
        root=str(study.store.root),
        spec=chosen,
        table=judged.table,
        checkpoint=study.checkpoint_key(trial.number),
        levels=study.spec.output.quantiles,
    )
    with follow_training(chosen) as tell:

        def hear(said: dict[str, Any]) -> None:
            if "score" in said:
                study.report(trial, said["epoch"], said["score"])
            else:
                tell(said)

        return run_in_child(
            "seqmodel.jobs:try_out",
            job.model_dump(mode="json"),
            deadline=chosen.train.deadline,
            memory_limit=chosen.train.memory_limit,
            tell=hear,
            log=get_run_logger(),
        )

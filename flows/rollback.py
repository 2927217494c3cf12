"""Back to an older version by hand: move the champion pointer, retrain and forecast nothing.

python -m flows.rollback --deployment rollback --to previous
"""

from __future__ import annotations

from datetime import datetime

from prefect import flow

from flows.naming import name_flow_run
from flows.stages import begin, conclude, move_back, reported
from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import ReportRef


@flow(name="rollback", flow_run_name=name_flow_run, persist_result=False)
def rollback(
    spec: PipelineSpec,
    as_of: datetime | None = None,
    to: str = "previous",
    reason: str = "by hand",
) -> ReportRef:
    """Point to an older version, or to the baseline; the next forecast is made by it.

    What is left never serves again by itself, only when it is named here.

    Args:
        spec: the pipeline; its name counts.
        as_of: the moment the run pretends to be at; by default its scheduled start.
        to: `previous`, `baseline`, or a version that `python -m seqmodel.registry list` shows.
        reason: why, one sentence for the report and the journal.
    """
    course = begin(spec, as_of)
    with reported(course, spec):
        move_back(course, spec, to, reason)
    return conclude(course, spec)


if __name__ == "__main__":
    from flows.command import run_command

    run_command(rollback)

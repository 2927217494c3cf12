"""A person agrees before a challenger serves, where the spec says so.

The forecast and the report are out by then: the run is suspended, its page in the UI asks, and the
answer takes it up again; what was done comes from the cache.
"""

from __future__ import annotations

from math import ceil

from prefect import get_run_logger, suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import deployment
from pydantic import Field

from flows.stages import conclude
from seqmodel.reporting.composing import Course
from seqmodel.specs import PipelineSpec
from tasks.caching import call
from tasks.promote import promote


class Approval(RunInput):
    """The form that a suspended run shows."""

    agreed: bool = Field(
        default=False, description="the challenger serves from now on; without it the champion does"
    )


def approve(course: Course, spec: PipelineSpec) -> None:
    """Ask whether a challenger that the gate holds may serve; nothing to ask in any other case.

    A run without a deployment cannot be suspended: its challenger stays held, and a note says how
    to promote it by hand.
    """
    decision, challenger = course.decision, course.challenger
    if decision is None or challenger is None or not decision.held:
        return
    by_hand = f"python -m seqmodel.registry promote {challenger.version} --name {spec.name}"
    course.notes.append(f"The challenger waits for a person: {decision.reason}; or run {by_hand}")
    if deployment.id is None:
        return
    conclude(course, spec)
    asked = f"Promote `{challenger.version}`? The gate says: {decision.reason}."
    answer = suspend_flow_run(
        wait_for_input=Approval.with_initial_data(description=asked),
        timeout=ceil(spec.promotion.patience),
        key="approval",
    )
    course.notes.pop()
    if answer is None or not answer.agreed:
        course.notes.append(f"A person kept the champion: {decision.reason}")
        return
    get_run_logger().info("a person agreed")
    course.decision = call(
        promote,
        course.steps,
        run=course.run,
        challenger=challenger,
        scores=course.scores,
        spec=spec,
        agreed=True,
    )

"""Forecasts of the past that are missing or failed, each from the data as known at its moment.

python -m flows.backfill --deployment backfill --start 2013-11-01T00:00Z --end 2013-11-30T00:00Z
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from prefect import flow
from pydantic import AwareDatetime, Field

from flows.moments import refresh_each
from flows.naming import name_flow_run
from flows.stages import begin, conclude, reported
from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import ReportRef
from tasks.fill_back import list_open


@flow(name="backfill", flow_run_name=name_flow_run, persist_result=False)
def backfill(
    spec: PipelineSpec,
    start: AwareDatetime,
    end: AwareDatetime,
    as_of: datetime | None = None,
    step: str = "D",
    which: Literal["missing", "failed", "all"] = "missing",
    at_once: Annotated[int, Field(ge=1, le=64)] = 1,
    dry_run: bool = False,  # noqa: FBT001, FBT002 - a flag of the command line
) -> ReportRef:
    """Run `refresh` at each moment, which sees the rows and the versions that were there then.

    One that is refused does not stop the others; run again, and only what is missing is done.

    Args:
        spec: every knob of the pipeline.
        start: first moment that a run pretends to be at.
        end: last such moment.
        as_of: of the report about the backfill; by default the run's scheduled start.
        step: between two moments, a pandas alias such as D or 6h.
        which: missing: those without a forecast; failed: those tried without one; all.
        at_once: moments forecast at the same time, each in child processes of its own.
        dry_run: say what would be done, and do nothing.
    """
    course = begin(spec, as_of)
    with reported(course, spec):
        moments, total = list_open(spec, start, end, step, which)
        word = "would be" if dry_run else "were"
        course.done.append(f"{len(moments)} of {total} moments {word} forecast")
        refresh_each(course, spec, moments, at_once, dry_run)
    return conclude(course, spec)


if __name__ == "__main__":
    from flows.command import run_command

    run_command(backfill)

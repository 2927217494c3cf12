"""By day: new rows, a new forecast, the model as it is.

python -m flows.refresh --deployment refresh
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from prefect import flow
from pydantic import Field

from flows.naming import LATENESS, name_flow_run
from flows.stages import begin, conclude, prepare, publish, reported
from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import ReportRef


@flow(name="refresh", flow_run_name=name_flow_run, persist_result=False)
def refresh(
    spec: PipelineSpec,
    as_of: datetime | None = None,
    lateness: Annotated[float, Field(gt=0, le=168)] = LATENESS,
) -> ReportRef:
    """Ingest, validate, forecast with the champion, report.

    Args:
        spec: every knob of the pipeline.
        as_of: the moment the run pretends to be at; by default its scheduled start.
        lateness: how late a scheduled run may begin and still be about the time it was due
            (hours); a later one is about the time it began, and the report says so.
    """
    course = begin(spec, as_of, lateness)
    with reported(course, spec):
        prepare(course, spec)
        publish(course, spec)
    return conclude(course, spec)


if __name__ == "__main__":
    from flows.command import run_command

    run_command(refresh)

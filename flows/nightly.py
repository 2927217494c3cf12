"""The night: retrain, which may fail, then forecast, which must not.

python -m flows.nightly --deployment nightly
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from prefect import flow, get_run_logger
from pydantic import Field

from flows.approving import approve
from flows.naming import LATENESS, name_flow_run
from flows.stages import begin, conclude, prepare, publish, renew, reported, watch
from seqmodel.errors import SpecError
from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import ReportRef


@flow(name="nightly", flow_run_name=name_flow_run, persist_result=False)
def nightly(
    spec: PipelineSpec,
    as_of: datetime | None = None,
    lateness: Annotated[float, Field(gt=0, le=168)] = LATENESS,
) -> ReportRef:
    """Ingest, validate, watch, train, compare, promote or keep, forecast, report.

    A retraining that fails leaves the champion where it is, and the champion forecasts; without
    one the seasonal naive does. The report says so.

    Args:
        spec: every knob of the pipeline.
        as_of: the moment the run pretends to be at; by default its scheduled start.
        lateness: how late a scheduled run may begin and still be about the time it was due
            (hours); a later one is about the time it began, and the report says so.
    """
    course = begin(spec, as_of, lateness)
    with reported(course, spec):
        prepare(course, spec)
        watch(course, spec)
        try:
            renew(course, spec)
        except SpecError:
            raise
        except Exception as error:  # noqa: BLE001 - the forecast must not wait for a mended training
            get_run_logger().exception("the retraining failed, the champion forecasts")
            course.notes.append(f"The retraining failed: {error}")
        publish(course, spec)
        approve(course, spec)
    return conclude(course, spec)


if __name__ == "__main__":
    from flows.command import run_command

    run_command(nightly)

"""Retrain by hand: train on the newest data, promote or keep, forecast nothing.

python -m flows.retrain --deployment retrain
"""

from __future__ import annotations

from datetime import datetime

from prefect import flow

from flows.approving import approve
from flows.naming import name_flow_run
from flows.stages import begin, conclude, prepare, renew, reported
from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import ReportRef


@flow(name="retrain", flow_run_name=name_flow_run, persist_result=False)
def retrain(spec: PipelineSpec, as_of: datetime | None = None) -> ReportRef:
    """Ingest, validate, train, compare, promote or keep, report.

    Args:
        spec: every knob of the pipeline.
        as_of: the moment the run pretends to be at; by default its scheduled start.
    """
    course = begin(spec, as_of)
    with reported(course, spec):
        prepare(course, spec)
        renew(course, spec)
        approve(course, spec)
    return conclude(course, spec)


if __name__ == "__main__":
    from flows.command import run_command

    run_command(retrain)

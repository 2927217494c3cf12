"""Tune by hand: try settings of the knobs, score each on the holdout, write down the best.

python -m flows.tune --deployment tune
"""

from __future__ import annotations

from datetime import datetime

from prefect import flow

from flows.naming import name_flow_run
from flows.stages import begin, conclude, prepare, reported, search
from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import ReportRef


@flow(name="tune", flow_run_name=name_flow_run, persist_result=False)
def tune(spec: PipelineSpec, as_of: datetime | None = None) -> ReportRef:
    """Ingest, validate, try settings, report. Nothing is promoted, no version is stored.

    A run that was killed goes on: finished trials of the same table, spec and ranges are kept.

    Args:
        spec: every knob of the pipeline; `tune` says which are tried.
        as_of: the moment the run pretends to be at; by default its scheduled start.
    """
    course = begin(spec, as_of)
    with reported(course, spec):
        prepare(course, spec)
        search(course, spec)
    return conclude(course, spec)


if __name__ == "__main__":
    from flows.command import run_command

    run_command(tune)

"""How good is it, and what is each input worth: train, score, promote nothing.

python -m flows.backtest --deployment backtest
"""

from __future__ import annotations

from datetime import datetime

from prefect import flow

from flows.naming import name_flow_run
from flows.stages import ablate, begin, compare, conclude, fit, prepare, refit, reported
from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import ReportRef


@flow(name="backtest", flow_run_name=name_flow_run, persist_result=False)
def backtest(spec: PipelineSpec, as_of: datetime | None = None) -> ReportRef:
    """Ingest, validate, train, score at rolling cutoffs, report.

    With `backtest.ablation` the model is also trained without each of the groups named there, with
    `backtest.refit` anew for every so many cutoffs.

    Args:
        spec: every knob of the pipeline.
        as_of: the moment the run pretends to be at; by default its scheduled start.
    """
    course = begin(spec, as_of)
    with reported(course, spec):
        prepare(course, spec)
        fit(course, spec)
        compare(course, spec, ablate(course, spec), refit(course, spec))
    return conclude(course, spec)


if __name__ == "__main__":
    from flows.command import run_command

    run_command(backtest)

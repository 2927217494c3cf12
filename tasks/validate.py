"""Let Great Expectations judge the table; publish it or stop."""

from __future__ import annotations

from datetime import datetime

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact

from seqmodel.errors import QualityError
from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import RunRef, TableRef, ValidatedTableRef
from seqmodel.store.store import Store
from seqmodel.store.tables import publish_table
from seqmodel.table.drift import find_reference, publish_profile
from seqmodel.table.quality import Verdict
from tasks.caching import cached


@task(
    name="validate",
    **cached("source", "quality", "window", "backtest", ignore=("run",)),
)
def validate(
    run: RunRef, as_of: datetime, table: TableRef, spec: PipelineSpec
) -> ValidatedTableRef:
    """Judge a staged table. Idempotent: a published table is judged again and left as it is."""
    from tasks.judging import explain, measure_and_judge

    store = Store.from_environment()
    reference = find_reference(store, spec.name, table.fingerprint, as_of)
    verdict, profile = measure_and_judge(store.find(table.key), spec, as_of, reference)
    store.write_json(f"{run.key}/quality.json", verdict.model_dump(mode="json"))
    _show(verdict, spec.name)
    if verdict.stops:
        raise QualityError(explain(verdict))
    publish_table(store, table)
    if profile is not None:
        publish_profile(store, spec.name, table.fingerprint, as_of, profile)
    return ValidatedTableRef(table=table, verdict=verdict)


def _show(verdict: Verdict, pipeline: str) -> None:
    """Show what each rule found in the UI; a picture that fails never fails the run."""
    rows = [
        {
            "rule": rule.rule,
            "outcome": rule.outcome,
            "severity": rule.severity,
            "found": rule.found,
            "bad": rule.bad,
            "of": rule.total,
            "examples": ", ".join(rule.examples),
        }
        for rule in (*verdict.stops, *verdict.failed, *verdict.passed)
    ]
    try:
        create_table_artifact(rows, key=f"{pipeline}-quality", description=f"table {verdict.table}")
    except Exception as error:  # noqa: BLE001 - the picture is not the run
        get_run_logger().warning("the artifact of the quality rules is not shown: %s", error)

"""Draw the run's report and show it in the UI."""

from __future__ import annotations

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from seqmodel.reporting.composing import Course, compose_night
from seqmodel.reporting.html import render_html
from seqmodel.reporting.night import Night
from seqmodel.reporting.pictures import list_pictures
from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import ReportRef
from seqmodel.store.store import Store
from seqmodel.table.ledger import write_ledger
from tasks.caching import FRESH

#: Files whose ledgers the UI lists; the report has all.
LEDGER_FILES = 50


@task(name="report", **FRESH)
def report(course: Course, spec: PipelineSpec) -> ReportRef:
    """Write `report.html` and what it says as JSON. Idempotent: both are replaced atomically."""
    store = Store.from_environment()
    key = course.run.key
    if course.table:
        # Steps taken from the cache of another run wrote these into that run's folder.
        write_ledger(store, course.run, course.table.files)
    if course.judged:
        store.write_json(f"{key}/quality.json", course.judged.verdict.model_dump(mode="json"))
    night = compose_night(store, course, spec)
    store.write_text(f"{key}/night.json", night.model_dump_json(indent=2) + "\n")
    store.write_text(f"{key}/report.html", render_html(night))
    _show(night)
    return ReportRef(key=f"{key}/report.html", night=f"{key}/night.json", verdict=night.verdict)


def _show(night: Night) -> None:
    """Show verdict and scores in the UI; a picture that fails never fails the run."""
    lines = [f"# {night.verdict}", "", *(f"- {note}" for note in night.notes), ""]
    lines += [f"- **{what}**: `{where}`" for what, where in night.places.items()]
    scores = [
        {"candidate": name, "which": night.labels.get(name, ""), **row}
        for name, row in night.scores.items()
    ]
    ledger = [
        {"file": f.file, **f.ledger.model_dump(exclude_defaults=True)}
        for f in night.files[:LEDGER_FILES]
    ]
    if night.ledger:
        ledger.append({"file": "total", **night.ledger.model_dump(exclude_defaults=True)})
    live = [
        {"metric": p.metric, "live": p.live, "baseline": p.baseline, "promised": p.promised}
        for p in night.promises
    ]
    drift = [one.model_dump() for one in night.drift]
    tests = [one.model_dump(exclude={"groups"}) for one in night.compared]
    try:
        create_markdown_artifact("\n".join(lines), key=f"{night.pipeline}-verdict")
        if pictures := list_pictures(night):
            create_markdown_artifact("\n\n".join(pictures), key=f"{night.pipeline}-pictures")
        for name, rows in (("live", live), ("drift", drift), ("test", tests)):
            if rows:
                create_table_artifact(rows, key=f"{night.pipeline}-{name}")
        if scores:
            create_table_artifact(scores, key=f"{night.pipeline}-scores")
        if ledger:
            create_table_artifact(ledger, key=f"{night.pipeline}-ledger")
    except Exception as error:  # noqa: BLE001 - the picture is not the run
        get_run_logger().warning("the report's artifacts are not shown: %s", error)

"""Draw the run's report and show it in the UI."""

from __future__ import annotations

from prefect import task

from seqmodel.reporting.composing import Course, compose_night
from seqmodel.reporting.html import render_html
from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import ReportRef
from seqmodel.store.store import Store
from seqmodel.table.ledger import write_ledger
from tasks.caching import FRESH
from tasks.showing import show_night


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
    show_night(night, f"{key}/report.html")
    return ReportRef(key=f"{key}/report.html", night=f"{key}/night.json", verdict=night.verdict)

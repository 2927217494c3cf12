"""A challenger that waits for a person: the run is suspended, its form asks, the answer counts."""

import json
from datetime import UTC, datetime

import pytest
from prefect import resume_flow_run
from prefect.client.orchestration import get_client
from prefect.events import Event
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow

import tasks.telling
from flows.approving import approve
from flows.nightly import nightly
from seqmodel.reporting.composing import Course
from seqmodel.specs import PipelineSpec
from seqmodel.store.bundles import read_model
from seqmodel.store.refs import DecisionRef, RunRef
from seqmodel.store.store import Store
from tests.conftest import meters_spec
from tests.seqmodel.store.stored import NIGHT, SPEC, write

AS_OF = datetime(2024, 2, 8, tzinfo=UTC)


@pytest.fixture
def told(monkeypatch) -> list[Event]:
    """Every event that was emitted, as the server takes it."""
    events: list[Event] = []
    emit = tasks.telling.emit_event

    def note(**parts):
        event = emit(**parts)
        events.append(event)
        return event

    monkeypatch.setattr(tasks.telling, "emit_event", note)
    return events


def start(spec):
    """A run of a deployment, as the server starts it at its time."""
    parameters = {"spec": spec.model_dump(mode="json"), "as_of": AS_OF.isoformat()}
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow(nightly)
        deployment = client.create_deployment(flow_id, name="asked")
        run = client.create_flow_run_from_deployment(deployment, parameters=parameters)
    return run.id, parameters


def carry_on(run_id, parameters):
    """What a worker does with a run that is due."""
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(run_id)
    try:
        return run_flow(nightly, flow_run=run, parameters=parameters, return_type="state")
    except Pause as suspended:
        return suspended.state


@pytest.mark.usefixtures("harness")
@pytest.mark.long
@pytest.mark.parametrize("agreed", [True, False], ids=["agreed", "refused"])
def test_a_held_challenger_serves_after_a_person_agreed(meters_file, data_root, told, agreed):
    spec = PipelineSpec.model_validate(meters_spec(meters_file, promotion={"approval": True}))
    run_id, parameters = start(spec)
    assert carry_on(run_id, parameters).name == "Suspended"
    pointer, reports = data_root / "meters/champion.json", data_root / "meters/reports"
    assert not pointer.exists(), "nothing serves before the answer"
    assert list(data_root.glob("meters/forecasts/*/_manifest.json")), "the forecast is out"
    (report,) = reports.glob("*/report.html")
    assert "waits for a person" in report.read_text()
    resume_flow_run(run_id, run_input={"agreed": agreed})
    assert carry_on(run_id, parameters).is_completed()
    assert len(list(reports.iterdir())) == 1, "the same night, not another"
    night = json.loads(next(reports.glob("*/night.json")).read_text())
    assert night["promoted"] is agreed
    assert pointer.exists() is agreed
    ran = [s["step"] for s in night["steps"] if s["outcome"] == "ran"]
    assert ran == (["promote"] if agreed else [])
    with get_client(sync_client=True) as client:
        shown = {one.key: one.data for one in client.read_artifacts()}
    assert {f"meters-{name}" for name in ("verdict", "scores", "test", "pictures")} <= set(shown)
    assert shown["meters-pictures"].count("](data:image/png;base64,") == 3, "best, median, worst"
    words = [event.event for event in told]
    assert words == ["seqmodel.model.held", *["seqmodel.model.promoted"] * agreed]
    for event in told:
        assert event.resource.id == "seqmodel.pipeline.meters"
        assert set(event.payload["scores"]) >= {"challenger", "baseline"}
        assert event.payload["reason"]


def test_without_a_deployment_a_note_says_how_to_promote_by_hand(data_root):
    store = Store(data_root)
    write(store, "v1", NIGHT)
    run = RunRef(pipeline="p", run="r", as_of=NIGHT)
    held = DecisionRef(key="k", promoted=False, serves=None, reason="held: better", held=True)
    course = Course(run=run, challenger=read_model(store, "p", "v1"), decision=held)
    approve(course, SPEC)
    assert "registry promote v1 --name p" in course.notes[0]
    assert course.decision == held


def test_where_nothing_is_held_nobody_is_asked():
    run = RunRef(pipeline="p", run="r", as_of=NIGHT)
    kept = DecisionRef(key="k", promoted=False, serves=None, reason="kept: worse")
    for decision in (None, kept):
        course = Course(run=run, decision=decision)
        approve(course, SPEC)
        assert course.notes == []

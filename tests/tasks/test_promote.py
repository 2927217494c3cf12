"""What the world is told about a decision: one event, with its figures and its reason."""

from datetime import timedelta

import pytest
from prefect.logging import disable_run_logger

import tasks.telling
from seqmodel.specs import PipelineSpec
from seqmodel.store.bundles import read_model
from seqmodel.store.refs import BacktestRef, RunRef
from seqmodel.store.store import Store
from tasks.promote import promote
from tasks.roll_back import roll_back
from tests.seqmodel.store.stored import NIGHT, SPEC, point, write


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQMODEL_DATA", str(tmp_path))
    store = Store(tmp_path)
    write(store, "v1", NIGHT)
    write(store, "v2", NIGHT)
    point(store, "v1")
    return store


@pytest.fixture
def told(monkeypatch):
    events = []
    monkeypatch.setattr(tasks.telling, "emit_event", lambda **parts: events.append(parts))
    return events


def decide(store, challenger, **promotion):
    rows = {"challenger": challenger, "champion": 0.9, "baseline": 1.0}
    scores = BacktestRef(
        key="p/b.json", windows=1, cutoffs=(), metric="mase",
        scores={name: {"mase": value} for name, value in rows.items()},
    )  # fmt: skip
    spec = PipelineSpec.model_validate({**SPEC.model_dump(mode="json"), "promotion": promotion})
    run = RunRef(pipeline="p", run="r", as_of=NIGHT)
    with disable_run_logger():
        return promote.fn(run, read_model(store, "p", "v2"), scores, spec)


@pytest.mark.parametrize(
    ("challenger", "promotion", "word"),
    [
        (0.8, {}, "promoted"),
        (0.95, {}, "kept"),
        (1.2, {"approval": True}, "kept"),
        (0.8, {"approval": True}, "held"),
    ],
)
def test_each_decision_is_one_event_with_its_reason_and_figures(
    store, told, challenger, promotion, word
):
    found = decide(store, challenger, **promotion)
    (event,) = told
    assert event["event"] == f"seqmodel.model.{word}"
    assert event["resource"]["prefect.resource.id"] == "seqmodel.pipeline.p"
    assert event["resource"]["seqmodel.version"] == "v2"
    assert event["payload"]["reason"] == found.reason
    assert event["payload"]["scores"]["challenger"] == {"mase": challenger}
    assert found.promoted is (word == "promoted")


def test_a_rollback_is_an_event_too(store, told):
    decide(store, 0.8)
    run = RunRef(pipeline="p", run="r2", as_of=NIGHT + timedelta(days=1))
    with disable_run_logger():
        roll_back.fn(run, SPEC, "previous", "too high")
    assert [event["event"] for event in told][1:] == ["seqmodel.model.rolled-back"]
    assert told[1]["payload"] == {"version": "v1", "reason": "rolled back to v1: too high"}


def test_an_event_that_cannot_be_sent_leaves_the_decision(store, monkeypatch):
    def refuse(**_):
        raise OSError("no server")

    monkeypatch.setattr(tasks.telling, "emit_event", refuse)
    assert decide(store, 0.8).promoted

"""A run is about the time it was due, unless it begins far too late; its name says which."""

from datetime import UTC, datetime, timedelta

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.flow_engine import run_flow
from prefect.states import Scheduled

from flows.naming import decide_moment, name_flow_run
from seqmodel.specs import PipelineSpec

SPEC = PipelineSpec.model_validate({"name": "demand", "source": {"uri": "x"}})
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


@flow(name="watch", flow_run_name=name_flow_run, persist_result=False)
def watch(spec: PipelineSpec, as_of: datetime | None = None, lateness: float = 6.0):
    del spec
    return decide_moment(as_of, lateness)


def start(due, run_id=None):
    """Run what was due then, or take up again a run that was begun."""
    with get_client(sync_client=True) as client:
        if run_id is None:
            parameters = {"spec": SPEC.model_dump(mode="json")}
            state = Scheduled(scheduled_time=due)
            run_id = client.create_flow_run(watch, parameters=parameters, state=state).id
        run = client.read_flow_run(run_id)
    found = run_flow(watch, flow_run=run, parameters={"spec": SPEC})
    with get_client(sync_client=True) as client:
        return found, client.read_flow_run(run_id)


@pytest.mark.usefixtures("harness")
def test_a_run_that_begins_in_time_is_about_the_time_it_was_due():
    due = datetime.now(UTC) - timedelta(hours=2)
    (moment, note), run = start(due)
    assert abs(moment - due) < timedelta(seconds=1)
    assert type(moment) is datetime, "pendulum's differences do not divide by Python's"
    assert note == ""
    assert run.name == f"demand watch {due:%Y-%m-%d %H:%M}"


@pytest.mark.usefixtures("harness")
def test_a_run_that_begins_days_late_is_about_now_and_says_so():
    due = datetime.now(UTC) - timedelta(days=3)
    (moment, note), run = start(due)
    assert timedelta(0) <= datetime.now(UTC) - moment < timedelta(minutes=2)
    assert type(moment) is datetime
    assert "began 72.0 hours later, more than the 6 allowed" in note
    assert run.name == f"demand watch {moment:%Y-%m-%d %H:%M}"


@pytest.mark.usefixtures("harness")
def test_a_moment_that_was_asked_for_counts_whenever_the_run_begins():
    (moment, note) = watch(spec=SPEC, as_of=NOON, lateness=0.5)
    assert (moment, note) == (NOON, "")


@pytest.mark.usefixtures("harness")
def test_a_run_taken_up_again_is_about_the_same_moment(monkeypatch):
    due = datetime.now(UTC) - timedelta(days=3)
    (first, _), run = start(due)
    later = datetime.now(UTC) + timedelta(hours=5)

    class Clock(datetime):
        """Five hours on."""

        @classmethod
        def now(cls, tz=None):
            return later.astimezone(tz)

    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run.id, Scheduled(), force=True)
    monkeypatch.setattr("flows.naming.datetime", Clock)
    (again, _), _ = start(due, run.id)
    assert again == first

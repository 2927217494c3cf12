"""Alarms and reactions on a real server, with windows of seconds instead of minutes and hours."""

import contextvars
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.events import Event
from prefect.events.schemas.automations import AutomationCore, EventTrigger
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Completed, Failed, Running

from flows import automations
from flows.alarms import AlarmSettings, find_notice
from seqmodel.errors import SpecError
from tests.serving import answers, ask, find_port, wait_for

SHORT = timedelta(seconds=30)  # fifteen beats of the test: a busy machine delays some
PAUSE = SHORT.total_seconds() / 15

pytestmark = [pytest.mark.timeout(500), pytest.mark.long]


@flow(name="night")
def night():
    """Stands for a flow on schedule."""


@flow(name="refresh")
def refresh(spec: dict | None = None):
    """Stands for the flow that a promotion begins."""
    del spec


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server without a worker: what becomes of runs is told by the tests."""
    home, port = tmp_path_factory.mktemp("alarms"), find_port()
    api = f"http://127.0.0.1:{port}/api"
    environment = {**os.environ, "PREFECT_HOME": str(home), "PREFECT_API_URL": api}
    words = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, *words], cwd=home, env=environment, stdout=log, stderr=log
        )
    try:
        wait_for(lambda: answers(f"{api}/health"), 120)
        with temporary_settings({PREFECT_API_URL: api}):
            yield api, environment
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def heard():
    """A webhook on loopback, and what it was told."""
    told: list[dict] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as hook:
        thread = threading.Thread(target=hook.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{hook.server_port}/", told
        hook.shutdown()
        thread.join()


def deploy(client, one, name, *tags, **parameters):
    return client.create_deployment(
        client.create_flow(one), name=name, tags=list(tags), parameters=parameters
    )


def begin(client, deployment, *tags):
    """A run of a deployment that is under way, as its worker reports it."""
    run = client.create_flow_run_from_deployment(deployment, tags=list(tags))
    client.set_flow_run_state(run.id, Running(), force=True)
    return run


def beat(run, *tags):
    """What the process of a run sends."""
    tell("prefect.flow-run.heartbeat", f"prefect.flow-run.{run.id}", tags=tags)


@contextmanager
def beating(run, *tags):
    """Beats come by themselves, as a process sends them, whatever else the test waits for."""
    ended = threading.Event()

    def go_on():
        while not ended.wait(PAUSE):
            beat(run, *tags)

    # the address of the server is of this context
    heart = threading.Thread(target=contextvars.copy_context().run, args=(go_on,))
    heart.start()
    try:
        yield
    finally:
        ended.set()
        heart.join()


def tell(word, resource, tags=(), **labels):
    event = Event(
        occurred=datetime.now(UTC),
        event=word,
        resource={"prefect.resource.id": resource, **labels},
        related=[
            {"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"}
            for tag in tags
        ],
    )
    with get_client(sync_client=True) as client:
        client.request("POST", "/events", json=[event.model_dump(mode="json")])


@pytest.fixture(scope="module")
def watched(server, heard):
    """A minute in which runs fall silent, succeed, fail, and models are promoted."""
    api, _ = server
    with ExitStack() as stack:
        client = stack.enter_context(get_client(sync_client=True))
        settings = AlarmSettings(webhook=heard[0])
        notice = find_notice(client, settings)
        scheduled = (automations.TAG, automations.SCHEDULED_TAG)
        steady, ill, never = (
            deploy(client, night, name, *scheduled) for name in ("steady", "ill", "never")
        )
        other = deploy(client, night, "by hand", automations.TAG)
        again = deploy(client, refresh, "refresh", automations.TAG, spec={"name": "demand"})
        for one in (
            automations.find_zombies(SHORT / 6, SHORT),
            automations.find_silence(SHORT, notice),
            automations.tell_failures(notice),
            automations.follow_promotion("demand", again),
        ):
            client.create_automation(one)
        time.sleep(3)  # the server loads what is new every two seconds or so
        runs = {
            "silent": begin(client, other, automations.TAG),
            "alive": begin(client, other, automations.TAG),
            "ended": begin(client, other, automations.TAG),
            "failed": begin(client, other, automations.TAG),
        }
        for name in ("silent", "alive", "ended"):
            beat(runs[name], automations.TAG)
        stack.enter_context(beating(runs["alive"], automations.TAG))
        client.set_flow_run_state(runs["ended"].id, Completed(), force=True)
        client.set_flow_run_state(runs["failed"].id, Failed(), force=True)
        succeed(client, ill, *scheduled)
        begin(client, never, *scheduled)
        for forecast, pipeline in (("wanted", "demand"), ("follows", "demand"), ("wanted", "x")):
            resource = f"seqmodel.pipeline.{pipeline}"
            labels = {"seqmodel.forecast": forecast}
            tell("seqmodel.model.promoted", resource, **labels)
        begun = time.monotonic()
        while time.monotonic() < begun + 200:
            succeed(client, steady, *scheduled)
            found = {
                "runs": {name: client.read_flow_run(run.id) for name, run in runs.items()},
                "refreshed": find_runs(client, again),
                "told": list(heard[1]),
                "silent": find_silent(api, steady=steady, ill=ill, never=never),
            }
            if time.monotonic() > begun + 1.6 * SHORT.total_seconds() and is_all_there(found):
                break
            time.sleep(1.5)
        yield found


def is_all_there(found):
    """What has to come has come; what must not come has had its time."""
    crashed = found["runs"]["silent"].state.is_crashed()
    told = {one["run"] for one in found["told"]}
    named = {found["runs"][name].name for name in ("silent", "failed")}
    return crashed and len(found["silent"]) > 1 and found["refreshed"] and named <= told


def find_runs(client, deployment):
    return [r for r in client.read_flow_runs(limit=200) if r.deployment_id == deployment]


def find_silent(api, **deployments):
    """Names of the deployments whose silence raised an alarm."""
    wanted = {"filter": {"event": {"name": ["prefect.automation.triggered"]}}}
    labels = [
        json.dumps(one["payload"].get("triggering_labels"))
        for one in ask(f"{api}/events/filter", wanted)["events"]
        if "no success" in one["resource"].get("prefect.resource.name", "")
    ]
    return {name for name, one in deployments.items() if any(str(one) in text for text in labels)}


def succeed(client, deployment, *tags):
    run = begin(client, deployment, *tags)
    client.set_flow_run_state(run.id, Completed(), force=True)


def test_a_run_whose_heartbeats_stop_is_marked_crashed(watched):
    state = watched["runs"]["silent"].state
    assert state.is_crashed()
    assert "no heartbeat for 30 s" in state.message


def test_a_run_that_beats_or_has_ended_is_left_alone(watched):
    assert watched["runs"]["alive"].state.is_running()
    assert watched["runs"]["ended"].state.is_completed()


def test_a_deployment_without_a_success_for_the_window_raises_an_alarm_and_no_other_does(watched):
    assert watched["silent"] == {"ill", "never"}


def test_alarms_and_failures_are_told_by_webhook(watched):
    words = {one["alarm"] for one in watched["told"]}
    assert f"{automations.PREFIX}a run failed" in words
    assert any("no success" in word for word in words)
    failed = [one for one in watched["told"] if one["alarm"].endswith("a run failed")]
    names = {one["run"] for one in failed}
    assert watched["runs"]["failed"].name in names
    assert watched["runs"]["silent"].name in names, "a zombie's end is told too"
    assert watched["runs"]["alive"].name not in names
    assert all(one["page"].startswith("http://127.0.0.1") for one in failed)


def test_a_promotion_without_a_forecast_begins_the_refresh_of_its_pipeline_once(watched):
    assert len(watched["refreshed"]) == 1


def list_ours(client):
    return {a.name: a for a in client.read_automations() if a.name.startswith(automations.PREFIX)}


@pytest.mark.usefixtures("watched")
def test_the_command_makes_what_is_wanted_once_and_leaves_what_a_person_did(capsys):
    with get_client(sync_client=True) as client:
        foreign = AutomationCore(
            name="of a person", trigger=EventTrigger(expect={"never"}), actions=[]
        )
        kept = client.create_automation(foreign)
        assert automations.main() == 0
        said = capsys.readouterr().out
        assert "automation seqmodel: no success for 26 hours\n" in said
        assert "automation seqmodel: demand: refresh after a promotion\n" in said
        first = list_ours(client)
        assert len(first) == 3, "no notice without an address, nothing left of the short windows"
        silence = first["seqmodel: no success for 26 hours"]
        assert silence.trigger.within == timedelta(hours=26)
        zombie = first["seqmodel: a run without heartbeat"]
        assert zombie.trigger.within == timedelta(seconds=4 * 180)
        client.pause_automation(zombie.id)
        assert automations.main() == 0
        second = list_ours(client)
        assert {n: a.id for n, a in second.items()} == {n: a.id for n, a in first.items()}
        assert not second["seqmodel: a run without heartbeat"].enabled
        assert client.read_automation(kept).name == "of a person"


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"SEQMODEL_ALARM_ZOMBIE": "200"}, "needed three heartbeats at least"),
        ({"SEQMODEL_ALARM_ZOMBIE": "100000"}, "an hour and four of them at most"),
        ({"SEQMODEL_ALARM_SILENCE": "-1"}, "silence"),
        ({"SEQMODEL_ALARM_BLOCK": "sendgrid-email/nobody"}, "found no block"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused_in_one_line(monkeypatch, capsys, more, says):
    for name, value in more.items():
        monkeypatch.setenv(name, value)
    assert automations.main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


def test_a_window_under_three_heartbeats_would_kill_the_living():
    beat = timedelta(seconds=30)
    with pytest.raises(SpecError, match="three heartbeats"):
        automations.find_zombies(beat, timedelta(seconds=89))
    assert automations.find_zombies(beat).trigger.within == timedelta(seconds=120)

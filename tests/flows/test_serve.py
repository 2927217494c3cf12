"""`make serve` for real: server, pool, deployments, a schedule, a run through the worker."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import ROOT, meters_spec


def find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(url: str, body: dict | None = None) -> list | dict:
    data = json.dumps(body or {}).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.load(answer)


def wait_for(what, seconds: float):
    """Ask again and again until there is an answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.5)
    raise AssertionError(f"nothing after {seconds} s")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    home = tmp_path_factory.mktemp("serve")
    port = find_port()
    environment = {
        **os.environ,
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_API_PORT": str(port),
        "SEQMODEL_DATA": str(home / "root"),
        "PREFECT_WORKER_QUERY_SECONDS": "2",
    }
    log = (home / "log").open("w")
    # As a shell starts what runs in its background: with Ctrl-C ignored.
    ignored = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN);"
    process = subprocess.Popen(
        [
            *[sys.executable, "-c", f"{ignored} os.execv(sys.executable, sys.argv[1:])"],
            *[sys.executable, "-m", "flows.serve"],
        ],
        cwd=ROOT,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        wait_for(lambda: "the UI is at" in (home / "log").read_text(), 200)
        yield home, f"http://127.0.0.1:{port}/api", environment
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(60)
        log.close()
    assert code == 0, (home / "log").read_text()[-3000:]


def test_all_deployments_are_there(served):
    _, api, _ = served
    names = {d["name"] for d in ask(f"{api}/deployments/filter")}
    assert {"nightly", "refresh", "retrain"} <= names


def test_the_cron_schedule_really_produces_runs(served):
    # With sqlalchemy 2.1 the scheduler crashes at every tick and this stays empty for ever.
    _, api, _ = served
    runs = wait_for(lambda: [r for r in ask(f"{api}/flow_runs/filter") if r["auto_scheduled"]], 120)
    assert {run["state_type"] for run in runs} == {"SCHEDULED"}


def test_a_deployment_run_completes_through_the_worker(served, meters_file: Path):
    home, api, environment = served
    spec = meters_spec(meters_file)
    parameters = {"spec": spec, "as_of": "2024-02-08T00:00:00Z"}
    done = subprocess.run(
        [
            *[sys.executable, "-m", "prefect", "deployment", "run", "nightly/nightly"],
            *["--params", json.dumps(parameters)],
        ],
        cwd=ROOT,
        env={**environment, "PREFECT_API_URL": api},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

    def look() -> dict | None:
        runs = ask(f"{api}/flow_runs/filter", {"sort": "EXPECTED_START_TIME_DESC"})
        mine = [r for r in runs if not r["auto_scheduled"]]
        ended = mine and mine[0]["state_type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
        return mine[0] if ended else None

    run = wait_for(look, 240)
    assert run["state_type"] == "COMPLETED", (home / "log").read_text()[-3000:]
    assert list((home / "root" / "meters" / "forecasts").glob("*/_manifest.json"))
    keys = {a["key"] for a in ask(f"{api}/artifacts/filter")}
    shown = {"verdict", "scores", "training", "ledger", "quality"}
    assert {f"meters-{name}" for name in shown} <= keys

"""`make serve` as it is: ended in the middle of a night and started again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, meters_spec
from tests.faults.night import check_ledger, check_whole
from tests.serving import Served, ask, run_deployment, serving, wait_for

pytestmark = [pytest.mark.tensorflow, pytest.mark.faults, pytest.mark.timeout(1800)]


def begin_run(served: Served, parameters) -> None:
    words = ["deployment", "run", "nightly/nightly", "--params", json.dumps(parameters)]
    subprocess.run(
        [sys.executable, "-m", "prefect", *words],
        cwd=ROOT,
        env=served.environment,
        check=True,
        capture_output=True,
    )


def list_listening(port: int) -> set[str]:
    """The addresses on which something of this machine listens at a port, in hexadecimal."""
    found = set()
    for name in ("tcp", "tcp6"):
        for line in Path("/proc/net", name).read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            address, _, number = local.partition(":")
            if state == "0A" and int(number, 16) == port:
                found.add(address)
    return found


@pytest.mark.fault("a worker stopped and started again")
def test_a_night_whose_worker_is_stopped_is_taken_up_by_the_next_one(tmp_path, meters_file):
    parameters = {"spec": meters_spec(meters_file), "as_of": "2024-02-08T00:00:00Z"}
    home, pipeline = tmp_path / "home", tmp_path / "home" / "root" / "meters"
    home.mkdir()
    with serving(home) as served:
        # A server listens on this machine alone: 0100007F is 127.0.0.1.
        port = int(served.address.rpartition(":")[2])
        assert list_listening(port) == {"0100007F"}
        begin_run(served, parameters)
        wait_for(lambda: list(pipeline.glob("windows/*")), 300)
    assert not list(pipeline.glob("forecasts/*/_manifest.json")), "it was done before the stop"
    check_whole(pipeline)
    first = (home / "log").read_text()
    with serving(home) as served:
        run = run_deployment(served, "nightly/nightly", parameters, 600)
        assert run["state_type"] == "COMPLETED", served.read_log()[-3000:]
        said = served.read_log()
        states = {r["id"]: r["state_type"] for r in ask(f"{served.api}/flow_runs/filter")}
    done = set(re.findall(r"step (\w+): ran", first))
    assert "ingest" in done
    assert not done & set(re.findall(r"step (\w+): ran", said)), "what was done is done again"
    assert "RUNNING" not in states.values(), "a run that nobody runs holds its place"
    check_whole(pipeline)
    check_ledger(pipeline)
    assert (pipeline / "champion.json").exists()
    assert list(pipeline.glob("forecasts/*/_manifest.json"))

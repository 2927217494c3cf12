"""Prefect's server is away, dies or is locked: one line, and the next run completes."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from tests.faults.environment.outcomes import assert_done, assert_one_line
from tests.faults.night import CUTOFF, Ground, check_whole, finish, list_group, write_source

pytestmark = [pytest.mark.timeout(1800)]


@pytest.mark.fault("a server that cannot be reached")
def test_a_server_that_is_not_there_is_one_line(tmp_path):
    ground = Ground(tmp_path / "ground", write_source(tmp_path / "source"))
    away = {"PREFECT_API_URL": "http://127.0.0.1:9/api", "PREFECT_CLIENT_MAX_RETRIES": "0"}
    end = ground.run(environment=away)
    assert_one_line(end, "no answer from Prefect's server")
    assert "Traceback" not in end.out
    assert not ground.pipeline.exists()


@pytest.mark.fault("a flow that dies alone")
def test_nothing_that_a_killed_flow_started_outlives_it(tmp_path):
    ground = Ground(tmp_path / "ground", write_source(tmp_path / "source"))
    plan = {"points": [{"before": "flow os.mkdir small #1", "whom": "flow"}]}
    process = ground.start(plan=plan)
    assert process.wait(600) == -signal.SIGKILL
    end = time.monotonic() + 60
    while (left := list(list_group(process.pid))) and time.monotonic() < end:
        time.sleep(0.5)
    if left:
        os.killpg(process.pid, signal.SIGKILL)
    assert not left


@pytest.mark.faults
@pytest.mark.tensorflow
@pytest.mark.fault("a server that dies in the middle")
def test_a_server_that_dies_leaves_what_is_whole_and_the_next_run_completes(ground, unbroken):
    # Less patience with a server that is away: 14 s a call instead of a minute.
    hasty = {"PREFECT_CLIENT_MAX_RETRIES": "3"}
    begun, process = time.monotonic(), ground.start(environment=hasty)
    while not (ground.pipeline / "windows").exists() and process.poll() is None:
        time.sleep(0.05)
    assert kill_server(process.pid), "there was none to kill, so nothing is proved"
    end = finish(process, begun)
    check_whole(ground.pipeline)
    if end.code:
        assert_one_line(end, "no answer from Prefect's server")
    assert (ground.pipeline / "forecasts" / f"cutoff={CUTOFF}" / "_manifest.json").exists()
    assert_done(ground, unbroken, ground.run())


def kill_server(group: int) -> list[int]:
    """End the temporary server of a run, and return its processes."""
    killed = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            line = (path / "cmdline").read_bytes()
            own = int((path / "stat").read_text().rpartition(")")[2].split()[2])
        except (OSError, ValueError):
            continue
        if own == group and b"uvicorn" in line:
            os.kill(int(path.name), signal.SIGKILL)
            killed.append(int(path.name))
    return killed


@pytest.mark.faults
@pytest.mark.tensorflow
@pytest.mark.fault("Prefect's SQLite locked")
def test_a_locked_database_delays_the_night(ground, unbroken):
    held = []

    def hold():
        deadline = time.monotonic() + 120
        while not ground.pipeline.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        with sqlite3.connect(ground.home / "prefect.db", timeout=30) as database:
            database.execute("BEGIN EXCLUSIVE")
            held.append(time.monotonic())
            time.sleep(10)

    holder = threading.Thread(target=hold)
    holder.start()
    end = ground.run()
    holder.join()
    assert held, "it was never locked, so nothing is proved"
    assert_done(ground, unbroken, end)

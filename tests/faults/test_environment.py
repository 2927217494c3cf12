"""The machine fails the night: it completes or ends in one line, and the next run mends it."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.faults.night import Ground, list_group, write_source

pytestmark = [pytest.mark.timeout(900)]


def assert_one_line(end, *words):
    """Exit code 1 and one line that says what was found, needed and to be done."""
    assert end.code == 1, end.out[-3000:]
    assert len(end.said) == 1, end.out[-3000:]
    assert end.said[0].startswith("seqmodel: found ")
    assert ", needed " in end.said[0]
    assert all(word in end.said[0] for word in words), end.said


@pytest.mark.fault("a server that cannot be reached")
def test_a_server_that_is_not_there_is_one_line(tmp_path):
    ground = Ground(tmp_path / "ground", write_source(tmp_path / "source"))
    away = {"PREFECT_API_URL": "http://127.0.0.1:9/api", "PREFECT_CLIENT_MAX_RETRIES": "0"}
    end = ground.run(environment=away)
    assert_one_line(end)
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

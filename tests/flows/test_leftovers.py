"""A run without a process ends and frees its place; one that has its process goes on."""

import os
import subprocess
import sys

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.states import Running

from flows.automations import TAG
from flows.leftovers import VARIABLE, end_leftovers


@flow(name="night-left")
def night():
    """Stands for a flow of a deployment."""


@pytest.mark.usefixtures("harness")
def test_a_run_without_a_process_is_ended_and_one_with_a_process_is_not():
    with get_client(sync_client=True) as client:
        made = client.create_flow(night)
        deployment = client.create_deployment(made, "left", tags=[TAG])
        gone, alive = (
            client.create_flow_run_from_deployment(deployment, tags=[TAG]) for _ in range(2)
        )
        by_hand = client.create_flow_run(night, tags=[TAG])
        for run in (gone, alive, by_hand):
            client.set_flow_run_state(run.id, Running(), force=True)
        process = subprocess.Popen(
            [sys.executable, "-c", "input()"],
            stdin=subprocess.PIPE,
            env={**os.environ, VARIABLE: str(alive.id)},
        )
        try:
            assert end_leftovers() == [gone.name]
        finally:
            process.communicate(b"\n")
        states = [client.read_flow_run(run.id).state_type for run in (gone, alive, by_hand)]
        assert [state.name for state in states] == ["CRASHED", "RUNNING", "RUNNING"]
        assert end_leftovers() == [alive.name]

"""Runs that a stop has left behind: they end as Crashed, and their place is free again.

A run whose worker is stopped in the middle stays Running: nobody is left to say how it ended. Its
place among the runs of its deployment stays taken, and every later one would be cancelled, night
after night. `make serve` calls this before it stops the server, and before it starts a worker.

python -m flows.leftovers
"""

from __future__ import annotations

import sys

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Crashed

from flows.automations import TAG
from tasks.orphans import find_marked

#: By this a worker tells a process which run it is.
VARIABLE = "PREFECT__FLOW_RUN_ID"
#: In these a run holds its place.
HOLDING = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
MESSAGE = "its process is gone: the server or the worker was stopped in the middle; run it again"


def end_leftovers() -> list[str]:
    """Mark runs of deployments Crashed that hold a place and have no process on this machine.

    What a person started without a worker is left alone, and so is whatever still runs.

    Returns:
        Their names.
    """
    wanted = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=HOLDING)),
        tags=FlowRunFilterTags(all_=[TAG]),
        deployment_id=FlowRunFilterDeploymentId(is_null_=False),
    )
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(flow_run_filter=wanted)
        gone = [run for run in found if not is_alive(run)]
        for run in gone:
            client.set_flow_run_state(run.id, Crashed(message=MESSAGE), force=True)
    return [run.name for run in gone]


def is_alive(run: FlowRun) -> bool:
    """Whether a process of this machine carries the run; elsewhere than on Linux nobody knows."""
    return sys.platform != "linux" or any(find_marked(str(run.id), VARIABLE))


def main() -> int:
    """End the leftovers on the server of `PREFECT_API_URL` and name them."""
    for name in end_leftovers():
        sys.stdout.write(f"seqmodel: run {name!r} crashed: {MESSAGE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

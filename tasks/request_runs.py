"""Flow runs of a deployment, asked for and waited for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound

from seqmodel.errors import SeqmodelError, SpecError

#: Time between two looks at what has been asked for (seconds).
LOOK_EVERY = 1.0


def request_runs(deployment: str, parameters: Sequence[dict[str, Any]], patience: float) -> None:
    """Ask for a run each, and wait until all of them have ended; who did not complete is logged.

    Args:
        deployment: `flow/deployment`.
        parameters: of each run, JSON-able.
        patience: time that may pass without one of them ending (seconds).

    Raises:
        SpecError: if there is no such deployment.
        SeqmodelError: if none ends in time.
    """
    try:
        asked = [
            cast("FlowRun", run_deployment(deployment, parameters=p, timeout=0)) for p in parameters
        ]
    except ObjectNotFound:
        raise SpecError(
            f"found no deployment {deployment!r} on this server, needed it for runner.kind"
            " deployment; run prefect deploy flows/shard.py:shard --name shard --pool POOL, or"
            " correct runner.deployment"
        ) from None
    _await_all({run.id: run.name for run in asked}, patience)


def _await_all(waiting: dict[UUID, str], patience: float) -> None:
    total, moved = len(waiting), time.monotonic()
    with get_client(sync_client=True) as client:
        while waiting:
            for key, name in list(waiting.items()):
                state = client.read_flow_run(key).state
                if state is None or not state.is_final():
                    continue
                if not state.is_completed():
                    get_run_logger().warning("run %r of a shard ended as %s", name, state.name)
                del waiting[key]
                moved = time.monotonic()
            if waiting and time.monotonic() - moved > patience:
                raise SeqmodelError(
                    f"found {len(waiting)} of {total} runs of shards not done and none ended for"
                    f" {patience:g} s, needed a worker on their pool; start one, raise"
                    " forecast.deadline, or take runner.kind local"
                )
            if waiting:
                time.sleep(LOOK_EVERY)

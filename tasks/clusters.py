"""A Dask cluster for the tasks of a flow: one that is running, or one on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.task_runners import TaskRunner

from seqmodel.errors import SpecError
from seqmodel.specs.runner import RunnerSpec


def make_runner(spec: RunnerSpec) -> TaskRunner[Any]:
    """Return what hands the tasks of a flow to the workers of a cluster.

    Raises:
        SpecError: if the packages of the extra are not there.
    """
    try:
        from prefect_dask.task_runners import DaskTaskRunner
    except ImportError as error:
        raise SpecError(
            f"found runner.kind dask without its packages ({error}), needed the extra [dask];"
            " pip install 'seqmodel[dask]', or take runner.kind local"
        ) from None
    if spec.address:
        return DaskTaskRunner(address=spec.address)
    # Spawned processes with a nanny: never a fork of this one, and no page for others to look at.
    local = {
        "n_workers": spec.workers,
        "threads_per_worker": 1,
        "processes": True,
        "host": "127.0.0.1",
        "dashboard_address": None,
    }
    return DaskTaskRunner(cluster_kwargs=local)


@contextmanager
def told_where() -> Iterator[None]:
    """Let workers speak with the Prefect server that this run speaks with.

    Without it each of them would start a temporary server of its own where the run has one.
    """
    with get_client(sync_client=True) as client:
        url = str(client.api_url)
    with temporary_settings({PREFECT_API_URL: url}):
        yield

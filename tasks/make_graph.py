"""Make the graphs of the version that serves, once a version, in a child process."""

from __future__ import annotations

from prefect import get_run_logger, task

from seqmodel.jobs import GraphJob
from seqmodel.specs import PipelineSpec
from seqmodel.store.graphs import find_graph
from seqmodel.store.refs import GraphRef, ModelRef
from seqmodel.store.store import Store
from tasks.caching import FRESH
from tasks.child import run_in_child


@task(name="make graph", **FRESH)
def make_graph(model: ModelRef, spec: PipelineSpec) -> GraphRef:
    """Write the networks of a version as graphs; those that are there stay.

    Never cached: it reads every byte itself, and what it finds damaged it makes again.
    """
    store = Store.from_environment()
    if found := find_graph(store, model):
        return found
    answer = run_in_child(
        "seqmodel.jobs:make_graph",
        GraphJob(root=str(store.root), spec=spec, model=model).model_dump(mode="json"),
        deadline=spec.forecast.deadline,
        tell=lambda _: None,
        log=get_run_logger(),
    )
    return GraphRef.model_validate(answer)

"""The one cache policy, and the way flows call tasks.

A result is reused when the same task gets the same inputs, below the same data root, under the
same source code of `seqmodel` and `tasks`. Prefect's own TASK_SOURCE sees only the decorated
function: with thin tasks it would serve the results of a bug that was mended in the library.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, TypeVar, cast

from prefect import Task
from prefect.cache_policies import CacheKeyFnPolicy
from prefect.context import TaskRunContext
from prefect.logging import get_run_logger
from pydantic import BaseModel

from seqmodel.reporting.night import StepRecord
from seqmodel.specs import PipelineSpec
from seqmodel.store.fingerprints import digest_code, digest_value
from seqmodel.store.ref import Ref
from seqmodel.store.store import Store
from tasks.lineage import name_assets
from tasks.retrying import RETRIES, retry_if_it_may_pass
from tasks.unpickled import Unpickled  # noqa: F401 - from here on no result is unpickled

R = TypeVar("R", bound=Ref)


def cached(*knobs: str, ignore: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the options of a task whose result is a Ref to something stored.

    Args:
        knobs: the parts of the spec that the task depends on, as dotted paths; a change of any
            other knob leaves its results valid.
        ignore: parameters that do not change the result.
    """

    def make_key(context: TaskRunContext, parameters: dict[str, Any]) -> str:
        inputs = {name: _plain(p) for name, p in parameters.items() if name not in ignore}
        if "spec" in inputs:
            spec = parameters["spec"]
            inputs["spec"] = {knob: _plain(attrgetter(knob)(spec)) for knob in ("name", *knobs)}
        return digest_value(
            {
                "task": context.task.name,
                "inputs": inputs,
                "code": digest_code("seqmodel", "tasks"),
                "root": str(Store.from_environment().root),
            }
        )

    return {
        "cache_policy": CacheKeyFnPolicy(cache_key_fn=make_key),
        "persist_result": True,
        "result_serializer": "json",
        "retry_condition_fn": retry_if_it_may_pass,
        **RETRIES,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return [type(value).__name__, value.model_dump(mode="json")]
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


#: Options of tasks that must look afresh each time: the source, the champion, the report.
FRESH: dict[str, Any] = {
    "persist_result": False,
    "retry_condition_fn": retry_if_it_may_pass,
    **RETRIES,
}


def call(task: Task[..., R], records: list[StepRecord], /, **parameters: Any) -> R:
    """Run a task, or take its result from the cache if what it names is still there.

    Args:
        task: the task.
        records: gets one entry: the step, its time, and whether it ran.
        parameters: of the task.

    Raises:
        Exception: whatever the task raised in its last try.
    """
    begun = time.monotonic()
    task = _name(task, parameters)

    def run(one: Task[..., R]) -> Any:
        return one(**parameters, return_state=True)

    return _settle(task, records, begun, lambda: run(task), run)


def call_all(
    calls: Sequence[tuple[Task[..., R], dict[str, Any]]],
    records: list[StepRecord],
    at_once: int,
) -> list[R]:
    """Run tasks as `call` does, some of them at once.

    Args:
        calls: the tasks and their parameters.
        records: gets an entry of each.
        at_once: how many run at the same time.

    Raises:
        Exception: whatever the first one that failed raised in its last try.
    """
    found: list[R] = []
    for begin in range(0, len(calls), at_once):
        some = calls[begin : begin + at_once]
        if len(some) == 1:
            found.append(call(some[0][0], records, **some[0][1]))
            continue
        begun = time.monotonic()
        named = [(_name(task, parameters), parameters) for task, parameters in some]
        waiting = [(task, task.submit(**parameters), parameters) for task, parameters in named]
        for task, future, parameters in waiting:
            again = partial(_submit, parameters)
            found.append(_settle(task, records, begun, partial(_wait, future), again))
    return found


def _submit(parameters: dict[str, Any], task: Task[..., R]) -> Any:
    return _wait(task.submit(**parameters))


def _name(task: Task[..., R], parameters: dict[str, Any]) -> Task[..., R]:
    spec = parameters.get("spec")
    return name_assets(task, spec.name) if isinstance(spec, PipelineSpec) else task


def _wait(future: Any) -> Any:
    future.wait()
    return future.state


def _settle(
    task: Task[..., R],
    records: list[StepRecord],
    begun: float,
    end: Callable[[], Any],
    run: Callable[[Task[..., R]], Any],
) -> R:
    """Return what a task ends with, run again where the cached result dangles, and record it."""
    outcome = "failed"
    label = task.task_run_name if isinstance(task.task_run_name, str) else task.name
    try:
        state = end()
        ref = cast("R", state.result())
        cached = state.name == "Cached"
        if cached and not Store.from_environment().holds(ref):
            get_run_logger().warning(
                "%s: the cached result names files that are gone, run again", task.name
            )
            again = run(task.with_options(refresh_cache=True))
            ref, cached = cast("R", again.result()), False
        outcome = "from cache" if cached else "ran"
    finally:
        seconds = time.monotonic() - begun
        records.append(
            StepRecord.model_validate({"step": label, "seconds": seconds, "outcome": outcome})
        )
        how = "taken from the cache" if outcome == "from cache" else outcome
        get_run_logger().info("step %s: %s (%.1f s)", label, how, seconds)
    return ref

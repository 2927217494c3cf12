"""Child processes that stay: shards share the model that each of them has loaded once.

task -- a job --> the first child that is free;  one that dies is replaced with the next job

A job has a child to itself: when a child is killed one job fails, is tried again by its task, and
the others do not notice.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, final

from seqmodel.errors import ChildDied, StoreError, find_error
from tasks.child import LAST_WORDS, STAY, drain, explain_death, keep, listen, make_environment
from tasks.child import run_in_child as run_once
from tasks.weighing import Scales

#: One thread each: there are as many children as the spec allows, and results do not depend on it.
#: What a chunk has used goes back to the system: there are several of them at once.
ALONE = {
    "TF_NUM_INTRAOP_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
    "MALLOC_ARENA_MAX": "2",
}
#: What a job with a network loads first, most of its time at the beginning.
NETWORK = ("keras", "seqmodel.jobs")
#: The same of a job with graphs, a tenth of a second each.
GRAPH = ("onnxruntime", "seqmodel.forecasting", "seqmodel.jobs")
#: Children of one worker process at most; there are as many as it has jobs at the same time.
MOST = 64


@final
class Worker:
    """A child that does one job after the other.

    Args:
        ready: modules that it loads before it is asked for anything.
    """

    def __init__(self, ready: Sequence[str] = ()) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own module, no shell  # nosec B603
            [sys.executable, "-m", "tasks.child", STAY, str(os.getpid()), *ready],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**make_environment(), **ALONE},
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._words: list[str] = []
        self._scales = Scales(self.process, None)
        for target, words in (
            (self.process.stdout, self._lines.put),
            (self.process.stderr, keep(self._words)),
        ):
            threading.Thread(target=drain, args=(target, words), daemon=True).start()
        self._scales.watcher.start()

    def ask(self, function: str, job: dict[str, Any], deadline: float, log: Any) -> Any:
        """Run `function(job, tell)` there; see `tasks.child.run_in_child`."""
        try:
            assert self.process.stdin is not None  # noqa: S101 - opened as a pipe above
            self.process.stdin.write(json.dumps({"function": function, "job": job}) + "\n")
            self.process.stdin.flush()
            word = listen(self._lines, time.monotonic() + deadline, lambda _: None, log)
        except BrokenPipeError:
            word = None
        except queue.Empty:
            raise ChildDied(
                f"found {function} still running after {deadline:g} s, needed it done;"
                " raise the step's deadline in the spec or make the job smaller"
            ) from None
        if word is None:
            code = self.end()
            raise explain_death(function, code, self._words[-LAST_WORDS:], self._scales)
        if "error" in word:
            raise find_error(word["error"])(word["sentence"])
        return word["answer"]

    def end(self) -> int:
        """End the process; return its exit code."""
        self.process.kill()
        return self.process.wait()


@final
class Crew:
    """Some children.

    Args:
        size: jobs done at the same time.
        ready: modules that the jobs need, loaded by each child before its first one.
    """

    def __init__(self, size: int, ready: Sequence[str] = ()) -> None:
        self._free: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        self._all: list[Worker] = []
        self._ready, self._size, self._closed = ready, size, False
        for _ in range(size):
            self._free.put(None)

    def begin(self) -> None:
        """Let all children begin to load; a child otherwise begins with a job that finds none."""
        for _ in range(self._size):
            self._free.get()
        for _ in range(self._size):
            self._free.put(self._hire())

    def _hire(self) -> Worker:
        worker = Worker(self._ready)
        self._all.append(worker)
        return worker

    def ask(self, function: str, job: dict[str, Any], *, deadline: float, log: Any) -> Any:
        """Wait for a free child and run `function(job, tell)` there."""
        worker = self._free.get()
        try:
            if self._closed:
                raise StoreError("found the run at its end, needed it to go on; run again")
            if worker is None:
                worker = self._hire()
            return worker.ask(function, job, deadline, log)
        except ChildDied:
            if worker is not None:
                worker.end()
            worker = None
            raise
        finally:
            self._free.put(worker)

    def close(self) -> None:
        """End all children; jobs that still wait are refused."""
        self._closed = True
        for worker in self._all:
            worker.process.kill()
        for worker in self._all:
            worker.end()


#: The crew of this thread's flow run and of the tasks it submits: runs side by side have their own.
_held: ContextVar[Crew | None] = ContextVar("held", default=None)


@contextmanager
def hold_crew(size: int, ready: Sequence[str] = ()) -> Iterator[Crew]:
    """Keep a crew for the tasks that run meanwhile; with something to load it begins at once."""
    crew = Crew(size, ready)
    before = _held.set(crew)
    try:
        if ready:
            crew.begin()
        yield crew
    finally:
        _held.reset(before)
        crew.close()


@cache
def _keep_crew() -> Crew:
    """Return the crew of a process that serves many runs: its children end when it does."""
    return Crew(MOST)


def run_by_crew(
    function: str, job: dict[str, Any], *, deadline: float, log: Any, far: bool = False
) -> Any:
    """Run `function(job, tell)` by the crew that is held, in a child of its own without one.

    Args:
        function: `module:name`.
        job: JSON-able.
        deadline: time after which the child is killed (seconds).
        log: gets the child's log lines.
        far: whether this is a worker of a cluster, which holds no crew but keeps one.

    Raises:
        SeqmodelError: see `tasks.child.run_in_child`.
    """
    if crew := _keep_crew() if far else _held.get():
        return crew.ask(function, job, deadline=deadline, log=log)
    return run_once(function, job, deadline=deadline, tell=lambda _: None, log=log)

"""The one child-process runner: everything with TensorFlow runs in a spawned process.

    parent  -- job as JSON on stdin -->                  child: python -m tasks.child
            <-- a JSON line each: progress, log, answer or error --

The child dies with its parent (parent-death signal) and at its deadline; memory that TensorFlow
keeps is given back when it ends. Nothing but JSON crosses, so nothing needs pickle.
"""

from __future__ import annotations

import ctypes
import gc
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from seqmodel.errors import ChildDied, OutOfMemory, SeqmodelError, find_error
from seqmodel.store.compiled import prepare_compiled
from tasks.loading import load
from tasks.weighing import Scales

Tell = Callable[[dict[str, Any]], None]
#: Lines of the child's standard error kept for the error message.
LAST_WORDS = 20
#: Time a child that said its last word gets to end by itself, so that its exit code is its own.
GRACE = 5.0
PR_SET_PDEATHSIG = 1
#: What helps where memory is short.
SMALLER = (
    "needed more than is free; lower train.batch_size, window.lookback or model.units, or run on a"
    " larger machine"
)
#: Errors that say the same, by name: TensorFlow is not imported here.
EXHAUSTED = {"MemoryError", "ResourceExhaustedError"}
#: In place of a function: a child that stays for further orders.
STAY = "--stay"
#: Objects made between two looks for garbage, in children that stay.
RARELY = (100_000, 50, 50)
#: Folder of the packages `tasks` and `seqmodel`.
HOME = Path(__file__).resolve().parent.parent


def run_in_child(
    function: str,
    job: dict[str, Any],
    *,
    deadline: float,
    tell: Tell,
    log: logging.Logger | Any,
    memory_limit: int | None = None,
) -> Any:
    """Run `function(job, tell)` in a fresh process and return its answer.

    Args:
        function: `module:name`.
        job: JSON-able.
        deadline: time after which the child is killed (seconds).
        tell: called with each dict of progress that the child sends.
        log: gets the child's log lines.
        memory_limit: resident memory at which the child is killed (MiB).

    Raises:
        ChildDied: if the child is killed, crashes without an answer, or overruns.
        OutOfMemory: if it met the limit or found no free memory.
        SeqmodelError: the error that the child raised, of its own class.
    """
    process = subprocess.Popen(  # noqa: S603 - our own module, no shell  # nosec B603
        [sys.executable, "-m", "tasks.child", function, str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=make_environment(),
    )
    lines: queue.Queue[str | None] = queue.Queue()
    words: list[str] = []
    readers = [
        threading.Thread(target=drain, args=(process.stdout, lines.put), daemon=True),
        threading.Thread(target=drain, args=(process.stderr, keep(words)), daemon=True),
    ]
    scales = Scales(process, memory_limit)
    for reader in (*readers, scales.watcher):
        reader.start()
    try:
        answer = _converse(process, lines, job, time.monotonic() + deadline, tell, log)
        if answer is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
    except queue.Empty:
        raise ChildDied(
            f"found {function} still running after {deadline:g} s, needed it done;"
            " raise the step's deadline in the spec or make the job smaller"
        ) from None
    finally:
        process.kill()
        code = process.wait()
        scales.watcher.join(timeout=5)
        for reader in readers:
            reader.join(timeout=5)
    if answer is None:
        raise explain_death(function, code, words, scales)
    if "error" in answer:
        raise find_error(answer["error"])(answer["sentence"])
    return answer["answer"]


def explain_death(function: str, code: int, words: list[str], scales: Scales) -> ChildDied:
    """Say how a child ended that gave no answer."""
    if scales.found:
        return OutOfMemory(
            f"found the child process of {function} at {scales.found} MiB of memory, needed at most"
            f" {scales.limit} (train.memory_limit); raise it, or lower train.batch_size,"
            " window.lookback or model.units"
        )
    if code == -signal.SIGKILL and scales.was_machine_full():
        return OutOfMemory(
            f"found no free memory on this machine: the system ended the child process of"
            f" {function} at {scales.heaviest} MiB; {SMALLER}"
        )
    last = words[-1].strip() if words else "no last words"
    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return ChildDied(
        f"found the child process of {function} dead ({name}; {last[:200]}), needed its answer;"
        " it is tried again, look at memory and the log if it stays so"
    )


def make_environment() -> dict[str, str]:
    """Return the environment of a child."""
    return {
        **os.environ,
        # The child finds the packages where the parent found them, wherever it was started.
        "PYTHONPATH": os.pathsep.join([str(HOME), os.environ.get("PYTHONPATH", "")]).rstrip(":"),
        "KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "tensorflow"),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "PYTHONUNBUFFERED": "1",
        # Memory of one batch serves the next; by default it goes back to the system each time, and
        # is zeroed page by page when it is asked for again.
        "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
        "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
        **_find_compiled(),
    }


def _find_compiled() -> dict[str, str]:
    """Return what lets TensorFlow find code that an earlier child compiled."""
    folder = prepare_compiled()
    if folder is None:
        return {}
    flags = f"--tf_xla_persistent_cache_directory={folder} --tf_xla_persistent_cache_prefix=s"
    return {"TF_XLA_FLAGS": f"{os.environ.get('TF_XLA_FLAGS', '')} {flags}".strip()}


def _converse(
    process: subprocess.Popen[str],
    lines: queue.Queue[str | None],
    job: dict[str, Any],
    end: float,
    tell: Tell,
    log: logging.Logger,
) -> dict[str, Any] | None:
    """Send the job, pass on what the child says, return its last word or None if it died."""
    try:
        assert process.stdin is not None  # noqa: S101 - opened as a pipe above
        process.stdin.write(json.dumps(job))
        process.stdin.close()
    except BrokenPipeError:
        return None
    return listen(lines, end, tell, log)


def listen(
    lines: queue.Queue[str | None], end: float, tell: Tell, log: logging.Logger
) -> dict[str, Any] | None:
    """Pass on what a child says until its last word on a job; None if it died.

    Raises:
        queue.Empty: if it has not said it at the moment `end` of the monotonic clock.
    """
    # A wait below zero is an error of its own, and one that talks without end must end too.
    while (left := end - time.monotonic()) > 0:
        line = lines.get(timeout=left)
        if line is None:
            return None
        word = _parse(line)
        if word is None:
            if line.strip():
                log.info("%s", line.rstrip())
        elif "progress" in word:
            tell(word["progress"])
        elif "log" in word:
            log.log(word["level"], "%s", word["log"])
        elif "answer" in word or "error" in word:
            return word
    raise queue.Empty


def _parse(line: str) -> dict[str, Any] | None:
    """Return what a line says; None for what a library printed."""
    try:
        word = json.loads(line)
    except ValueError:
        return None
    return word if isinstance(word, dict) else None


def drain(stream: Any, put: Callable[[str | None], None]) -> None:
    """Pass on each line of a stream, and None at its end."""
    for line in stream:
        put(line)
    put(None)


def keep(words: list[str]) -> Callable[[str | None], None]:
    """Return what keeps the newest lines that say something."""

    def put(line: str | None) -> None:
        if line and line.strip():
            words.append(line)
            del words[:-LAST_WORDS]

    return put


class _Forwarder(logging.Handler):
    """Sends log records of the library to the parent."""

    def emit(self, record: logging.LogRecord) -> None:
        _say({"log": record.getMessage(), "level": record.levelno})


def _say(word: dict[str, Any]) -> None:
    # The real standard output, whatever a library printed into sys.stdout meanwhile.
    # A line of its own even after a print without an end, in one piece even between threads.
    wire = sys.__stdout__
    assert wire is not None  # noqa: S101 - the parent opened it as a pipe
    wire.write(f"\n{json.dumps(word)}\n")
    wire.flush()


def serve(function: str, parent: int) -> None:
    """Be the child of the process `parent`: read the job, run the function, say the answer."""
    if _begin(parent):
        _work(function, json.load(sys.stdin))


def serve_on(parent: int, ready: Sequence[str]) -> None:
    """Be a child that stays: an order a line, an answer to each, until there are no more.

    Args:
        parent: process that asks.
        ready: modules to load before the first order.
    """
    # What importing TensorFlow makes stays; to look through it for garbage takes a fifth of it.
    gc.disable()
    # Keras looks for it when it is imported; it draws nothing here, and costs each child 25 MB.
    sys.modules.setdefault("matplotlib", None)  # type: ignore[arg-type]
    if _begin(parent):
        for module in ready:
            load(module)
        gc.freeze()
        gc.set_threshold(*RARELY)
        gc.enable()
        for line in sys.stdin:
            order = json.loads(line)
            _work(order["function"], order["job"])


def _begin(parent: int) -> bool:
    """Die with the parent and log to it; return whether it still lives."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the signal was asked for
        return False
    library = logging.getLogger("seqmodel")
    library.setLevel(logging.INFO)
    library.addHandler(_Forwarder())
    return True


def _work(function: str, job: dict[str, Any]) -> None:
    """Run `function(job, tell)` and say its answer, or its error."""
    library = logging.getLogger("seqmodel")
    module, name = function.split(":")
    try:
        answer = getattr(import_module(module), name)(job, lambda p: _say({"progress": p}))
    except SeqmodelError as error:
        _say({"error": type(error).__name__, "sentence": str(error)})
        return
    except Exception as error:  # noqa: BLE001 - said to the parent, with its traceback
        library.error("%s", traceback.format_exc())
        if type(error).__name__ in EXHAUSTED:
            sentence = f"found no free memory in the child process of {function}, {SMALLER}"
            _say({"error": OutOfMemory.__name__, "sentence": sentence})
            return
        # What the machine did may pass at the next try, a bug does not.
        kind = ChildDied if isinstance(error, OSError) else SeqmodelError
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        _say(
            {
                "error": kind.__name__,
                "sentence": f"found {reason} in the child process of {function}, needed a run"
                " without; the traceback is in the log",
            }
        )
        return
    _say({"answer": answer})


if __name__ == "__main__":
    if sys.argv[1] == STAY:
        serve_on(int(sys.argv[2]), sys.argv[3:])
    else:
        serve(sys.argv[1], int(sys.argv[2]))

"""The one child-process runner: everything with TensorFlow runs in a spawned process.

    parent  -- job as JSON on stdin -->                  child: python -m tasks.child
            <-- a JSON line each: progress, log, answer or error --

The child dies with its parent (parent-death signal) and at its deadline; memory that TensorFlow
keeps is given back when it ends. Nothing but JSON crosses, so nothing needs pickle.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from seqmodel.errors import ChildDied, SeqmodelError, find_error

Tell = Callable[[dict[str, Any]], None]
#: Lines of the child's standard error kept for the error message.
LAST_WORDS = 20
PR_SET_PDEATHSIG = 1


def run_in_child(
    function: str, job: dict[str, Any], *, deadline: float, tell: Tell, log: logging.Logger | Any
) -> Any:
    """Run `function(job, tell)` in a fresh process and return its answer.

    Args:
        function: `module:name`.
        job: JSON-able.
        deadline: time after which the child is killed (seconds).
        tell: called with each dict of progress that the child sends.
        log: gets the child's log lines.

    Raises:
        ChildDied: if the child is killed, crashes without an answer, or overruns.
        SeqmodelError: the error that the child raised, of its own class.
    """
    environment = {
        **os.environ,
        "KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "tensorflow"),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "PYTHONUNBUFFERED": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tasks.child", function],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    lines: queue.Queue[str | None] = queue.Queue()
    words: list[str] = []
    readers = [
        threading.Thread(target=_drain, args=(process.stdout, lines.put), daemon=True),
        threading.Thread(target=_drain, args=(process.stderr, _keep(words)), daemon=True),
    ]
    for reader in readers:
        reader.start()
    try:
        answer = _converse(process, lines, job, time.monotonic() + deadline, tell, log)
    except queue.Empty:
        raise ChildDied(
            f"found {function} still running after {deadline:.0f} s, needed it done;"
            " raise train.deadline or make the job smaller"
        ) from None
    finally:
        process.kill()
        code = process.wait()
        for reader in readers:
            reader.join(timeout=5)
    if answer is None:
        last = words[-1].strip() if words else "no last words"
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise ChildDied(
            f"found the child process of {function} dead ({name}; {last[:200]}), needed its answer;"
            " it is tried again, look at memory and the log if it stays so"
        )
    if "error" in answer:
        raise find_error(answer["error"])(answer["sentence"])
    return answer["answer"]


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
    while (line := lines.get(timeout=max(end - time.monotonic(), 0.001))) is not None:
        try:
            word = json.loads(line)
        except ValueError:
            log.info("%s", line.rstrip())
            continue
        if "progress" in word:
            tell(word["progress"])
        elif "log" in word:
            log.log(word["level"], "%s", word["log"])
        elif "answer" in word or "error" in word:
            return dict(word)
    return None


def _drain(stream: Any, put: Callable[[str | None], None]) -> None:
    for line in stream:
        put(line)
    put(None)


def _keep(words: list[str]) -> Callable[[str | None], None]:
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
    print(json.dumps(word), file=sys.__stdout__, flush=True)  # noqa: T201 - this is the wire


def serve(function: str) -> None:
    """Be the child: read the job, run the function, say the answer."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    library = logging.getLogger("seqmodel")
    library.setLevel(logging.INFO)
    library.addHandler(_Forwarder())
    job = json.load(sys.stdin)
    module, name = function.split(":")
    try:
        answer = getattr(import_module(module), name)(job, lambda p: _say({"progress": p}))
    except SeqmodelError as error:
        _say({"error": type(error).__name__, "sentence": str(error)})
        return
    _say({"answer": answer})


if __name__ == "__main__":
    serve(sys.argv[1])

"""What a command has started ends with it, even where it was killed and could say nothing.

    command  -- a pipe that nobody writes to -->  guard: python -m tasks.orphans MARK
             -- MARK in the environment ------->  everything it starts

Prefect's temporary server would otherwise stay for ever behind a killed night. The pipe closes when
the command is gone, however it went; the guard then ends whatever still carries its mark.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

VARIABLE = "SEQMODEL_RUN"
HOME = Path(__file__).resolve().parent.parent
#: Time that what ends by itself gets for it (seconds).
GRACE = 2.0

_guards: list[subprocess.Popen[bytes]] = []


def guard_command() -> None:
    """Have everything that this process starts from now on end when it does."""
    if _guards or sys.platform != "linux":
        return
    mark = f"{os.getpid()}-{time.time_ns()}"
    guard = subprocess.Popen(  # noqa: S603 - our own module, no shell  # nosec B603
        [sys.executable, "-m", "tasks.orphans", mark],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(HOME)},
    )
    os.environ[VARIABLE] = mark
    _guards.append(guard)


def find_marked(mark: str, variable: str = VARIABLE) -> Iterator[int]:
    """Yield the processes that were started with a mark in a variable of their environment."""
    wanted = f"{variable}={mark}".encode()
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone meanwhile, or somebody else's
            if wanted in (path / "environ").read_bytes().split(b"\0"):
                yield int(path.name)


def main(mark: str) -> None:
    """Wait for the command's end, then end what it has left."""
    for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sent, signal.SIG_IGN)  # they are the command's to answer
    sys.stdin.buffer.read()
    time.sleep(GRACE)
    for number in find_marked(mark):
        with suppress(OSError):
            os.kill(number, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1])

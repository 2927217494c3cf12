"""What a command costs: wall time, CPU time and peak memory of its whole process tree."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, final

ROOT = Path(__file__).resolve().parents[2]
#: Time between two looks at the process tree (seconds).
LOOK_EVERY = 0.05
PAGE = os.sysconf("SC_PAGE_SIZE")


@final
@dataclass(frozen=True)
class Cost:
    """What a command cost.

    Attributes:
        seconds: wall time.
        cpu_s: CPU time of the tree, user and system (seconds).
        peak_rss_mb: greatest resident memory of the whole tree at one moment (MB of 2^20 bytes).
        answer: what the command printed on its last line, as JSON.
    """

    seconds: float
    cpu_s: float
    peak_rss_mb: float
    answer: Any


def measure(module: str, *words: str) -> Cost:
    """Run `python -m module words...` in a process of its own and measure it."""
    return measure_command([sys.executable, "-m", module, *words])


def measure_command(command: list[str]) -> Cost:
    """Run a command, whose last line of output is JSON, and measure it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    peak = [0.0]
    watcher = threading.Thread(target=_watch, args=(process, peak), daemon=True)
    watcher.start()
    out, _ = process.communicate()
    seconds = monotonic() - begun
    watcher.join()
    if process.returncode:
        raise SystemExit(f"found {command} ended with {process.returncode}, needed 0; see above")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(seconds, cpu, peak[0], json.loads(out.splitlines()[-1]))


def _watch(process: subprocess.Popen[str], peak: list[float]) -> None:
    while process.poll() is None:
        peak[0] = max(peak[0], _measure_tree(process.pid) / 2**20)
        threading.Event().wait(LOOK_EVERY)


def _measure_tree(pid: int) -> int:
    """Return the resident memory of a process and all below it (bytes)."""
    total, waiting = 0, [pid]
    while waiting:
        place = Path("/proc") / str(waiting.pop())
        try:
            total += int((place / "statm").read_text().split()[1]) * PAGE
            for task in (place / "task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except (OSError, IndexError):
            continue  # it has ended meanwhile
    return total

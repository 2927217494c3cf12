"""The memory of a child process: weighed twice a second, ended where it is too heavy."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import final

#: Time between two looks at the child's memory (seconds).
WEIGH_EVERY = 0.5
PAGE = os.sysconf("SC_PAGE_SIZE")


@final
class Scales:
    """Weighs a process twice a second and ends it when it is too heavy.

    Args:
        process: to weigh.
        limit: resident memory at which it is ended (MiB); None for no limit.
    """

    def __init__(self, process: subprocess.Popen[str], limit: int | None) -> None:
        self.process, self.limit = process, limit
        #: Weight at which the process was ended, 0 if it was not; and the greatest seen (MiB).
        self.found = self.heaviest = 0
        self._ended = _count_ended()
        self.watcher = threading.Thread(target=self._watch, daemon=True)

    def was_machine_full(self) -> bool:
        """Say whether the system has ended processes for want of memory meanwhile."""
        return _count_ended() > self._ended

    def _watch(self) -> None:
        while self.process.poll() is None:
            with suppress(OSError, IndexError, ValueError):
                pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
                weight = pages * PAGE >> 20
                self.heaviest = max(self.heaviest, weight)
                if self.limit is not None and weight > self.limit:
                    self.found = weight
                    self.process.kill()
                    return
            time.sleep(WEIGH_EVERY)


def _count_ended() -> int:
    """Return how many processes Linux has ended for want of memory; 0 where nobody counts."""
    with suppress(OSError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return 0

"""Networks compiled by earlier processes of this machine, so that a child need not wait for XLA.

Compiled code is found by what it computes; it gives the same numbers to the bit. It belongs to this
machine, not to the data: the folder is named after processor and release, and lies in the user's
cache. What nobody has used for a month is removed.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from seqmodel.store.fingerprints import SHORT, digest_value
from seqmodel.store.folders import make_folder

#: Where the folder lies instead of the user's cache; empty for nowhere.
VARIABLE = "SEQMODEL_COMPILED"
#: Age at which unused code is removed (seconds).
OLDEST = 30 * 86_400.0


def prepare_compiled() -> Path | None:
    """Return the folder of compiled code, made and tidied; None where none may be written."""
    chosen = os.environ.get(VARIABLE)
    if chosen == "":
        return None
    home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    parent = Path(chosen) if chosen else Path(home) / "seqmodel" / "compiled"
    folder = parent / digest_value(_describe_machine())[:SHORT]
    try:
        make_folder(folder)
        for path in folder.iterdir():
            if time.time() - path.stat().st_atime > OLDEST:
                with suppress(FileNotFoundError):
                    path.unlink()
    except (OSError, RuntimeError):
        return None
    return folder if os.access(folder, os.W_OK) else None


def _describe_machine() -> list[str]:
    """Return what compiled code depends on: the processor's abilities and the compiler."""
    flags = ""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    releases = []
    for name in ("tensorflow-cpu", "tensorflow", "keras"):
        with suppress(PackageNotFoundError):
            releases.append(f"{name} {version(name)}")
    return [flags, str(os.cpu_count()), *releases]

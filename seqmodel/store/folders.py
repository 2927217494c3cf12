"""Folders below the data root: their owner alone may change what is in them."""

from __future__ import annotations

import stat
from pathlib import Path

#: What a group and everybody else may do, beyond reading.
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, whatever the umask of the run.

    Folders that were there before stay as their owner set them.

    Raises:
        OSError: if one of them cannot be made.
    """
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        made.chmod(stat.S_IMODE(made.stat().st_mode) & ~OTHERS_WRITE)

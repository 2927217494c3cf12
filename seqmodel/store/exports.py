"""Folders that leave the data root: made beside their place and moved there when complete."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seqmodel.errors import StoreError
from seqmodel.store.folders import make_folder
from seqmodel.store.store import replace_file

#: What says which files an exported folder has, and how to feed the network in it.
ABOUT = "export.json"


@contextmanager
def draft_folder(place: Path) -> Iterator[Path]:
    """Give a fresh folder for a `with` block, which then becomes `place`; nothing on an error.

    Raises:
        StoreError: if something is at `place`, or it cannot be written there.
    """
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise StoreError(
            f"found something at {place} already, needed a place that is free; remove it or name"
            " another by --out"
        )
    try:
        make_folder(place.parent)
        shop = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    except OSError as error:
        raise StoreError(
            f"found {place.parent} not writable ({error.strerror or error}), needed to write there;"
            " change its permissions or name another place by --out"
        ) from error
    try:
        folder = shop / place.name
        folder.mkdir()
        yield folder
        folder.rename(place)
    finally:
        shutil.rmtree(shop, ignore_errors=True)


def write_about(folder: Path, about: dict[str, Any]) -> None:
    """Write what an exported folder says about itself."""
    replace_file(folder / ABOUT, (json.dumps(about, indent=2) + "\n").encode())


def copy_file(source: Path, folder: Path) -> None:
    """Copy a file into a folder in the making."""
    replace_file(folder / source.name, source.read_bytes())

"""What is this, exactly: sha256 of files, folders, values and of our own source."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

CHUNK = 1 << 20
#: Hex digits that name a folder: 64 bits, enough for the tables of one pipeline.
SHORT = 16


def digest_bytes(data: bytes) -> str:
    """Return the sha256 of `data` in hex."""
    return hashlib.sha256(data).hexdigest()


def digest_value(value: Any) -> str:
    """Return the sha256 of a JSON-able value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return digest_bytes(text.encode())


def digest_file(path: Path) -> str:
    """Return the sha256 of a file, read in pieces of one MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
    return digest.hexdigest()


def digest_folder(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file in a folder and below it, by relative name, sorted."""
    found = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return {name: digest_file(folder / name) for name in found}


@cache
def digest_code(*packages: str) -> str:
    """Return the sha256 over the Python source of whole packages.

    Thin tasks change seldom, the library under them often: a cache keyed on the task's own source
    would serve the results of yesterday's bug.
    """
    digest = hashlib.sha256()
    for package in packages:
        spec = find_spec(package)
        for root in spec.submodule_search_locations or [] if spec else []:
            for path in sorted(Path(root).rglob("*")):
                if path.suffix in {".py", ".html"}:
                    digest.update(path.relative_to(root).as_posix().encode())
                    digest.update(path.read_bytes())
    return digest.hexdigest()

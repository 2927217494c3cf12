"""The files that a path, folder, glob or URL means."""

from __future__ import annotations

import os
import re
from fnmatch import translate
from glob import glob, has_magic
from pathlib import Path
from typing import NoReturn

import pyarrow as pa
from pyarrow import fs

from seqmodel.errors import SourceError
from seqmodel.table.sources import Place, find_place, shorten

SUFFIXES = (".parquet", ".pq", ".parq")


def list_files(uri: str) -> list[str]:
    """Return the Parquet files that `uri` means, sorted by path, each by its own path or URL.

    In a folder, names that begin with a dot or an underscore are passed over, as everywhere in the
    Parquet world: writers keep half-written files there. A folder that matches a glob counts with
    all that it holds.

    Raises:
        SourceError: if there is none, or the way to them is barred.
    """
    place = find_place(uri)
    try:
        with place.explaining():
            found, what = _find(place)
    except (OSError, pa.ArrowException, ValueError) as error:
        raise SourceError(
            f"found {uri} impossible to list ({shorten(error)}), needed a file, folder or glob;"
            " correct source.uri"
        ) from None
    if not found:
        raise SourceError(
            f"found {what} {uri}, needed Parquet to read; correct source.uri or bring the data"
        )
    return [place.name(path) for path in sorted(set(found), key=lambda p: p.split("/"))]


def _find(place: Place) -> tuple[list[str], str]:
    """Return the paths that a place means, and what to say if there is none."""
    kind = place.system.get_file_info(place.path).type
    if kind == fs.FileType.Directory:
        return _list_tables(place, place.path), "no Parquet file in the folder"
    if kind == fs.FileType.File and _is_regular(place, place.path):
        return [place.path], ""
    if kind != fs.FileType.NotFound:
        # Opening a pipe waits until somebody writes to it.
        return [], "a pipe or device, no file, at"
    if has_magic(place.path) and not (place.on_disk or _is_there(place, _find_base(place.path))):
        return [], _say_missing(place)
    if has_magic(place.path):
        found = _match_disk(place) if place.on_disk else _match_remote(place)
        return found, "no file that matches"
    return [], _say_missing(place)


def _is_regular(place: Place, path: str) -> bool:
    return not place.on_disk or Path(path).is_file()


def _say_missing(place: Place) -> str:
    if place.on_disk and Path(place.path).is_symlink():
        return "a link that leads nowhere at"
    bucket = place.path.split("/")[0]
    if place.scheme in {"s3://", "gs://"} and not _is_there(place, bucket):
        return f"no bucket {bucket!r} for"
    return "no file at"


def _is_there(place: Place, path: str) -> bool:
    return bool(place.system.get_file_info(path).type != fs.FileType.NotFound)


def _list_tables(place: Place, folder: str) -> list[str]:
    """Return the Parquet files below a folder, without the hidden ones."""
    below = _walk_disk(folder) if place.on_disk else _walk_remote(place, folder)
    return [p for p in below if p.lower().endswith(SUFFIXES) and not _is_hidden(p, folder)]


def _is_hidden(path: str, base: str) -> bool:
    return any(part.startswith((".", "_")) for part in path[len(base) :].split("/"))


def _walk_disk(root: str) -> list[str]:
    found = []
    for folder, folders, names in os.walk(root, onerror=_refuse, followlinks=True):
        here = Path(folder)
        # A link to a folder above would lead round for ever.
        folders[:] = [n for n in folders if not here.resolve().is_relative_to((here / n).resolve())]
        found += [str(here / name) for name in names if not _is_pipe(here / name)]
    return found


def _is_pipe(path: Path) -> bool:
    # A broken link is no pipe: it is found out, and said, when it is opened.
    return path.exists() and not path.is_file()


def _refuse(error: OSError) -> NoReturn:
    raise error


def _walk_remote(place: Place, folder: str) -> list[str]:
    infos = place.system.get_file_info(fs.FileSelector(folder, recursive=True))
    return [info.path for info in infos if info.is_file]


def _match_disk(place: Place) -> list[str]:
    found = []
    for path in map(Path, glob(place.path, recursive=True)):  # noqa: PTH207 - a whole pattern, rooted anywhere
        if path.is_dir():
            found += _list_tables(place, str(path))
        elif not _is_pipe(path):
            found.append(str(path))
    return _without_hidden(found, place.path)


def _match_remote(place: Place) -> list[str]:
    base = _find_base(place.path)
    whole = re.compile(_to_regex(place.path))
    within = re.compile(_to_regex(place.path) + "/.*", re.DOTALL)
    found = [
        path
        for path in _walk_remote(place, base)
        if whole.fullmatch(path) or (within.fullmatch(path) and path.lower().endswith(SUFFIXES))
    ]
    return _without_hidden(found, place.path)


def _without_hidden(paths: list[str], pattern: str) -> list[str]:
    base = _find_base(pattern)
    if _is_hidden(pattern, base):  # asked for by name
        return paths
    return [path for path in paths if not _is_hidden(path, base)]


def _find_base(pattern: str) -> str:
    """Return the folders before the first wildcard."""
    parts = pattern.split("/")
    first = next(i for i, part in enumerate(parts) if has_magic(part))
    return "/".join(parts[:first])


def _to_regex(pattern: str) -> str:
    """Return a glob as a regular expression: `*` stays within a folder, `**` does not."""
    pieces = []
    for part in pattern.split("/"):
        # translate() gives (?s:...)\Z
        one = translate(part).removeprefix("(?s:").removesuffix(r")\Z")
        pieces.append("(?:[^/]+/)*" if part == "**" else one.replace(".*", "[^/]*") + "/")
    return "".join(pieces).removesuffix("/")

"""Every stored file beside its checksum: what is missing, what has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from seqmodel.errors import StoreError
from seqmodel.store.bundles import read_model
from seqmodel.store.champion import BASELINE, read_champion
from seqmodel.store.fingerprints import SHORT, digest_folder, digest_value
from seqmodel.store.forecasts import read_forecast
from seqmodel.store.graphs import GRAPHS, check_graph
from seqmodel.store.store import Store


class Finding(BaseModel):
    """What one stored thing was found to be.

    Attributes:
        kind: `pointer`, `model`, `forecast`, `graph`, `table` or `windows`.
        name: its key below the data root.
        damage: one sentence; nothing where all is well.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    name: str
    damage: str = ""


def check_store(store: Store, pipeline: str) -> Iterator[Finding]:
    """Read everything of a pipeline that carries a checksum, and yield what was found."""
    checks: dict[str, Callable[[Path], Any]] = {
        "models": lambda folder: read_model(store, pipeline, folder.name),
        "forecasts": read_forecast,
        "graphs": lambda folder: check_graph(store, f"{pipeline}/{GRAPHS}/{folder.name}"),
        "tables": _check_name,
        "windows": _check_name,
    }
    key = f"{pipeline}/champion.json"
    yield _judge("pointer", key, partial(_check_pointer, store, pipeline))
    for room, check in checks.items():
        place = store.path(f"{pipeline}/{room}")
        for folder in sorted(p for p in place.glob("*") if p.is_dir()):
            name = f"{pipeline}/{room}/{folder.name}"
            yield _judge(room.removesuffix("s"), name, partial(check, folder))


def _judge(kind: str, name: str, check: Callable[[], Any]) -> Finding:
    try:
        check()
    except StoreError as error:
        return Finding(kind=kind, name=name, damage=str(error))
    except (OSError, pa.ArrowException) as error:
        damage = f"found {name} not readable ({error}), needed it whole; remove it and run again"
        return Finding(kind=kind, name=name, damage=damage)
    return Finding(kind=kind, name=name)


def _check_pointer(store: Store, pipeline: str) -> None:
    pointer = read_champion(store, pipeline)
    for version in (pointer.version, pointer.previous) if pointer else ():
        if version and version != BASELINE:
            read_model(store, pipeline, version)


def _check_name(folder: Path) -> None:
    """Check a folder that is named after its content."""
    digest = digest_value(digest_folder(folder))[:SHORT]
    if digest != folder.name:
        raise StoreError(
            f"found {folder} to hold {digest}, needed the files it is named after; remove it and"
            " run again"
        )

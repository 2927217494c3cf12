"""All versions of a pipeline: what they are, where they come from, how they differ."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from seqmodel.errors import StoreError
from seqmodel.store.bundles import MANIFEST, model_key, read_manifest
from seqmodel.store.champion import list_rejected, read_champion
from seqmodel.store.store import Store

#: Sections of a manifest whose entries are compared one by one.
FIGURES = ("kind", "as_of", "trained_until", "parameters", "epochs", "best_epoch", "holdout")
ORIGINS = ("table", "windows", "code", "seed")


class Version(BaseModel):
    """One stored version.

    Attributes:
        version: its name.
        state: `champion`, `previous`, `rolled back`, `damaged`, or nothing.
        manifest: what its training wrote down; empty where it is damaged.
        damage: what is wrong with its files.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    state: str
    manifest: dict[str, Any] = {}
    damage: str = ""

    @property
    def parent(self) -> str | None:
        """The version that it went on from."""
        found: str | None = self.manifest.get("start", {}).get("parent")
        return found

    @property
    def as_of(self) -> datetime | None:
        """The moment its training pretended to be at."""
        moment = self.manifest.get("as_of")
        return datetime.fromisoformat(moment) if moment else None


def list_versions(store: Store, pipeline: str) -> list[Version]:
    """Return every stored version, the oldest first; each file is checked."""
    pointer = None
    with suppress(StoreError):  # the list is what one looks at to mend it
        pointer = read_champion(store, pipeline)
    marks = {}
    if pointer:
        marks = {pointer.previous: "previous", pointer.version: "champion"}
    rejected = list_rejected(store, pipeline)
    found = []
    for path in sorted(store.path(f"{pipeline}/models").glob(f"*/{MANIFEST}")):
        name = path.parent.name
        mark = marks.get(name, "rolled back" if name in rejected else "")
        try:
            manifest = read_manifest(store, model_key(pipeline, name))
            found.append(Version(version=name, state=mark, manifest=manifest))
        except StoreError as error:
            damaged = f"{mark}, damaged" if mark else "damaged"
            found.append(Version(version=name, state=damaged, damage=str(error)))
    return found


def find_version(store: Store, pipeline: str, name: str) -> Version:
    """Return one version; `champion` and `previous` are names too.

    Raises:
        StoreError: if there is none of that name.
    """
    found = list_versions(store, pipeline)
    for one in found:
        if one.version == name or name in one.state.split(", "):
            return one
    near = ", ".join(one.version for one in found[-3:]) or "nothing yet"
    raise StoreError(
        f"found no version {name} of pipeline {pipeline}, needed one that is stored ({near}); see"
        " python -m seqmodel.registry list"
    )


def trace_lineage(store: Store, pipeline: str, name: str) -> list[Version]:
    """Return a version, what it went on from, and so on back to one from scratch."""
    known = {one.version: one for one in list_versions(store, pipeline)}
    chain = [find_version(store, pipeline, name)]
    while (parent := chain[-1].parent) in known and known[parent] not in chain:
        chain.append(known[parent])
    return chain


def compare_versions(one: Version, other: Version) -> dict[str, tuple[Any, Any]]:
    """Return what differs: figure, origin or dotted knob -> the two values."""
    a, b = (dict(_flatten(v.manifest)) for v in (one, other))
    return {name: (a.get(name), b.get(name)) for name in [*a, *b] if a.get(name) != b.get(name)}


def _flatten(manifest: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in (*FIGURES, *ORIGINS):
        yield name, manifest.get(name)
    yield "begun", manifest.get("start", {}).get("why")
    for section, knobs in manifest.get("spec", {}).items():
        if isinstance(knobs, dict):
            yield from ((f"{section}.{knob}", value) for knob, value in knobs.items())
        else:
            yield section, knobs

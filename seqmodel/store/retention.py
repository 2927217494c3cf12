"""What is old and named by nothing goes: mark from what must stay, then sweep.

stays: the champion, the previous version, what a kept forecast names, everything of the last
nights, and whatever those go on from.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, final

from seqmodel.errors import StoreError
from seqmodel.specs import RegistrySpec
from seqmodel.store.bundles import MEMBERS
from seqmodel.store.champion import read_champion
from seqmodel.store.fingerprints import SHORT
from seqmodel.store.forecasts import MANIFEST as PUBLISHED
from seqmodel.store.graphs import GRAPHS
from seqmodel.store.store import STAGING, Store
from seqmodel.store.versions import list_versions

NIGHT = timedelta(days=1)
#: Rooms whose entries are named by the moment of a night, and named by nothing else.
DATED = ("reports", MEMBERS)
#: Rooms whose entries are named by a fingerprint.
NAMED = ("tables", "windows", "quarantine", "profiles")
#: Rooms of what is not published yet.
STAGED = ("tables", "training", "forecasts", "backtests")


@final
class Sweep:
    """What stays and what goes in one pipeline's folder.

    Args:
        store: the data root.
        pipeline: name of the pipeline.
        spec: ages.
        as_of: the moment ages are counted back from.

    Raises:
        StoreError: if the pointer is damaged: nobody can say what must stay.
    """

    def __init__(self, store: Store, pipeline: str, spec: RegistrySpec, as_of: datetime) -> None:
        self.store, self.pipeline, self.as_of = store, pipeline, as_of
        self.oldest = self._count_back(spec.nights)
        self.oldest_forecast = self._count_back(spec.forecast_nights)
        self.oldest_history = self._count_back(spec.history_nights)
        pointer = read_champion(store, pipeline)
        self.stays: set[str] = {pointer.version, pointer.previous or ""} if pointer else set()
        self.tables: set[str] = set()
        self.windows: set[str] = set()

    def _count_back(self, nights: int | None) -> datetime | None:
        return None if nights is None else self.as_of - nights * NIGHT

    def list_old(self) -> list[str]:
        """Return the keys of everything that goes, the forecasts first."""
        forecasts = [*self._mark_forecasts(), *self._list_histories()]
        versions = list(self._mark_versions())
        if self.oldest is None:
            return forecasts
        old = [
            f"{self.pipeline}/{room}/{path.name}"
            for room in DATED
            for path in self._list(room)
            if self._is_old(_read_moment(path.name))
        ]
        rooms = {"tables": self.tables, "quarantine": self.tables, "profiles": self.tables}
        rooms["windows"] = self.windows
        for room in NAMED:
            # The newest profile is what the next table is compared with.
            newest = max(self._list(room), key=lambda p: p.stat().st_mtime, default=None)
            old += [
                f"{self.pipeline}/{room}/{path.name}"
                for path in self._list(room)
                if path.stem not in rooms[room] and path != newest and self._was_left(path)
            ]
        return [*forecasts, *versions, *old, *self._list_staged()]

    def _list_staged(self) -> Iterator[str]:
        """Yield what killed runs and refused tables left in staging."""
        drafts = [p for p in self._list(STAGING) if p.name.startswith("tmp-")]
        rooms = [self._list(f"{STAGING}/{room}") for room in STAGED]
        # Files that a killed run had not renamed yet, in any room; locks stay.
        hidden = self.store.path(self.pipeline).rglob(".*.*")
        files = sorted(
            p
            for p in hidden
            if p.suffix != ".lock" and p.is_file() and not set(drafts) & set(p.parents)
        )
        for path in (*drafts, *chain(*rooms), *files):
            if self._was_left(path):
                yield str(path.relative_to(self.store.root))

    def _mark_forecasts(self) -> Iterator[str]:
        for folder in self._list("forecasts"):
            moment = _read_moment(folder.name.removeprefix("cutoff="))
            if self.oldest_forecast and moment and moment < self.oldest_forecast:
                yield f"{self.pipeline}/forecasts/{folder.name}"
                continue
            manifest = _read(folder / PUBLISHED)
            self.stays.add(str(manifest.get("model_version")))
            self.tables.add(str(manifest.get("table"))[:SHORT])

    def _list_histories(self) -> Iterator[str]:
        for path in sorted(self.store.path(f"{self.pipeline}/monitoring").glob("*/*.parquet")):
            moment = _read_moment(path.name.removeprefix("cutoff="))
            if self.oldest_history and moment and moment < self.oldest_history:
                yield str(path.relative_to(self.store.root))

    def _mark_versions(self) -> Iterator[str]:
        versions = {one.version: one for one in list_versions(self.store, self.pipeline)}
        for one in versions.values():
            # A damaged one is left for a person to look at.
            if self.oldest is None or one.damage or not self._is_old(one.as_of):
                self.stays.add(one.version)
                self.windows.add(str(one.manifest.get("windows"))[:SHORT])
        for name in list(self.stays):
            parent = versions[name].parent if name in versions else None
            while parent in versions and parent not in self.stays:
                self.stays.add(parent)
                parent = versions[parent].parent
        for name, one in versions.items():
            if name in self.stays:
                self.tables.add(str(one.manifest.get("table"))[:SHORT])
            else:
                yield f"{self.pipeline}/models/{name}"
        # The graphs of a version go with it.
        for path in self._list(GRAPHS):
            if path.name not in self.stays:
                yield f"{self.pipeline}/{GRAPHS}/{path.name}"

    def _list(self, room: str) -> list[Path]:
        place = self.store.path(f"{self.pipeline}/{room}")
        return sorted(p for p in place.glob("*") if not p.name.startswith("."))

    def _is_old(self, moment: datetime | None) -> bool:
        return self.oldest is not None and moment is not None and moment < self.oldest

    def _was_left(self, path: Path) -> bool:
        """Whether nobody has touched it for long: to the clock of a backfill nothing is old."""
        return self._is_old(datetime.fromtimestamp(path.stat().st_mtime, UTC))


def prune_store(
    store: Store, pipeline: str, spec: RegistrySpec, as_of: datetime, *, pretend: bool = False
) -> list[str]:
    """Remove what is old and named by nothing; return the keys.

    Args:
        store: the data root.
        pipeline: name of the pipeline.
        spec: ages; where it names none, nothing is removed.
        as_of: the moment ages are counted back from.
        pretend: only say what would go.

    Raises:
        StoreError: if the pointer is damaged.
    """
    # The pointer stands still meanwhile: what serves must not be taken for old.
    with store.lock(f"{pipeline}/.champion.lock"):
        old = Sweep(store, pipeline, spec, as_of).list_old()
        if not pretend:
            _remove(store.path(key) for key in old)
    return old


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir():
            # The manifest first: whoever reads meanwhile sees no forecast rather than half of one.
            for name in (PUBLISHED, "manifest.json"):
                (path / name).unlink(missing_ok=True)
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        raise StoreError(
            f"found {path} damaged, needed it to know what the forecast names; publish the cutoff"
            " again or remove its folder"
        ) from None
    return dict(value)


def _read_moment(name: str) -> datetime | None:
    """Return the moment that a name begins with, None where it does not."""
    try:
        return datetime.strptime(name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None

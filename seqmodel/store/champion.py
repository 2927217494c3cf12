"""The one pointer of a pipeline: which version serves, replaced atomically under a lock.

champion.json            the pointer
champions/000001.json    the journal: every move of the pointer, written once, in order
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from seqmodel.errors import StoreError
from seqmodel.store.bundles import MANIFEST, model_key
from seqmodel.store.store import Store

#: What the pointer names where no network serves: the seasonal naive, or whatever the spec says.
BASELINE = "baseline"


class Champion(BaseModel):
    """Content of `champion.json`.

    Attributes:
        version: the version that serves, `baseline` after a rollback to it.
        previous: the version before it, None for the first.
        reason: why it was promoted.
        promoted_at: the `as_of` of the run that promoted it; after a rollback still that of the
            promotion undone, so that an earlier night replaces nothing.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: str
    previous: str | None
    reason: str
    promoted_at: datetime


class Move(Champion):
    """One move of the pointer, as the journal keeps it.

    Attributes:
        kind: a promotion, or a rollback.
        left: the version that served before.
        moved_at: the `as_of` of the run that moved it.
    """

    kind: Literal["promoted", "rolled back"]
    left: str | None
    moved_at: datetime


def champion_key(pipeline: str) -> str:
    """Return the key of the pointer."""
    return f"{pipeline}/champion.json"


def read_champion(store: Store, pipeline: str) -> Champion | None:
    """Read the pointer; None before the first promotion.

    Raises:
        StoreError: if it is damaged.
    """
    if not store.path(champion_key(pipeline)).exists():
        return None
    value = store.read_json(champion_key(pipeline))
    try:
        return Champion.model_validate(value)
    except ValidationError as error:
        wrong = ", ".join(".".join(map(str, e["loc"])) or "all" for e in error.errors())
        raise StoreError(
            f"found {store.path(champion_key(pipeline))} with a wrong {wrong}, needed version,"
            " previous, reason and promoted_at; restore it or remove it and promote again"
        ) from None


def swap_champion(
    store: Store,
    pipeline: str,
    new: Champion,
    expected: str | None,
    kind: Literal["promoted", "rolled back"] = "promoted",
    at: datetime | None = None,
) -> None:
    """Point to `new` if the pointer still names `expected`, and write the move down.

    Args:
        store: the data root.
        pipeline: name of the pipeline.
        new: what the pointer is to say.
        expected: the version it names now, None before the first.
        kind: what the journal calls the move.
        at: `as_of` of the run that moves it; by default that of the promotion.

    Raises:
        StoreError: if somebody else moved the pointer meanwhile or holds the lock, or if the new
            version is not there.
    """
    stored = store.path(f"{model_key(pipeline, new.version)}/{MANIFEST}").exists()
    if new.version != BASELINE and not stored:
        raise StoreError(
            f"found no model version {new.version}, needed a stored one to promote; train it first"
        )
    with store.lock(f"{pipeline}/.champion.lock"):
        now = read_champion(store, pipeline)
        if (now.version if now else None) != expected:
            raise StoreError(
                f"found champion {now.version if now else None}, needed {expected}: another run"
                " promoted meanwhile; run again to compare with the new one"
            )
        # The journal first: a crash between the two leaves a version that is known as left.
        when = at or new.promoted_at
        move = Move(**new.model_dump(), kind=kind, left=expected, moved_at=when)
        number = len(list(store.path(f"{pipeline}/champions").glob("*.json"))) + 1
        # A run killed between the two has written this very move down already.
        if move not in read_journal(store, pipeline)[-1:]:
            store.write_json(f"{pipeline}/champions/{number:06}.json", move.model_dump(mode="json"))
        store.write_json(champion_key(pipeline), new.model_dump(mode="json"))


def read_journal(store: Store, pipeline: str) -> list[Move]:
    """Return all moves of the pointer, the oldest first; damaged entries are left out."""
    moves = []
    for path in sorted(store.path(f"{pipeline}/champions").glob("*.json")):
        try:
            moves.append(Move.model_validate_json(path.read_bytes()))
        except ValidationError:
            continue
    return moves


def list_rejected(store: Store, pipeline: str) -> frozenset[str]:
    """Return the versions that were rolled back from, and not chosen again since."""
    rejected: set[str] = set()
    for move in read_journal(store, pipeline):
        if move.kind == "rolled back" and move.left:
            rejected.add(move.left)
        rejected.discard(move.version)
    return frozenset(rejected)

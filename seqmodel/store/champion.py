"""The one pointer of a pipeline: which version serves, replaced atomically under a lock."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from seqmodel.errors import StoreError
from seqmodel.store.bundles import MANIFEST, model_key
from seqmodel.store.store import Store


class Champion(BaseModel):
    """Content of `champion.json`.

    Attributes:
        version: the version that serves.
        previous: the version before it, None for the first.
        reason: why it was promoted.
        promoted_at: the `as_of` of the run that promoted it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: str
    previous: str | None
    reason: str
    promoted_at: datetime


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


def swap_champion(store: Store, pipeline: str, new: Champion, expected: str | None) -> None:
    """Point to `new` if the pointer still names `expected`.

    Raises:
        StoreError: if somebody else moved the pointer meanwhile or holds the lock, or if the new
            version is not there.
    """
    if not store.path(f"{model_key(pipeline, new.version)}/{MANIFEST}").exists():
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
        store.write_json(champion_key(pipeline), new.model_dump(mode="json"))

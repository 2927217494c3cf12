"""Back to a version that served before, or to the baseline."""

from __future__ import annotations

from datetime import datetime

from seqmodel.errors import StoreError
from seqmodel.store.bundles import read_model
from seqmodel.store.champion import BASELINE, Champion, read_champion, read_journal, swap_champion
from seqmodel.store.store import Store

PREVIOUS = "previous"


def roll_back(store: Store, pipeline: str, to: str, reason: str, at: datetime) -> Champion:
    """Point to an older version, checked before; what is left never serves by itself again.

    Args:
        store: the data root.
        pipeline: name of the pipeline.
        to: `previous`, `baseline`, or a stored version.
        reason: why, one sentence.
        at: `as_of` of the run that rolls back.

    Returns:
        What the pointer says now.

    Raises:
        StoreError: if there is nothing to roll back to, if the version is damaged or serves
            already, or if somebody else moves the pointer meanwhile.
    """
    pointer = read_champion(store, pipeline)
    if pointer is None:
        raise StoreError(
            f"found no champion of pipeline {pipeline}, needed one to roll back from; the baseline"
            " serves, run the pipeline to promote a model"
        )
    target = pointer.previous if to == PREVIOUS else to
    if target is None:
        raise StoreError(
            f"found champion {pointer.version} without a previous version, needed one to roll back"
            " to; name a stored version, or baseline"
        )
    if target == pointer.version:
        raise StoreError(
            f"found {target} serving already, needed another version to roll back to; name one that"
            " python -m seqmodel.registry list shows"
        )
    if target != BASELINE:
        read_model(store, pipeline, target)
    new = Champion(
        version=target,
        previous=_find_previous(store, pipeline, pointer, target),
        reason=reason,
        promoted_at=pointer.promoted_at,
    )
    swap_champion(store, pipeline, new, pointer.version, "rolled back", at)
    return new


def _find_previous(store: Store, pipeline: str, left: Champion, target: str) -> str | None:
    """Return what served before the target did: what is left must not catch its fall."""
    for move in reversed(read_journal(store, pipeline)):
        if move.version == target and move.previous not in {left.version, target}:
            return move.previous
    return None

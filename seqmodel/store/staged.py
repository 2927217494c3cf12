"""What shards leave for the step that joins them: staged for as long as the run needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqmodel.errors import StoreError
from seqmodel.store.fingerprints import SHORT, digest_file
from seqmodel.store.parts import StagedRef
from seqmodel.store.refs import RunRef
from seqmodel.store.store import Store

Arrays = Mapping[str, NDArray[Any]]


def stage_arrays(
    store: Store, run: RunRef, room: str, number: int, arrays: Arrays
) -> tuple[str, str]:
    """Write the arrays of one shard under a name of their own content.

    Args:
        store: the data root.
        run: which run asks.
        room: folder of staging.
        number: of the shard.
        arrays: by name.

    Returns:
        Key of the file, and its sha256.

    Raises:
        StoreError: if the disk is full or closed.
    """
    with store.workshop(run.pipeline) as shop:
        draft = shop / "part.npz"
        np.savez(draft, allow_pickle=False, **arrays)
        digest = digest_file(draft)
        key = f"{run.pipeline}/{room}/{run.run}/part-{number:05d}-{digest[:SHORT]}.npz"
        store.stage_file(draft, key)
    return key, digest


def read_staged(store: Store, part: StagedRef) -> dict[str, NDArray[Any]]:
    """Read what `stage_arrays` wrote.

    Raises:
        StoreError: if the file is gone or changed.
    """
    path = store.staged_path(part.key)
    if not path.is_file() or digest_file(path) != part.digest:
        raise StoreError(
            f"found {path} missing or changed since its shard was done, needed the file with"
            f" sha256 {part.digest[:SHORT]}...; run again"
        )
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def drop_staged(store: Store, parts: Sequence[StagedRef]) -> None:
    """Remove the files of shards that have been joined, and their folder."""
    places = [store.staged_path(part.key) for part in parts if part.key]
    for place in places:
        place.unlink(missing_ok=True)
    for folder in {place.parent for place in places}:
        with suppress(OSError):  # another copy of the run has parts of its own there
            folder.rmdir()

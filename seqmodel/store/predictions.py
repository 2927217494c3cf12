"""What was said of the shards of a backtest: staged for as long as the run needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from seqmodel.errors import StoreError
from seqmodel.store.fingerprints import SHORT, digest_file
from seqmodel.store.parts import PredictionsRef
from seqmodel.store.refs import RunRef
from seqmodel.store.store import Store

Floats = NDArray[np.float64]


def stage_predictions(
    store: Store, run: RunRef, number: int, said: Mapping[str, Floats]
) -> tuple[str, str]:
    """Write the predictions of one shard under a name of their own content.

    Args:
        store: the data root.
        run: which run asks.
        number: of the shard.
        said: candidate -> N x H x Q.

    Returns:
        Key of the file, and its sha256.

    Raises:
        StoreError: if the disk is full or closed.
    """
    with store.workshop(run.pipeline) as shop:
        draft = shop / "part.npz"
        np.savez(draft, allow_pickle=False, **said)
        digest = digest_file(draft)
        key = f"{run.pipeline}/backtests/{run.run}/part-{number:05d}-{digest[:SHORT]}.npz"
        store.stage_file(draft, key)
    return key, digest


def read_predictions(store: Store, part: PredictionsRef) -> dict[str, Floats]:
    """Read what `stage_predictions` wrote.

    Returns:
        Candidate -> N x H x Q.

    Raises:
        StoreError: if the file is gone or changed.
    """
    path = store.staged_path(part.key)
    if not path.is_file() or digest_file(path) != part.digest:
        raise StoreError(
            f"found {path} missing or changed since its shard was predicted, needed the file with"
            f" sha256 {part.digest[:SHORT]}...; run again"
        )
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def drop_predictions(store: Store, parts: Sequence[PredictionsRef]) -> None:
    """Remove the files of shards whose windows have been scored, and their folder."""
    folders = {store.staged_path(part.key).parent for part in parts}
    for part in parts:
        store.staged_path(part.key).unlink(missing_ok=True)
    for folder in folders:
        with suppress(OSError):  # another copy of the run has parts of its own there
            folder.rmdir()

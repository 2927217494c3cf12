"""Where a training stood when its process was killed: one file, replaced whole."""

from __future__ import annotations

import io
import json
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from seqmodel.store.folders import make_folder
from seqmodel.store.store import STAGING, Store, replace_file

STATE = "state"


def checkpoint_key(pipeline: str, version: str) -> str:
    """Return the key of the checkpoint of a version in the making."""
    return f"{pipeline}/{STAGING}/training/{version}.npz"


def write_checkpoint(
    store: Store, key: str, arrays: list[NDArray[Any]], state: dict[str, Any]
) -> None:
    """Replace a checkpoint.

    Args:
        store: the data root.
        key: of the checkpoint.
        arrays: everything that learns, in the order of the network.
        state: JSON-able rest.

    Raises:
        StoreError: if there is no room for it, or no right to write there.
    """
    found = io.BytesIO()
    named: dict[str, Any] = {f"{i:05}": array for i, array in enumerate(arrays)}
    named[STATE] = np.array(json.dumps(state))
    np.savez(found, **named)
    path = store.path(key)
    with store.explaining():
        make_folder(path.parent)
        replace_file(path, found.getvalue())


def read_checkpoint(store: Store, key: str) -> tuple[list[NDArray[Any]], dict[str, Any]] | None:
    """Read a checkpoint, None where there is none or it is damaged: then training starts anew."""
    path = store.path(key)
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as found:
            state = json.loads(str(found[STATE]))
            arrays = [found[name] for name in sorted(set(found.files) - {STATE})]
    except (ValueError, OSError, KeyError, EOFError, BadZipFile):
        return None
    return arrays, state


def remove_checkpoint(store: Store, key: str) -> None:
    """Remove a checkpoint whose training is done."""
    store.path(key).unlink(missing_ok=True)

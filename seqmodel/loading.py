"""A stored version, loaded after every byte of it was checked."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, ZipInfo

from seqmodel.errors import StoreError, quote
from seqmodel.features import Preprocessor
from seqmodel.specs import PipelineSpec
from seqmodel.store.bundles import MODEL, member_key, read_manifest, read_preprocessor, read_spec
from seqmodel.store.store import Store

#: What Keras writes into a network's file. Further members it would unpack on to the disk.
MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}


def load_model(store: Store, key: str) -> tuple[Any, Preprocessor, PipelineSpec]:
    """Load a bundle after checking every byte of it.

    Returns:
        The network, the fitted preprocessor and the spec it was trained under.

    Raises:
        StoreError: if a file is missing, changed, or cannot be loaded safely.
    """
    import keras

    import seqmodel.models.registry as models

    models.register_layers()

    manifest = read_manifest(store, key)
    path = store.path(key) / MODEL
    if MODEL not in manifest["files"]:
        raise StoreError(
            f"found an ensemble at {store.path(key)}, needed one network; name one of its members,"
            f" such as {store.path(member_key(key, 1))}"
        )
    spec = read_spec(store, key, manifest)
    check_members(path)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a stranger's file makes Keras raise anything
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise StoreError(
            f"found {path} not loadable ({reason}), needed a model written by this project; roll"
            " back to another version"
        ) from error
    # PyTorch compiles with another compiler, which no one here has measured.
    model.compile(jit_compile=keras.backend.backend() != "torch")
    return model, Preprocessor.from_json(read_preprocessor(store, key)), spec


def check_members(path: Path) -> None:
    """Look at the archive of a network before Keras does.

    Raises:
        StoreError: if it is no archive, or holds other members than Keras writes.
    """
    try:
        with ZipFile(path) as archive:
            found = archive.infolist()
    except (BadZipFile, OSError, ValueError) as error:
        raise StoreError(
            f"found {path} not loadable ({error}), needed a model written by this project; roll"
            " back to another version"
        ) from error
    strange = {one.filename for one in found if _is_link(one)} | {
        one.filename for one in found
    } - MEMBERS
    if strange or len(found) != len(MEMBERS):
        raise StoreError(
            f"found {path} to hold {', '.join(map(quote, sorted(strange))) or 'fewer or more'},"
            f" needed the members {', '.join(sorted(MEMBERS))}, each once and no link; roll back to"
            " another version"
        )


def _is_link(member: ZipInfo) -> bool:
    return stat.S_ISLNK(member.external_attr >> 16)

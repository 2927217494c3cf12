"""A stored version, loaded after every byte of it was checked."""

from __future__ import annotations

from typing import Any

from seqmodel.errors import StoreError
from seqmodel.features import Preprocessor
from seqmodel.specs import PipelineSpec
from seqmodel.store.bundles import MODEL, member_key, read_manifest, read_preprocessor, read_spec
from seqmodel.store.store import Store


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

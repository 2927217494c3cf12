"""Model bundles: everything learned from data in one write-once folder, checked before use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from seqmodel.errors import StoreError
from seqmodel.specs import PipelineSpec
from seqmodel.store.fingerprints import digest_file, digest_folder
from seqmodel.store.refs import ModelRef
from seqmodel.store.store import Store, replace_file

MANIFEST = "manifest.json"
MODEL = "model.keras"
PREPROCESSOR = "preprocessor.json"
#: Raised whenever older bundles can no longer be read; they are then passed over by name.
FORMAT = 2


def model_key(pipeline: str, version: str) -> str:
    """Return the key of a model version."""
    return f"{pipeline}/models/{version}"


def write_bundle(
    store: Store, key: str, model: Any, preprocessor: dict[str, Any], manifest: dict[str, Any]
) -> None:
    """Write a bundle and publish it.

    Args:
        store: the data root.
        key: where it goes.
        model: a Keras model; only its `save` is called.
        preprocessor: the fitted preprocessor as JSON.
        manifest: table fingerprint, spec, seed, versions, scores, ...; `files` is added.
    """
    pipeline = key.split("/", 1)[0]
    with store.workshop(pipeline) as shop:
        folder = shop / "bundle"
        folder.mkdir()
        model.save(folder / MODEL)
        replace_file(folder / PREPROCESSOR, json.dumps(preprocessor).encode())
        manifest = {**manifest, "format": FORMAT, "files": digest_folder(folder)}
        replace_file(folder / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())
        store.publish(folder, key)


def read_model(store: Store, pipeline: str, version: str) -> ModelRef:
    """Return the ref of a stored version after checking its files.

    Raises:
        StoreError: if a file is missing or has another checksum.
    """
    key = model_key(pipeline, version)
    manifest = read_manifest(store, key)
    figures = {name: manifest[name] for name in ModelRef.model_fields if name in manifest}
    digest = digest_file(store.path(key) / MANIFEST)
    try:
        return ModelRef.model_validate({**figures, "key": key, "fingerprint": digest})
    except ValidationError as error:
        wrong = ", ".join(".".join(map(str, e["loc"])) for e in error.errors())
        raise StoreError(
            f"found the manifest of {key} with a wrong or missing {wrong}, needed all that a"
            " training run writes; roll back to another version"
        ) from None


def read_manifest(store: Store, key: str) -> dict[str, Any]:
    """Read a bundle's manifest after checking every file it names.

    Raises:
        StoreError: if a file is missing or has another checksum.
    """
    manifest = store.read_json(f"{key}/{MANIFEST}")
    folder = store.path(key)
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict) or MODEL not in files:
        raise StoreError(
            f"found {folder / MANIFEST} without the checksum of {MODEL}, needed one for every file;"
            " roll back to another version"
        )
    for name, digest in files.items():
        path = folder / Path(name).name
        if not path.is_file() or digest_file(path) != digest:
            raise StoreError(
                f"found {path} missing or changed since it was written, needed the file its"
                " manifest names; roll back to another version"
            )
    return dict(manifest)


def read_spec(store: Store, key: str, manifest: dict[str, Any]) -> PipelineSpec:
    """Return the spec that a bundle was trained under.

    Raises:
        StoreError: if the bundle is of another format, or the spec has knobs that are unknown or
            out of bounds today.
    """
    place = store.path(key) / MANIFEST
    if (written := manifest.get("format", 1)) != FORMAT:
        raise StoreError(
            f"found {place} of format {written}, needed format {FORMAT}, which this release reads;"
            " train again or take another version"
        )
    try:
        return PipelineSpec.model_validate(manifest.get("spec"))
    except ValidationError as error:
        wrong = ".".join(map(str, error.errors()[0]["loc"])) or "spec"
        raise StoreError(
            f"found {place} with a spec whose {wrong} is missing, unknown or out of bounds today,"
            " needed the spec of this release; train again or take another version"
        ) from None


def read_preprocessor(store: Store, key: str) -> dict[str, Any]:
    """Read a bundle's fitted preprocessor; call `read_manifest` before."""
    fitted: dict[str, Any] = store.read_json(f"{key}/{PREPROCESSOR}")
    return fitted

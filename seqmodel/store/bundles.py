"""Model bundles: everything learned from data in one write-once folder, checked before use.

models/<version>/   manifest.json, model.keras, preprocessor.json             one network
models/<version>/   manifest.json, ensemble.json, member-1/, member-2/, ...   an ensemble

Beside them lies `calibration.json` where intervals are calibrated. A member's folder is a bundle
itself, or holds the `baseline.json` of a statistical baseline; the ensemble's manifest has the
checksums of all their files.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from seqmodel.errors import StoreError, quote
from seqmodel.specs import PipelineSpec
from seqmodel.store.fingerprints import digest_file, digest_folder
from seqmodel.store.refs import ModelRef
from seqmodel.store.store import Store, replace_file

MANIFEST = "manifest.json"
MODEL = "model.keras"
PREPROCESSOR = "preprocessor.json"
ENSEMBLE = "ensemble.json"
BASELINE = "baseline.json"
CALIBRATION = "calibration.json"
#: Folder of the networks of ensembles before they are put together, beside `models`.
MEMBERS = "members"
DISTRIBUTION = "distribution.json"
#: Raised whenever older bundles can no longer be read; they are then passed over by name.
FORMAT = 2


def model_key(pipeline: str, version: str, folder: str = "models") -> str:
    """Return the key of a model version."""
    return f"{pipeline}/{folder}/{version}"


def member_key(key: str, position: int) -> str:
    """Return the key of a member of an ensemble, counted from 1."""
    return f"{key}/member-{position}"


def write_bundle(
    store: Store,
    key: str,
    model: Any,
    preprocessor: dict[str, Any],
    manifest: dict[str, Any],
    more: Mapping[str, Any] | None = None,
) -> None:
    """Write a bundle and publish it.

    Args:
        store: the data root.
        key: where it goes.
        model: a Keras model; only its `save` is called.
        preprocessor: the fitted preprocessor as JSON.
        manifest: table fingerprint, spec, seed, versions, scores, ...; `files` is added.
        more: further files: name -> JSON.
    """
    pipeline = key.split("/", 1)[0]
    with store.workshop(pipeline) as shop:
        folder = shop / "bundle"
        folder.mkdir()
        model.save(folder / MODEL)
        for name, value in {PREPROCESSOR: preprocessor, **(more or {})}.items():
            replace_file(folder / name, json.dumps(value).encode())
        manifest = {**manifest, "format": FORMAT, "files": digest_folder(folder)}
        replace_file(folder / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())
        store.publish(folder, key)


def write_ensemble(
    store: Store,
    key: str,
    members: Sequence[str | dict[str, Any]],
    files: Mapping[str, Any],
    manifest: dict[str, Any],
) -> None:
    """Put the bundles of members together as one, and publish it.

    Args:
        store: the data root.
        key: where it goes.
        members: the key of each network's bundle, or the JSON of a baseline.
        files: name -> JSON: how the members are combined, and their calibration.
        manifest: as of `write_bundle`.
    """
    pipeline = key.split("/", 1)[0]
    with store.workshop(pipeline) as shop:
        folder = shop / "bundle"
        folder.mkdir()
        for position, member in enumerate(members, start=1):
            place = shop / member_key("bundle", position)
            if isinstance(member, str):
                shutil.copytree(store.path(member), place)
            else:
                place.mkdir()
                replace_file(place / BASELINE, json.dumps(member).encode())
        for name, value in files.items():
            replace_file(folder / name, json.dumps(value).encode())
        manifest = {**manifest, "format": FORMAT, "files": digest_folder(folder)}
        replace_file(folder / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())
        store.publish(folder, key)


def read_model(store: Store, pipeline: str, version: str) -> ModelRef:
    """Return the ref of a stored version after checking its files.

    Raises:
        StoreError: if a file is missing or has another checksum.
    """
    return read_bundle(store, model_key(pipeline, version))


def read_bundle(store: Store, key: str) -> ModelRef:
    """Return the ref of a bundle, a member of an ensemble too, after checking its files.

    Raises:
        StoreError: if a file is missing or has another checksum.
    """
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


def find_member(store: Store, whole: ModelRef, position: int) -> ModelRef | None:
    """Return a network of a stored ensemble, None where there is no such one.

    Args:
        store: the data root.
        whole: a version; one that is no ensemble has no members.
        position: counted from 1.
    """
    key = member_key(whole.key, position)
    return read_bundle(store, key) if store.path(f"{key}/{MANIFEST}").is_file() else None


def read_manifest(store: Store, key: str) -> dict[str, Any]:
    """Read a bundle's manifest after checking every file it names.

    Raises:
        StoreError: if a file is missing, lies elsewhere, or has another checksum.
    """
    manifest = store.read_json(f"{key}/{MANIFEST}")
    folder = store.path(key)
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict) or not {MODEL, ENSEMBLE} & set(files):
        raise StoreError(
            f"found {folder / MANIFEST} without the checksum of {MODEL}, needed one for every file;"
            " roll back to another version"
        )
    for name, digest in files.items():
        path = _stay_inside(folder, name)
        if not path.is_file() or digest_file(path) != digest:
            raise StoreError(
                f"found {path} missing or changed since it was written, needed the file its"
                " manifest names; roll back to another version"
            )
    return dict(manifest)


def _stay_inside(folder: Path, name: str) -> Path:
    """Return where a file of a bundle lies; neither `..` nor a link leads out of its folder."""
    pure = PurePosixPath(name)
    path = folder / pure
    climbs = pure.is_absolute() or ".." in pure.parts or not pure.parts
    if climbs or path.resolve() != folder.resolve() / pure:
        raise StoreError(
            f"found the manifest of {folder} naming {quote(name)}, which leads elsewhere, needed"
            " names of files inside the bundle; roll back to another version"
        )
    return path


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


def read_distribution(store: Store, key: str) -> dict[str, Any] | None:
    """Read what a bundle was trained on, of an ensemble its first network that says it.

    Returns:
        Column -> its distribution; None where an older release did not keep it.
    """
    folder = store.path(key)
    for path in (folder / DISTRIBUTION, *sorted(folder.glob(f"member-*/{DISTRIBUTION}"))):
        if path.is_file():
            found: dict[str, Any] = store.read_json(str(path.relative_to(store.root)))
            return found
    return None

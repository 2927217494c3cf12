"""Graphs: the networks of a version as ONNX, made of its bundle once and checked before use.

graphs/<version>/   manifest.json, model.onnx                        one network
graphs/<version>/   manifest.json, member-1/model.onnx, ...          an ensemble

A folder can be made again from the bundle at any time: a damaged one is no loss.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from seqmodel.errors import StoreError
from seqmodel.store.bundles import MANIFEST
from seqmodel.store.fingerprints import digest_file, digest_folder
from seqmodel.store.refs import GraphRef, ModelRef
from seqmodel.store.store import Store, replace_file

#: Room of the graphs, beside `models`.
GRAPHS = "graphs"
GRAPH = "model.onnx"


def graph_key(pipeline: str, version: str) -> str:
    """Return the key of a version's graphs."""
    return f"{pipeline}/{GRAPHS}/{version}"


def find_graph(store: Store, model: ModelRef) -> GraphRef | None:
    """Return the ref of a version's graphs, None where there are none or they are damaged."""
    key = _key_of(model)
    try:
        made_of = check_graph(store, key).get("made_of")
    except StoreError:
        return None
    return _refer(store, key, model) if made_of == model.fingerprint else None


def check_graph(store: Store, key: str) -> dict[str, Any]:
    """Read the manifest of a version's graphs after checking every file.

    Raises:
        StoreError: if one is missing, was added, or has another checksum.
    """
    manifest = store.read_json(f"{key}/{MANIFEST}")
    folder = store.path(key)
    found = digest_folder(folder)
    del found[MANIFEST]
    if not isinstance(manifest, dict) or manifest.get("files") != found:
        raise StoreError(
            f"found {folder} changed since it was written, needed the files its manifest names;"
            " remove the folder, the next forecast makes it again"
        )
    return manifest


def publish_graph(store: Store, model: ModelRef, folder: Path, about: dict[str, Any]) -> GraphRef:
    """Put a folder of graphs in its place; the first of two that make it at once wins.

    Args:
        store: the data root.
        model: the version that it was made of.
        folder: as in the module's docstring, without the manifest.
        about: what the manifest says beside the checksums.
    """
    manifest = {**about, "made_of": model.fingerprint, "files": digest_folder(folder)}
    replace_file(folder / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())
    key = _key_of(model)
    with store.lock(f"{model.key.partition('/')[0]}/.{GRAPHS}.lock"):
        if found := find_graph(store, model):
            return found
        shutil.rmtree(store.path(key), ignore_errors=True)
        store.publish(folder, key)
    return _refer(store, key, model)


def read_graph(store: Store, graph: GraphRef, member: str) -> bytes:
    """Return one network's graph.

    Args:
        store: the data root.
        graph: of a version.
        member: folder of a member of an ensemble, empty for the one network of a version.

    Raises:
        StoreError: if it is missing or not what the ref was made of.
    """
    place = store.path(graph.key)
    if digest_file(store.find(f"{graph.key}/{MANIFEST}")) != graph.fingerprint:
        raise StoreError(
            f"found {place / MANIFEST} changed since the run began, needed the graphs it began"
            " with; run again"
        )
    check_graph(store, graph.key)
    return (place / member / GRAPH).read_bytes()


def _refer(store: Store, key: str, model: ModelRef) -> GraphRef:
    digest = digest_file(store.path(key) / MANIFEST)
    return GraphRef(key=key, fingerprint=digest, made_of=model.fingerprint)


def _key_of(model: ModelRef) -> str:
    return graph_key(model.key.partition("/")[0], model.version)

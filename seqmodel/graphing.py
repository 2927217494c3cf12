"""The networks of a version become ONNX graphs, each asked beside Keras before it may serve."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqmodel.errors import StoreError
from seqmodel.exporting import OPSET, write_network
from seqmodel.graphs import Graph
from seqmodel.loading import load_model
from seqmodel.store.bundles import ENSEMBLE, member_key, read_manifest
from seqmodel.store.graphs import GRAPH, find_graph, publish_graph
from seqmodel.store.refs import GraphRef, ModelRef
from seqmodel.store.store import Store

#: That both are asked about.
WINDOWS = 16
#: Float32 through another program's sums: what may differ, of 1 and of the value.
TOLERANCE = 1e-4


def make_graph(store: Store, model: ModelRef) -> GraphRef:
    """Make the graphs of a version, where there are none yet.

    Args:
        store: the data root.
        model: the version; an ensemble's networks each become one.

    Raises:
        StoreError: if a network has something that ONNX has not, or its graph says other than it.
    """
    if found := find_graph(store, model):
        return found
    differences = {}
    with store.workshop(model.key.partition("/")[0]) as shop:
        folder = shop / "graph"
        folder.mkdir()
        for member in list_networks(store, model.key):
            place = folder / member
            place.mkdir(exist_ok=True)
            network, _, _ = load_model(store, f"{model.key}/{member}".rstrip("/"))
            asked = _invent_inputs(network)
            # Step by step: to compile it for one answer would take longer than all else.
            said = np.asarray(network(asked, training=False))
            write_network(network, "onnx", place / GRAPH)
            differences[f"{member}/{GRAPH}".lstrip("/")] = _compare(place / GRAPH, asked, said)
        about = {
            "opset": OPSET,
            "differences": differences,
            "versions": {name: version(name) for name in ("keras", "tf2onnx", "onnx")},
        }
        return publish_graph(store, model, folder, about)


def list_networks(store: Store, key: str) -> list[str]:
    """Return the folders of a bundle's networks: of an ensemble's, or the bundle's own, empty."""
    if ENSEMBLE not in read_manifest(store, key)["files"]:
        return [""]
    kinds = store.read_json(f"{key}/{ENSEMBLE}")["kinds"]
    places = [member_key("", number)[1:] for number in range(1, len(kinds) + 1)]
    return [place for place, kind in zip(places, kinds, strict=True) if kind != "baseline"]


def _invent_inputs(network: Any) -> dict[str, NDArray[Any]]:
    """Return arrays of some windows that a network reads; category 0 is known to all of them."""
    chance = np.random.default_rng(0)
    found = {}
    for tensor in network.inputs:
        shape, dtype = (WINDOWS, *tensor.shape[1:]), np.dtype(str(tensor.dtype))
        real = np.issubdtype(dtype, np.floating)
        found[tensor.name] = (chance.normal(size=shape) if real else np.zeros(shape)).astype(dtype)
    return found


def _compare(path: Path, asked: dict[str, NDArray[Any]], said: NDArray[Any]) -> float:
    """Return the greatest difference between a graph's answer and the network's."""
    try:
        found = Graph(path.read_bytes()).predict_on_batch(asked)
    except Exception as error:  # the runtime's own kinds of errors have no common parent
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise StoreError(
            f"found a graph that ONNX Runtime does not run ({reason}), needed operators that it"
            " has; set forecast.runtime to keras"
        ) from error
    if not np.allclose(found, said, rtol=TOLERANCE, atol=TOLERANCE):
        worst = float(np.abs(found - said).max())
        raise StoreError(
            f"found the ONNX graph {worst:.2g} away from the network it was made of, needed"
            f" {TOLERANCE:g} at most; set forecast.runtime to keras"
        )
    return float(np.abs(found - said).max())

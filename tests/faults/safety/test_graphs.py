"""A graph is checked like the network it was made of: before the runtime sees a byte of it."""

from __future__ import annotations

import json

import onnxruntime
import pytest

from seqmodel.errors import StoreError
from seqmodel.forecasting import load_predictor
from seqmodel.graphing import make_graph
from seqmodel.store.bundles import MANIFEST, read_model
from seqmodel.store.fingerprints import digest_file
from seqmodel.store.graphs import GRAPH, find_graph
from seqmodel.store.store import Store
from tests.seqmodel.bundle import change_byte, put_bundle


def edit(folder, **more):
    path = folder / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **more}))


def change(folder):
    change_byte(folder, GRAPH)


def change_and_seal(folder):
    """The manifest is changed to match: what a run began with is known by its own sha256."""
    change_byte(folder, GRAPH)
    edit(folder, files={GRAPH: digest_file(folder / GRAPH)})


def swap(folder):
    """The graph of another version, manifest and all."""
    edit(folder, made_of="0" * 64)


@pytest.mark.fault("a graph changed or swapped")
@pytest.mark.parametrize("spoil", [change, change_and_seal, swap])
def test_a_graph_that_is_not_what_the_run_began_with_is_refused_before_it_is_parsed(
    tmp_path, monkeypatch, spoil
):
    bundle, *_ = put_bundle(tmp_path, "segment")
    store = Store(tmp_path)
    model = read_model(store, "small", bundle.name)
    graph = make_graph(store, model)
    spoil(store.path(graph.key))
    with monkeypatch.context() as patched:
        parsed = pytest.fail
        patched.setattr(onnxruntime, "InferenceSession", lambda *_, **__: parsed("it was parsed"))
        with pytest.raises(StoreError, match=r"found .* changed since .*, needed"):
            load_predictor(store, model.key, graph)
    if spoil is not change_and_seal:
        assert find_graph(store, model) is None
        again = make_graph(store, model)
        assert load_predictor(store, model.key, again)

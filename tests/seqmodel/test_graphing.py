"""Graphs say what the networks say, are made once a version, and do not serve when spoilt."""

import json

import numpy as np
import pytest

from seqmodel import graphing
from seqmodel.errors import StoreError
from seqmodel.forecasting import load_predictor
from seqmodel.graphing import make_graph
from seqmodel.graphs import load_graph
from seqmodel.models.registry import MODELS
from seqmodel.predicting import choose_inputs
from seqmodel.store.bundles import read_model
from seqmodel.store.graphs import find_graph, graph_key, read_graph
from seqmodel.store.store import Store
from seqmodel.training.assembling import assemble_models
from seqmodel.training.optimising import use_precision
from seqmodel.windowing import load_panel
from tests.seqmodel.bundle import put_bundle
from tests.seqmodel.models.cases import OUTPUTS
from tests.seqmodel.small import make_panel, make_spec, make_table, put_table
from tests.seqmodel.training.test_ensembles import AS_OF

pytestmark = pytest.mark.tensorflow
LONG = pytest.mark.long
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def put_model(root, kind="segment", **sections):
    """A stored version of one network, untrained; its store and its ref."""
    bundle, _, spec, _ = put_bundle(root, kind, **sections)
    store = Store(root)
    return store, read_model(store, spec.name, bundle.name)


def forecast(store, key, graph=None, panel=None):
    panel = panel or make_panel(make_table())
    return load_predictor(store, key, graph).predict(panel, np.array([panel.cutoff]), 1)[1]


@pytest.fixture
def made(tmp_path):
    store, model = put_model(tmp_path)
    return store, model, make_graph(store, model)


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=[] if kind == "segment" else LONG) for kind in MODELS],
)
def test_a_graph_says_what_its_network_says(tmp_path, kind):
    bundle, stored, spec, network = put_bundle(tmp_path, kind)
    inputs = choose_inputs(network, stored.reader(spec).read(stored.holdout.spread(7)))
    said = np.asarray(network.predict_on_batch(inputs))
    store = Store(tmp_path)
    model = read_model(store, spec.name, bundle.name)
    graph, fitted, told = load_graph(store, make_graph(store, model), model.key)
    assert {one.name for one in graph.inputs} == set(inputs)
    np.testing.assert_allclose(graph.predict_on_batch(inputs), said, rtol=1e-5, atol=1e-5)
    assert (told, fitted.ids) == (spec, stored.fitted.ids)


@LONG
@pytest.mark.parametrize("output", OUTPUTS)
def test_a_forecast_by_graphs_is_that_by_keras_whatever_the_output(tmp_path, output):
    said = {"output": OUTPUTS[output].model_dump(mode="json"), "scaling": {"series": "mean_abs"}}
    store, model = put_model(tmp_path, "rnn", **said)
    quick, slow = forecast(store, model.key, make_graph(store, model)), forecast(store, model.key)
    if output == "negative_binomial":  # a count on the border falls to one side or the other
        assert np.abs(quick - slow).max() <= 1
        assert (quick == slow).mean() > 0.9
    else:
        np.testing.assert_allclose(quick, slow, **CLOSE)


def test_an_ensemble_of_baselines_alone_has_no_graph_and_needs_none(tmp_path):
    members = [{"baseline": "seasonal_naive"}, {"baseline": "drift"}]
    spec = make_spec(model={"kind": "ensemble", "members": members})
    store = Store(tmp_path)
    table = put_table(store, make_table(), spec).table
    whole = assemble_models(store, table, spec, AS_OF, [], {"table": "t"})
    graph = make_graph(store, whole)
    assert find_graph(store, whole) == graph
    panel = load_panel(store, table, spec)
    quick, slow = (forecast(store, whole.key, g, panel) for g in (graph, None))
    np.testing.assert_array_equal(quick, slow)


def test_a_second_look_finds_the_graphs_that_are_there(made, monkeypatch):
    store, model, graph = made
    monkeypatch.setattr(graphing, "write_network", None)  # calling it would be an error
    assert make_graph(store, model) == graph
    assert find_graph(store, model) == graph
    assert graph.key == graph_key("small", "v1")


def spoil(store, graph, name):
    path = store.path(graph.key) / name
    if name == "manifest.json":
        told = json.loads(path.read_text())
        del told["made_of"]
        path.write_text(json.dumps(told))
    elif path.exists():
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
    else:
        path.write_text("{}")


@pytest.mark.parametrize(
    "name", ["model.onnx", *(pytest.param(n, marks=LONG) for n in ("manifest.json", "more.json"))]
)
def test_spoilt_graphs_are_refused_and_made_again(made, name):
    store, model, graph = made
    spoil(store, graph, name)
    assert find_graph(store, model) is None
    with pytest.raises(StoreError, match=r"changed since"):
        read_graph(store, graph, "")
    again = make_graph(store, model)
    assert find_graph(store, model) == again
    assert forecast(store, model.key, again).shape[1:] == (6, 3)


def test_the_graphs_of_another_version_are_refused(made):
    store, model, graph = made
    other = graph.model_copy(update={"made_of": "0" * 64})
    with pytest.raises(StoreError, match="made of another version"):
        load_predictor(store, model.key, other)


def test_a_graph_that_says_something_else_is_not_published(tmp_path, monkeypatch):
    store, model = put_model(tmp_path)
    other, _ = graphing.load_model(store, model.key)[:2]
    for weight in other.weights:
        weight.assign(weight + 0.1)
    write = graphing.write_network
    monkeypatch.setattr(
        graphing, "write_network", lambda _network, form, target: write(other, form, target)
    )
    with pytest.raises(StoreError, match=r"away from the network.*set forecast\.runtime to keras"):
        make_graph(store, model)
    assert find_graph(store, model) is None
    assert not store.path(graph_key("small", "v1")).exists()


@pytest.mark.parametrize("precision", ["mixed_float16", pytest.param("mixed_bfloat16", marks=LONG)])
def test_a_network_of_half_precision_serves_as_a_graph_or_says_why_not(tmp_path, precision):
    with use_precision(precision):
        store, model = put_model(tmp_path)
    try:
        graph = make_graph(store, model)
    except StoreError as error:
        assert "keras" in str(error)  # noqa: PT017 - either is right, silence is not
        assert find_graph(store, model) is None
    else:
        slow = forecast(store, model.key)
        np.testing.assert_allclose(forecast(store, model.key, graph), slow, rtol=1e-3, atol=1e-3)

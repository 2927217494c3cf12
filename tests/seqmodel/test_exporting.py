"""An exported network says what the stored one says, and a spoilt bundle is not exported."""

import json

import numpy as np
import pytest

from seqmodel import exporting
from seqmodel.errors import SpecError, StoreError
from seqmodel.export import main
from seqmodel.exporting import export_model
from seqmodel.models.registry import MODELS
from seqmodel.predicting import choose_inputs
from seqmodel.store.fingerprints import digest_file
from tests.seqmodel.bundle import SPOILT, make_lambda, put_bundle

pytestmark = pytest.mark.tensorflow


def ask(bundle):
    """Inputs of some windows, and what the stored network says of them."""
    _, stored, spec, model = bundle
    batch = stored.reader(spec).read(stored.holdout.spread(7))
    inputs = choose_inputs(model, batch)
    return inputs, np.asarray(model.predict_on_batch(inputs))


def run_onnx(path, inputs):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    asked = [wanted.name for wanted in session.get_inputs()]
    assert sorted(asked) == sorted(inputs)
    (found,) = session.run(None, {name: inputs[name] for name in asked})
    return found


def run_savedmodel(path, inputs):
    import tensorflow as tf

    network = tf.saved_model.load(str(path))
    return network.serve({name: tf.constant(array) for name, array in inputs.items()}).numpy()


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=[] if kind in {"gru", "segment"} else pytest.mark.long)
        for kind in MODELS
    ],
)
def test_an_onnx_graph_says_what_the_network_says(tmp_path, kind):
    bundle = put_bundle(tmp_path / "root", kind)
    inputs, expected = ask(bundle)
    path = export_model(bundle[0], "onnx", tmp_path / "out")
    assert path == tmp_path / "out" / "model.onnx"
    np.testing.assert_allclose(run_onnx(path, inputs), expected, rtol=1e-5, atol=1e-5)
    # Of any number of windows: one, too.
    one = {name: array[:1] for name, array in inputs.items()}
    np.testing.assert_allclose(run_onnx(path, one), expected[:1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["gru", "attention"])
def test_a_savedmodel_says_what_the_network_says(tmp_path, kind):
    bundle = put_bundle(tmp_path / "root", kind)
    inputs, expected = ask(bundle)
    path = export_model(bundle[0], "savedmodel", tmp_path / "out")
    np.testing.assert_allclose(run_savedmodel(path, inputs), expected, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def counts(tmp_path_factory):
    """A stored network that speaks of counts: it reads the scale too."""
    folder = tmp_path_factory.mktemp("counts")
    sections = {"output": {"kind": "negative_binomial"}, "scaling": {"series": "mean_abs"}}
    return put_bundle(folder / "root", **sections)


def test_what_is_exported_says_how_to_feed_it(tmp_path, counts, capsys):
    bundle, _, _, model = counts
    out = tmp_path / "new" / "out"
    assert main(["--model", str(bundle), "--format", "savedmodel", "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == f"network: {out / 'saved_model'}"
    about = json.loads((out / "export.json").read_text())
    assert set(about["inputs"]) == {tensor.name for tensor in model.inputs}
    assert about["inputs"]["past"]["shape"][:2] == [None, 24]
    assert about["inputs"]["series"] == {"shape": [None, 1], "dtype": "int32"}
    assert about["outputs"]["kind"] == "negative_binomial"
    assert about["outputs"]["levels"] == [0.1, 0.5, 0.9]
    assert about["version"] == "v1"
    for name, digest in about["files"].items():
        assert digest_file(out / name) == digest
    assert (out / "preprocessor.json").read_bytes() == (bundle / "preprocessor.json").read_bytes()
    assert sorted(p.name for p in out.parent.iterdir()) == ["out"], "no draft is left"


@pytest.mark.parametrize("way", SPOILT)
def test_no_bundle_is_exported_that_has(tmp_path, capsys, way):
    bundle, *_ = put_bundle(tmp_path / "root")
    spoil, says = SPOILT[way]
    spoil(bundle)
    out = tmp_path / "out"
    assert main(["--model", str(bundle), "--format", "savedmodel", "--out", str(out)]) == 1
    err = capsys.readouterr().err
    assert says in err
    assert "needed" in err
    assert err.count("\n") == 1
    assert not out.exists()


def test_a_network_with_code_inside_is_not_exported(tmp_path):
    bundle, *_ = put_bundle(tmp_path / "root", model=make_lambda())
    with pytest.raises(StoreError, match="not loadable") as refused:
        export_model(bundle, "savedmodel", tmp_path / "out")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(StoreError, match=r"found no .*manifest\.json"):
        export_model(tmp_path / "nowhere", "savedmodel", tmp_path / "out")


def test_what_is_there_already_is_not_overwritten(tmp_path, counts):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("kept")
    with pytest.raises(StoreError, match="found something at"):
        export_model(counts[0], "savedmodel", tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine"]


def test_another_backend_is_sent_to_tensorflow(monkeypatch, tmp_path):
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(SpecError, match="KERAS_BACKEND=tensorflow"):
        export_model(tmp_path, "savedmodel", tmp_path / "out")


def test_a_graph_with_an_operator_that_onnx_has_not_is_refused(tmp_path):
    import onnx

    node = onnx.helper.make_node("Bitcast", ["x"], ["y"])
    sides = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1]) for n in "xy"]
    graph = onnx.helper.make_graph([node], "g", [sides[0]], [sides[1]])
    opset = onnx.helper.make_opsetid("", exporting.OPSET)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset]), tmp_path / "g.onnx")
    with pytest.raises(Exception, match="Bitcast"):
        exporting._check_graph(tmp_path / "g.onnx")

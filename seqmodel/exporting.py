"""A stored version as a SavedModel or an ONNX graph, for programs that know nothing of Keras.

    <out>/saved_model/ or model.onnx   the network: the named inputs of `seqmodel.models.protocol`
                                       -> N x H x P parameters of the output's head
    <out>/preprocessor.json            categories and scales: how those inputs are made
    <out>/export.json                  names, shapes and types of the inputs, and what P means

Both graphs are the network alone: what comes before it (features, scaling, windows) and after it
(quantiles of the parameters, scaling back) is in the preprocessor's JSON and in this library.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from seqmodel.errors import SpecError, StoreError
from seqmodel.loading import load_model
from seqmodel.store.bundles import MANIFEST, PREPROCESSOR, read_manifest
from seqmodel.store.exports import copy_file, draft_folder, write_about
from seqmodel.store.fingerprints import digest_file
from seqmodel.store.store import Store

Form = Literal["savedmodel", "onnx"]
#: What each form is called in the folder.
NAMES: dict[Form, str] = {"savedmodel": "saved_model", "onnx": "model.onnx"}
#: One over the square root of two.
ROOT_HALF = 0.7071067811865476
#: Version of the ONNX operators: tf2onnx's highest for all that the networks need.
OPSET = 15


def export_model(bundle: Path, form: Form, out: Path) -> Path:
    """Write a stored version in another form, and beside it what is needed to use it.

    Args:
        bundle: folder of the version.
        form: which.
        out: folder to make.

    Returns:
        The exported network.

    Raises:
        StoreError: if the bundle is damaged or of another release, or `out` is taken.
        SpecError: if the form cannot be written here.
    """
    _check_backend()
    store, key = Store(bundle.absolute().parent), bundle.absolute().name
    manifest = read_manifest(store, key)
    with draft_folder(out) as folder:
        model, fitted, spec = load_model(store, key)
        target = folder / NAMES[form]
        write_network(model, form, target)
        copy_file(store.path(key) / PREPROCESSOR, folder)
        write_about(
            folder,
            {
                "version": manifest.get("version"),
                "form": form,
                "network": NAMES[form],
                "made_of": digest_file(store.path(key) / MANIFEST),
                "inputs": {tensor.name: _describe(tensor) for tensor in model.inputs},
                "outputs": {
                    **_describe(model.outputs[0]),
                    "kind": spec.output.kind,
                    "levels": list(spec.output.levels),
                    "classes": list(fitted.classes),
                },
                "files": {
                    path.relative_to(folder).as_posix(): digest_file(path)
                    for path in sorted(folder.rglob("*"))
                    if path.is_file()
                },
            },
        )
    return out / NAMES[form]


def _check_backend() -> None:
    """Refuse what cannot be done here before anything is loaded."""
    import keras

    if keras.backend.backend() != "tensorflow":
        raise SpecError(
            f"found the backend {keras.backend.backend()}, needed tensorflow to export; set"
            " KERAS_BACKEND=tensorflow: a version is the same under every backend"
        )


def write_network(model: Any, form: Form, target: Path) -> None:
    """Write a network in another form.

    Args:
        model: a Keras model; its layers may be changed on the way, so it is of no use afterwards.
        form: which.
        target: file or folder to make.

    Raises:
        StoreError: if the form has no operator for what the network does.
    """
    import keras

    try:
        if form == "savedmodel":
            model.export(str(target), format="tf_saved_model", verbose=False)
        else:
            _replace_gelu(model)
            # Keras exports only what has been called.
            model({t.name: keras.ops.zeros((1, *t.shape[1:]), t.dtype) for t in model.inputs})
            model.export(str(target), format="onnx", opset_version=OPSET, verbose=False)
            _check_graph(target)
    except StoreError:
        raise
    except Exception as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise StoreError(
            f"found the network not to be written as {form} ({reason}), needed operators that"
            " it knows; choose the other format"
        ) from error


def _replace_gelu(model: Any) -> None:
    """Write the error function as `erf`: ONNX has no `erfc`, which TensorFlow's GELU is made of."""
    import keras
    from keras import ops

    def gelu(x: Any) -> Any:
        return 0.5 * x * (1.0 + ops.erf(x * ROOT_HALF))

    for layer in model.layers:
        if getattr(layer, "activation", None) is keras.activations.gelu:
            layer.activation = gelu


def _check_graph(path: Path) -> None:
    """Refuse a graph that no runtime would load: tf2onnx leaves unknown operators in it."""
    import onnx

    graph = onnx.load(path)
    onnx.checker.check_model(graph)


def _describe(tensor: Any) -> dict[str, Any]:
    """Return the shape of a tensor, None for the number of windows, and its type."""
    return {"shape": list(tensor.shape), "dtype": str(tensor.dtype)}

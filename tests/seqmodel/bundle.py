"""Bundles of small networks, as trained ones are stored; and ways to spoil them."""

import json
from datetime import UTC, datetime

import keras

from seqmodel.models.registry import build_model
from seqmodel.store.bundles import MANIFEST, MODEL, model_key, write_bundle
from seqmodel.store.fingerprints import digest_file
from seqmodel.store.store import Store
from tests.seqmodel.small import make_spec, store_windows

FIGURES = {
    "version": "v1",
    "kind": "gru",
    "lookback": 24,
    "as_of": datetime(2024, 1, 11, tzinfo=UTC).isoformat(),
    "parameters": 10,
    "seconds": 1.0,
    "epochs": 2,
    "best_epoch": 1,
    "holdout": 0.5,
}


def put_bundle(root, kind="gru", model=None, **sections):
    """Store a network as it is before training; return its folder, its windows and its spec."""
    network = {"kind": kind, "units": 8, "dropout": 0.0, "embedding": 3}
    spec = make_spec(model=network, **sections)
    stored = store_windows(root, spec)
    keras.utils.set_random_seed(0)
    model = model or build_model(spec.model, stored.shapes(spec), spec.output)
    store, key = Store(root), model_key(spec.name, "v1")
    manifest = {**FIGURES, "kind": kind, "spec": spec.model_dump(mode="json")}
    write_bundle(store, key, model, stored.fitted.to_json(), manifest)
    return store.path(key), stored, spec, model


def make_lambda():
    """A network with code of its own inside."""
    inputs = keras.Input((3,), name="past")
    return keras.Model({"past": inputs}, keras.layers.Lambda(lambda x: x * 2)(inputs))


def edit_manifest(bundle, edit):
    path = bundle / MANIFEST
    manifest = json.loads(path.read_text())
    edit(manifest)
    path.write_text(json.dumps(manifest))


def change_byte(bundle, name=MODEL):
    path = bundle / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def write_other_file(bundle):
    """A file that is no network, with a checksum that says it is what was written."""
    (bundle / MODEL).write_bytes(b"PK\x03\x04 nothing of Keras")
    digest = digest_file(bundle / MODEL)
    edit_manifest(bundle, lambda m: m["files"].update({MODEL: digest}))


#: How to spoil a bundle -> what the refusal says.
SPOILT = {
    "a changed byte in the network": (change_byte, "missing or changed since it was written"),
    "a changed byte in the preprocessor": (
        lambda bundle: change_byte(bundle, "preprocessor.json"),
        "missing or changed since it was written",
    ),
    "a file that is no network": (write_other_file, "not loadable"),
    "another format": (
        lambda bundle: edit_manifest(bundle, lambda m: m.update(format=1)),
        "of format 1, needed format",
    ),
    "a spec of another release": (
        lambda bundle: edit_manifest(bundle, lambda m: m["spec"]["window"].update(lokback=3)),
        "with a spec whose window.lokback is missing, unknown or out of bounds",
    ),
}

"""A bundle is believed only byte for byte."""

import json
from datetime import UTC, datetime

import pytest

from seqmodel.errors import StoreError
from seqmodel.store.bundles import (
    model_key,
    read_manifest,
    read_model,
    read_preprocessor,
    write_bundle,
)
from seqmodel.store.store import Store


class Network:
    """Stands for a Keras model: only `save` is called."""

    def save(self, path):
        path.write_bytes(b"weights")


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    figures = {
        "version": "v1",
        "kind": "gru",
        "lookback": 4,
        "as_of": datetime(2024, 1, 1, tzinfo=UTC).isoformat(),
        "parameters": 10,
        "seconds": 1.0,
        "epochs": 2,
        "best_epoch": 1,
        "holdout": 0.5,
    }
    write_bundle(store, model_key("p", "v1"), Network(), {"scale": 2}, figures)
    return store


def test_bundle_comes_back_with_its_figures(store):
    model = read_model(store, "p", "v1")
    assert (model.key, model.version, model.lookback) == ("p/models/v1", "v1", 4)
    assert read_preprocessor(store, model.key) == {"scale": 2}
    assert set(read_manifest(store, model.key)["files"]) == {"model.keras", "preprocessor.json"}


@pytest.mark.parametrize("name", ["model.keras", "preprocessor.json"])
@pytest.mark.parametrize("damage", ["changed", "cut", "gone"])
def test_bundle_with_one_damaged_file_is_refused(store, name, damage):
    path = store.path("p/models/v1") / name
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:] if damage == "changed" else data[:-1])
    with pytest.raises(StoreError, match=f"{name} missing or changed"):
        read_model(store, "p", "v1")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda m: m.pop("files"), "without the checksum"),
        (lambda m: m["files"].pop("model.keras"), "without the checksum"),
        (lambda m: m.pop("lookback"), "wrong or missing lookback"),
        (lambda m: m.update(as_of="yesterday"), "wrong or missing as_of"),
    ],
)
def test_manifest_that_lacks_what_it_must_say_is_refused(store, spoil, said):
    path = store.path("p/models/v1/manifest.json")
    manifest = json.loads(path.read_text())
    spoil(manifest)
    path.write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match=said):
        read_model(store, "p", "v1")


@pytest.mark.parametrize("text", ["", "[]", '{"files": '])
def test_manifest_that_is_none_is_refused(store, text):
    store.path("p/models/v1/manifest.json").write_text(text)
    with pytest.raises(StoreError):
        read_model(store, "p", "v1")


def test_unknown_version_is_refused(store):
    with pytest.raises(StoreError, match="found no"):
        read_model(store, "p", "v2")

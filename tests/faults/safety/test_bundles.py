"""A network's file is a stranger's: checked before it is parsed, and what is in it never runs."""

from __future__ import annotations

import io
import json
import stat
import sys
import types
import zipfile

import h5py
import keras
import pytest

from seqmodel.errors import StoreError
from seqmodel.loading import load_model
from seqmodel.store.bundles import MODEL
from seqmodel.store.fingerprints import digest_file
from seqmodel.store.store import Store
from tests.seqmodel.bundle import change_byte, edit_manifest, put_bundle

PLANTED = "seqmodel_planted_module"


def seal(bundle):
    """Have the manifest name the network as it is now."""
    digest = digest_file(bundle / MODEL)
    edit_manifest(bundle, lambda manifest: manifest["files"].update({MODEL: digest}))


def rewrite(path, change):
    """Write an archive anew with other members."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as new:
        for name, data in members.items():
            new.writestr(name, data)


def assert_refused(bundle, root, says):
    seal(bundle)
    with pytest.raises(StoreError, match=says) as refused:
        load_model(Store(root), bundle.relative_to(root).as_posix())
    said = str(refused.value)
    assert said.startswith("found ")
    assert ", needed " in said
    assert said.isprintable()


@pytest.mark.fault("a stored network changed by one byte")
def test_a_network_that_is_not_what_its_manifest_says_is_refused_before_it_is_parsed(
    tmp_path, monkeypatch
):
    bundle, *_ = put_bundle(tmp_path)
    change_byte(bundle)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("a byte was parsed"))
    monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("it was parsed"))
    with pytest.raises(StoreError, match="missing or changed since it was written"):
        load_model(Store(tmp_path), bundle.relative_to(tmp_path).as_posix())


def plant_code(mark):
    """A network with a layer that makes a folder where it is built, called or loaded."""
    inputs = keras.Input((3,), name="past")
    # Keras stores the code of a lambda itself, of a named function only the name.
    run = eval(f"lambda x: (__import__('os').makedirs({str(mark)!r}, exist_ok=True), x)[1]")  # noqa: S307
    return keras.Model({"past": inputs}, keras.layers.Lambda(run)(inputs))


@pytest.mark.fault("code inside a stored network")
def test_code_inside_a_network_never_runs_though_its_checksum_is_right(tmp_path):
    mark, root = tmp_path / "executed", tmp_path / "root"
    bundle, *_ = put_bundle(root, model=plant_code(mark))
    assert mark.exists(), "the trap does not work, so nothing is proved"
    mark.rmdir()
    assert_refused(bundle, root, "not loadable")
    assert not mark.exists()
    keras.saving.load_model(bundle / MODEL, safe_mode=False)
    assert mark.exists(), "it would have run outside safe mode"


@pytest.mark.fault("code inside a stored network")
@pytest.mark.parametrize(
    "layer",
    [
        {"module": PLANTED, "class_name": "Layer", "config": {}, "registered_name": None},
        {"module": "os", "class_name": "makedirs", "config": {}, "registered_name": None},
        {"module": "builtins", "class_name": "function", "config": "makedirs"},
        {"class_name": "__lambda__", "config": {"value": ["gAAAAA==", None, None]}},
    ],
    ids=lambda layer: layer["class_name"],
)
def test_a_network_that_names_a_strangers_code_runs_none(layer, tmp_path, monkeypatch):
    mark = tmp_path / "executed"
    planted = types.ModuleType(PLANTED)

    class Layer:
        def __init__(self, **_):
            mark.mkdir()

        @classmethod
        def from_config(cls, config):
            return cls(**config)

    planted.Layer = Layer
    monkeypatch.setitem(sys.modules, PLANTED, planted)
    bundle, *_ = put_bundle(tmp_path / "root")

    def change(members):
        config = json.loads(members["config.json"])
        found = next(one for one in config["config"]["layers"] if one["class_name"] != "InputLayer")
        found.update({"build_config": None, **layer})
        members["config.json"] = json.dumps(config).encode()

    rewrite(bundle / MODEL, change)
    assert_refused(bundle, tmp_path / "root", "not loadable")
    assert not mark.exists()


@pytest.mark.fault("a path that climbs out")
@pytest.mark.parametrize("name", ["../x", "/x", "assets/../../x", "assets/x", "a\\..\\..\\x"])
def test_an_archive_whose_members_climb_is_refused_and_nothing_is_unpacked(name, tmp_path):
    root = tmp_path / "root"
    bundle, *_ = put_bundle(root)
    rewrite(bundle / MODEL, lambda members: members.update({name: b"x"}))
    before = sorted(tmp_path.rglob("*"))
    assert_refused(bundle, root, "needed the members")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.fault("a path that climbs out")
def test_an_archive_whose_member_is_a_link_is_refused(tmp_path):
    bundle, *_ = put_bundle(tmp_path)
    with zipfile.ZipFile(bundle / MODEL) as old:
        members = {name: old.read(name) for name in old.namelist()}
    link = zipfile.ZipInfo("metadata.json")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(bundle / MODEL, "w") as new:
        for name, data in members.items():
            new.writestr(link if name == link.filename else name, data)
    assert_refused(bundle, tmp_path, "needed the members")


@pytest.mark.fault("a path that climbs out")
def test_weights_that_point_to_another_file_are_not_read_from_there(tmp_path):
    root, secret = tmp_path / "root", tmp_path / "secret.h5"
    bundle, *_ = put_bundle(root)

    def change(members):
        data = io.BytesIO(members["model.weights.h5"])
        with h5py.File(data, "r+") as file:
            found = []
            file.visititems(lambda n, o: found.append(n) if isinstance(o, h5py.Dataset) else None)
            with h5py.File(secret, "w") as other:
                other["x"] = file[found[0]][()]
            del file[found[0]]
            file[found[0]] = h5py.ExternalLink(str(secret), "x")
        members["model.weights.h5"] = data.getvalue()

    rewrite(bundle / MODEL, change)
    assert_refused(bundle, root, "not loadable")

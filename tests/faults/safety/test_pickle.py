"""Nothing is ever unpickled: not a cached result, not a member of a bundle, not an array."""

from __future__ import annotations

import ast
import base64
import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from prefect import flow, task
from prefect.results import ResultRecord
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH

from seqmodel.errors import StoreError
from seqmodel.loading import load_model
from seqmodel.store.arrays import read_arrays
from seqmodel.store.bundles import MODEL
from seqmodel.store.checkpoints import checkpoint_key, read_checkpoint
from seqmodel.store.fingerprints import digest_file
from seqmodel.store.ref import Ref
from seqmodel.store.store import Store
from tasks.caching import cached
from tests.faults.safety.sources import TREES, calls
from tests.seqmodel.bundle import edit_manifest, put_bundle

BANNED = {"pickle", "cloudpickle", "joblib", "shelve", "marshal", "dill", "_pickle"}


class Trap:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def mark(tmp_path):
    return tmp_path / "executed"


def test_the_trap_works(mark):
    pickle.loads(pickle.dumps(Trap(mark)))  # noqa: S301 - that it is dangerous is the point
    assert mark.exists()


def test_no_module_imports_what_unpickles():
    nodes = [(name, node) for name, tree in TREES.items() for node in ast.walk(tree)]
    for name, node in nodes:
        found = []
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found = [node.module or "", *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # `importlib.import_module("pickle")`, `pd.read_pickle` by name, a serializer's name.
            found = [node.value] if node.value in BANNED else []
        roots = {part.split(".")[0] for part in found}
        wrong = roots & BANNED
        assert not wrong or name == "tasks/unpickled.py", f"{name}:{node.lineno} {wrong}"


def test_no_call_unpickles_or_runs_text():
    for where, called, node in calls():
        full = ast.unparse(node.func)
        options = {k.arg: ast.unparse(k.value) for k in node.keywords}
        assert "pickle" not in called, where
        assert full not in {"eval", "exec", "os.system", "yaml.load", "__import__"}, where
        assert options.get("shell", "False") == "False", where
        if full in {"np.load", "np.save"}:
            assert options.get("allow_pickle") == "False", where
        if called == "load_model" and "keras" in full:
            assert options.get("safe_mode") == "True", where


def plant(mark: Path, serializer: dict, key: str = "k") -> bytes:
    """A stored result whose header names a serializer that unpickles."""
    metadata = {"storage_key": key, "expiration": None, "serializer": serializer}
    metadata |= {"prefect_version": "3.8.8", "storage_block_id": None}
    body = base64.b64encode(pickle.dumps(Trap(mark))).decode()
    return json.dumps({"metadata": metadata, "result": body}).encode()


SERIALIZERS = [
    {"type": "pickle"},
    {"type": "pickle", "picklelib": "cloudpickle"},
    {"type": "pickle", "picklelib": "pickle"},
    {"type": "compressed/pickle"},
    {"type": "compressed", "serializer": {"type": "pickle"}, "compressionlib": "lzma"},
    {"type": "json", "jsonlib": "pickle"},
    {"type": "json", "jsonlib": "cloudpickle", "object_decoder": None},
]


@pytest.mark.fault("a pickle planted in the store")
@pytest.mark.parametrize("serializer", SERIALIZERS, ids=json.dumps)
def test_a_result_that_says_that_it_is_a_pickle_is_not_unpickled(serializer, mark):
    with pytest.raises(Exception):  # noqa: B017 - whatever; Prefect takes any for `not there`
        ResultRecord.deserialize(plant(mark, serializer))
    assert not mark.exists()


class One(Ref):
    """A result."""

    value: int


@pytest.mark.fault("a pickle planted in the store")
@pytest.mark.usefixtures("harness")
def test_a_pickle_planted_in_the_cache_is_not_executed_and_the_step_runs_again(
    mark, tmp_path, monkeypatch
):
    monkeypatch.setenv("SEQMODEL_DATA", str(tmp_path / "root"))
    ran = []

    @task(**cached())
    def step(number: int) -> One:
        ran.append(number)
        return One(value=number)

    @flow
    def night() -> One:
        return step(1)

    folder = Path(PREFECT_LOCAL_STORAGE_PATH.value())
    before = set(folder.glob("*")) if folder.is_dir() else set()
    assert night().value == 1
    assert night().value == 1
    assert ran == [1], "the cache does not work, so nothing is proved"
    stored = [p for p in set(folder.glob("*")) - before if b'"json"' in p.read_bytes()]
    assert len(stored) == 1
    stored[0].write_bytes(plant(mark, {"type": "pickle"}, stored[0].name))
    assert night().value == 1
    assert ran == [1, 1]
    assert not mark.exists()


@pytest.mark.fault("a pickle planted in the store")
def test_a_pickled_array_is_not_read(mark, tmp_path):
    np.save(tmp_path / "rows.npy", np.array([Trap(mark)], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="Python objects"):
        read_arrays(tmp_path)
    assert not mark.exists()


@pytest.mark.fault("a pickle planted in the store")
def test_a_pickled_checkpoint_counts_as_none(mark, tmp_path):
    store, key = Store(tmp_path), checkpoint_key("p", "v1")
    path = store.path(key)
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        np.savez(file, state=np.array([Trap(mark)], dtype=object))
    assert read_checkpoint(store, key) is None
    path.write_bytes(pickle.dumps(Trap(mark)))
    assert read_checkpoint(store, key) is None
    assert not mark.exists()


def _pickled_weights(mark: Path, path: Path) -> None:
    """A network whose weights are an .npz with a pickled object."""
    weights = io.BytesIO()
    np.savez(weights, __root__=np.array([Trap(mark)], dtype=object))
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist() if "weights" not in name}
    with zipfile.ZipFile(path, "w") as new:
        for name, data in members.items():
            new.writestr(name, data)
        new.writestr("model.weights.npz", weights.getvalue())


def _whole_pickle(mark: Path, path: Path) -> None:
    path.write_bytes(pickle.dumps(Trap(mark)))


@pytest.mark.fault("a pickle planted in the store")
@pytest.mark.parametrize(
    ("spoil", "says"), [(_pickled_weights, "needed the members"), (_whole_pickle, "not loadable")]
)
def test_a_pickle_in_a_bundle_with_the_right_checksum_is_not_executed(spoil, says, mark, tmp_path):
    bundle, *_ = put_bundle(tmp_path / "root")
    spoil(mark, bundle / MODEL)
    digest = digest_file(bundle / MODEL)
    edit_manifest(bundle, lambda manifest: manifest["files"].update({MODEL: digest}))
    store = Store(tmp_path / "root")
    with pytest.raises(StoreError, match=says):
        load_model(store, bundle.relative_to(store.root).as_posix())
    assert not mark.exists()

"""Nothing stored or received can run code, climb, leak a secret or be read before it is checked."""

from __future__ import annotations

import ast
import io
import json
import os
import pickle
import re
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from seqmodel.errors import StoreError
from seqmodel.loading import load_model
from seqmodel.specs import PipelineSpec
from seqmodel.store.bundles import MANIFEST, MODEL, read_manifest
from seqmodel.store.checkpoints import read_checkpoint
from seqmodel.store.fingerprints import digest_bytes
from seqmodel.store.store import Store
from tests.conftest import ROOT

SOURCES = sorted(p for top in ("flows", "tasks", "seqmodel") for p in (ROOT / top).rglob("*.py"))
#: What turns bytes into code.
LOADERS = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}


def list_imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (one.name.partition(".")[0] for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def list_calls(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}


@pytest.mark.fault("a pickle planted in the store")
def test_nothing_imports_what_turns_bytes_into_code():
    assert len(SOURCES) > 100
    for path in SOURCES:
        assert not LOADERS & set(list_imports(path)), path
        for name, options in list_calls(path):
            assert name not in {"eval", "exec", "os.system", "yaml.load"}, path
            if name.endswith(("np.load", "np.save")):
                assert options["allow_pickle"] == "False", path
            if name.endswith("load_model") and "keras" in name:
                assert options.get("safe_mode") == "True", path
            assert options.get("shell") != "True", path


class Bomb:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (os.mkdir, (str(self.mark),))


@pytest.mark.fault("a pickle planted in the store")
@pytest.mark.parametrize("how", ["bare", "inside an archive of arrays"])
def test_a_planted_object_in_a_checkpoint_never_runs(tmp_path, how):
    mark, store, found = tmp_path / "it-ran", Store(tmp_path / "root"), io.BytesIO()
    if how == "bare":
        found.write(pickle.dumps(Bomb(mark)))
    else:
        np.savez(found, state=np.array(Bomb(mark), dtype=object), allow_pickle=True)
    path = store.path("p/staging/training/v.npz")
    path.parent.mkdir(parents=True)
    path.write_bytes(found.getvalue())
    assert read_checkpoint(store, "p/staging/training/v.npz") is None
    assert not mark.exists()


def put_bundle(store, content, files=None):
    """A bundle whose manifest names exactly these bytes."""
    folder = store.path("p/models/v")
    folder.mkdir(parents=True)
    (folder / MODEL).write_bytes(content)
    spec = {"name": "p", "source": {"uri": "x"}}
    named = files or {MODEL: digest_bytes(content)}
    (folder / MANIFEST).write_text(json.dumps({"format": 2, "spec": spec, "files": named}))
    (folder / "preprocessor.json").write_text("{}")
    return folder


@pytest.mark.fault("a stored network changed by one byte")
def test_a_bundle_that_is_not_what_its_manifest_says_is_refused_before_it_is_parsed(
    tmp_path, monkeypatch
):
    store = Store(tmp_path)
    put_bundle(store, b"sound", {MODEL: digest_bytes(b"other")})
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("a byte was parsed"))
    with pytest.raises(StoreError, match="missing or changed since it was written"):
        load_model(store, "p/models/v")


@pytest.mark.fault("a path that climbs out")
@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "a/../../secret"])
def test_a_manifest_whose_names_climb_reads_nothing_outside(tmp_path, name):
    secret = tmp_path / "root" / "p" / "secret"
    store = Store(tmp_path / "root")
    put_bundle(store, b"x", {MODEL: digest_bytes(b"x"), name: digest_bytes(b"secret")})
    secret.write_bytes(b"secret")
    (tmp_path / "root" / "p" / "models" / "secret").write_bytes(b"secret")
    with pytest.raises(StoreError, match="missing or changed"):
        read_manifest(store, "p/models/v")


@pytest.mark.fault("a path that climbs out")
@pytest.mark.parametrize("key", ["../x", "/etc/passwd", "p/../../x", "", "p/models/../../../x"])
def test_a_key_that_climbs_is_refused(tmp_path, key):
    with pytest.raises(StoreError, match="needed a relative path below the data root"):
        Store(tmp_path).path(key)


@pytest.mark.fault("a path that climbs out")
@pytest.mark.parametrize(
    "name", ["../x", "a/b", "/x", "..", ".", "", "a\0b", "a\nb", "~", "-x", "A b"]
)
def test_a_pipeline_name_is_never_a_path(name):
    with pytest.raises(ValidationError):
        PipelineSpec.model_validate({"name": name, "source": {"uri": "x"}})


@pytest.mark.fault("SQL in names")
def test_no_sql_is_built_from_the_users_words():
    """Statements are literals; what is formatted into one is a name of our own, marked and said."""
    found = []
    for path in SOURCES:
        lines = path.read_text().splitlines()
        for node in ast.walk(ast.parse(path.read_text())):
            if not (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in {"execute", "sql", "text", "query"}
                and node.args
            ):
                continue
            built = isinstance(node.args[0], (ast.JoinedStr, ast.BinOp))
            if built and not any(
                "S608 -" in line for line in lines[node.lineno - 1 : node.end_lineno]
            ):
                found.append(f"{path}:{node.lineno}")
    assert not found


@pytest.mark.fault("files open to everybody")
def test_what_is_stored_is_writable_by_its_owner_alone(tmp_path):
    before = os.umask(0)
    try:
        store = Store(tmp_path / "root")
        store.write_json("p/champion.json", {})
        with store.workshop("p") as shop:
            (shop / "one").mkdir()
            (shop / "one" / "file").write_text("x")
            store.publish(shop / "one", "p/tables/one")
        with store.workshop("p") as shop:
            (shop / "draft").write_text("x")
            store.move_file(shop / "draft", "p/quarantine/one.parquet")
        with store.lock("p/.champion.lock"):
            pass
    finally:
        os.umask(before)
    for path in (tmp_path / "root").rglob("*"):
        if path.is_file():
            assert not path.stat().st_mode & stat.S_IWOTH, path


@pytest.mark.fault("a server open to the network")
def test_servers_are_bound_to_loopback():
    for path in [*SOURCES, ROOT / "Makefile", ROOT / "prefect.yaml", ROOT / "pyproject.toml"]:
        assert "0.0.0.0" not in path.read_text(), path  # noqa: S104 - what is looked for
    serve = (ROOT / "flows" / "serve.py").read_text()
    assert re.search(r"127\.0\.0\.1", serve)


@pytest.mark.fault("a security rule switched off")
def test_every_exception_from_a_security_rule_says_why():
    for path in SOURCES:
        for number, line in enumerate(Path(path).read_text().splitlines(), 1):
            if found := re.search(r"#\s*(noqa:[^-]*\bS\d{3}|nosec\b)(.*)", line):
                assert " - " in found.group(0), f"{path}:{number}"

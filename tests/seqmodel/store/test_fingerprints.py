"""Equal things have equal fingerprints, and a changed line of code another."""

import hashlib
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import seqmodel.store
from seqmodel.store import fingerprints
from seqmodel.store.fingerprints import digest_code, digest_file, digest_folder, digest_value

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@settings(deadline=None)
@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_order_of_keys_does_not_count(value):
    assert digest_value(value) == digest_value(dict(reversed(value.items())))


def test_digest_of_a_file_is_its_sha256_however_long(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprints, "CHUNK", 7)
    path = tmp_path / "x"
    path.write_bytes(bytes(range(100)))
    assert digest_file(path) == hashlib.sha256(bytes(range(100))).hexdigest()
    assert digest_folder(tmp_path) == {"x": digest_file(path)}


@pytest.fixture
def package(tmp_path, monkeypatch):
    source = Path(next(iter(seqmodel.store.__path__)))
    copy = tmp_path / "copied_store"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.syspath_prepend(tmp_path)
    yield copy
    sys.modules.pop("copied_store", None)


def digest():
    digest_code.cache_clear()
    return digest_code("copied_store")


def test_digest_of_code_changes_with_any_line_name_or_new_file(package):
    found = [digest()]
    assert digest() == found[0]
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "x.pyc").write_bytes(b"compiled")
    assert digest() == found[0]
    with (package / "runs.py").open("a") as file:
        file.write("# one more line\n")
    found.append(digest())
    (package / "runs.py").rename(package / "runnings.py")
    found.append(digest())
    (package / "page.html").write_text("<p>")
    found.append(digest())
    assert len(set(found)) == 4

"""Code compiled by an earlier child is found again, and never by another kind of machine."""

import os

import pytest

from seqmodel.store import compiled
from seqmodel.store.compiled import OLDEST, VARIABLE, prepare_compiled


@pytest.fixture
def parent(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


def test_the_folder_is_the_same_for_every_child_of_a_machine(parent):
    assert prepare_compiled() == prepare_compiled()
    assert prepare_compiled().parent == parent


def test_another_processor_or_release_gets_another_folder(parent, monkeypatch):
    here = prepare_compiled()
    monkeypatch.setattr(compiled, "_describe_machine", lambda: ["flags: avx9"])
    assert prepare_compiled() != here
    assert prepare_compiled().parent == parent


def test_what_nobody_used_for_a_month_is_removed(parent):
    folder = prepare_compiled()
    old, new = folder / "old.pb", folder / "new.pb"
    for path in (old, new):
        path.write_bytes(b"code")
    os.utime(old, (old.stat().st_atime - OLDEST - 1, old.stat().st_mtime))
    prepare_compiled()
    assert [path.name for path in folder.iterdir()] == ["new.pb"]
    assert parent in folder.parents


def test_an_empty_name_switches_it_off(monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    assert prepare_compiled() is None


def test_a_place_that_cannot_be_written_switches_it_off(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file"))
    assert prepare_compiled() is None


def test_without_the_variable_it_lies_in_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert prepare_compiled().parent == tmp_path / "seqmodel" / "compiled"

"""Whose folders below the data root are."""

import os
import stat

import pytest

from seqmodel.errors import StoreError
from seqmodel.store.folders import make_folder
from seqmodel.store.store import Store


@pytest.fixture
def open_to_all():
    """A run whose umask takes nothing away."""
    kept = os.umask(0)
    yield
    os.umask(kept)


def read_mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("open_to_all")
def test_no_folder_of_a_run_is_open_to_everybody(tmp_path):
    store = Store(tmp_path / "root")
    store.write_text("p/reports/run/ledger.json", "{}")
    with store.workshop("p"):
        pass
    made = [path for path in (tmp_path / "root").rglob("*") if path.is_dir()]
    assert {path.name for path in made} >= {"p", "reports", "run"}
    assert [path for path in made if read_mode(path) & 0o022] == []


@pytest.mark.usefixtures("open_to_all")
def test_a_folder_that_was_there_stays_as_its_owner_set_it(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o775)
    make_folder(shared / "a" / "b")
    assert read_mode(shared) == 0o775
    assert read_mode(shared / "a") == read_mode(shared / "a" / "b") == 0o755


def test_a_closed_umask_stays_closed(tmp_path):
    kept = os.umask(0o077)
    try:
        make_folder(tmp_path / "own")
    finally:
        os.umask(kept)
    assert read_mode(tmp_path / "own") == 0o700


def test_a_key_with_a_byte_of_zero_is_no_path(tmp_path):
    with pytest.raises(StoreError, match="needed a relative path"):
        Store(tmp_path).path("a\0b")

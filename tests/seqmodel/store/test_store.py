"""The data root: nothing outside it, nothing half-written in it."""

import errno
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seqmodel.errors import StoreError
from seqmodel.store.ref import Ref
from seqmodel.store.store import Store, replace_file


class Thing(Ref):
    key: str

    def needs(self):
        return (self.key,)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "data")


@pytest.mark.parametrize("key", ["/etc/passwd", "../x", "p/../../x", "", "."])
def test_key_outside_the_root_is_refused(store, key):
    with pytest.raises(StoreError, match="below the data root"):
        store.path(key)


def test_root_is_the_one_the_environment_names(monkeypatch, tmp_path):
    monkeypatch.setenv("SEQMODEL_DATA", str(tmp_path))
    assert Store.from_environment().root == tmp_path


def make_folder(shop, text="1"):
    (shop / "t").mkdir()
    (shop / "t" / "a").write_text(text)
    return shop / "t"


def test_staged_folder_is_found_until_and_after_it_is_published(store):
    with store.workshop("p") as shop:
        store.stage(make_folder(shop), "p/tables/x")
    assert store.find("p/tables/x") == store.staged_path("p/tables/x")
    assert store.holds(Thing(key="p/tables/x"))
    store.publish(store.find("p/tables/x"), "p/tables/x")
    assert store.find("p/tables/x") == store.path("p/tables/x")
    assert not store.staged_path("p/tables/x").exists()


def test_published_folder_is_never_overwritten(store):
    for text in "12":
        with store.workshop("p") as shop:
            store.publish(make_folder(shop, text), "p/tables/x")
    assert (store.path("p/tables/x") / "a").read_text() == "1"


def test_nothing_there_is_refused_and_not_held(store):
    assert not store.holds(Thing(key="p/tables/x"))
    with pytest.raises(StoreError, match="run again"):
        store.find("p/tables/x")
    with pytest.raises(StoreError, match="run again"):
        store.read_json("p/x.json")


def test_workshop_is_gone_even_after_an_error(store):
    with pytest.raises(ValueError, match="stop"), store.workshop("p") as shop:  # noqa: PT012
        make_folder(shop)
        raise ValueError("stop")
    assert list(store.path("p/staging").iterdir()) == []


def test_root_that_cannot_be_written_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file")
    for write in (
        lambda: store.write_json("p/x.json", 1),
        lambda: store.workshop("p").__enter__(),
        lambda: store.lock("p/.lock").__enter__(),
    ):
        with pytest.raises(StoreError, match=r"not writable.*--data-root"):
            write()


def test_json_comes_back_and_damage_is_refused(store):
    value = {"b": [1, None, "é"], "a": 0.1}
    path = store.write_json("p/x.json", value)
    assert store.read_json("p/x.json") == value
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(StoreError, match="damaged"):
        store.read_json("p/x.json")


def test_file_stays_as_it_was_when_its_replacement_fails(tmp_path, monkeypatch):
    path = tmp_path / "x"
    replace_file(path, b"old")

    def fail(_):
        raise OSError("disk full")

    monkeypatch.setattr("seqmodel.store.store.os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_lock_that_another_one_holds_is_refused_after_patience(store):
    with (
        store.lock("p/.lock"),
        pytest.raises(StoreError, match=r"\.lock held"),
        store.lock("p/.lock", patience=0.05),
    ):
        pass
    with store.lock("p/.lock", patience=0.05):
        pass


ROWS = np.zeros((1000, 100))
#: How the libraries below write; some of them lose the number of the error.
WRITERS = {
    "plain": lambda path: path.write_bytes(ROWS.tobytes()),
    "numpy": lambda path: np.save(path, ROWS),
    "arrow": lambda path: pq.write_table(pa.table({"x": range(100_000)}), path),
    "hdf5": lambda path: h5py.File(path, "a").create_dataset("x", data=ROWS),
}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
@pytest.mark.parametrize("how", WRITERS)
def test_a_full_disk_is_said_whichever_library_writes(store, how):
    def write_within():
        with store.workshop("p") as shop:
            (shop / "x.npy").symlink_to("/dev/full")
            WRITERS[how](shop / "x.npy")

    with pytest.raises(StoreError, match="full, needed room to write; free some"):
        write_within()
    assert list(store.path("p/staging").iterdir()) == []


def test_a_root_that_turns_read_only_is_said_and_a_closed_source_is_another_matter(store, tmp_path):
    with pytest.raises(StoreError, match="not writable"), store.workshop("p"):
        raise OSError(errno.EROFS, "Read-only file system")
    with pytest.raises(StoreError, match="not writable"), store.workshop("p") as shop:
        raise PermissionError(errno.EACCES, "Permission denied", str(shop / "x"))
    with pytest.raises(PermissionError), store.workshop("p"):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "source"))

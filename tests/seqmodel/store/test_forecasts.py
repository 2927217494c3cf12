"""A forecast is what its manifest names, and nothing else."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pa_dataset
import pytest

from seqmodel.errors import StoreError
from seqmodel.store import forecasts
from seqmodel.store.forecasts import (
    forecast_key,
    list_parts,
    publish_forecast,
    publish_parts,
    read_fence,
    read_forecast,
    stage_part,
)
from seqmodel.store.store import Store

CUTOFF = datetime(2024, 1, 1, tzinfo=UTC)
KEY = forecast_key("p", CUTOFF)
FIGURES = {"cutoff": CUTOFF.isoformat(), "model_version": "v1", "series": 2}


def rows(first=1.0):
    return pa.table({"series_id": ["001", "b"], "step": [1, 1], "q0.5": [first, 2.0]})


def files(store):
    return {p.name: p.read_bytes() for p in store.path(KEY).iterdir()}


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    publish_forecast(store, KEY, rows(), FIGURES)
    return store


def test_key_is_the_cutoff_in_utc():
    berlin = CUTOFF.astimezone(timezone(timedelta(hours=1)))
    assert KEY == forecast_key("p", berlin) == "p/forecasts/cutoff=20240101T000000Z"


def test_published_rows_come_back_without_a_column_from_the_folder(store):
    assert read_forecast(store.path(KEY)).equals(rows())


def test_manifest_says_cutoff_version_rows_series_and_files(store):
    manifest = json.loads(files(store)["_manifest.json"])
    assert set(manifest) == {"cutoff", "model_version", "rows", "series", "files"}
    assert manifest["rows"] == 2
    assert set(manifest["files"]) == set(files(store)) - {"_manifest.json"}


def test_publishing_twice_leaves_the_same_bytes(store):
    before = files(store)
    publish_forecast(store, KEY, rows(), FIGURES)
    assert files(store) == before


def test_new_rows_replace_the_old_and_strays_are_removed(store):
    (store.path(KEY) / "part-00000-dead.parquet").write_bytes(b"half")
    digest, manifest = publish_forecast(store, KEY, rows(9.0), FIGURES)
    assert read_forecast(store.path(KEY)).equals(rows(9.0))
    assert set(files(store)) == {"_manifest.json", *manifest["files"]}
    assert digest == forecasts.digest_file(store.path(KEY) / "_manifest.json")


def test_part_that_no_manifest_names_is_not_read(store):
    part = next(name for name in files(store) if name.startswith("part"))
    (store.path(KEY) / "part-00001-x.parquet").write_bytes(files(store)[part])
    assert read_forecast(store.path(KEY)).num_rows == 2


@pytest.mark.parametrize("damage", ["changed", "cut", "gone"])
def test_damaged_part_is_refused(store, damage):
    path = next(store.path(KEY).glob("part-*"))
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:] if damage == "changed" else data[:-1])
    with pytest.raises(StoreError, match="missing or changed"):
        read_forecast(store.path(KEY))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": '])
def test_damaged_manifest_is_refused(store, text):
    (store.path(KEY) / "_manifest.json").write_text(text)
    with pytest.raises(StoreError, match="damaged"):
        read_forecast(store.path(KEY))


def test_folder_without_a_manifest_is_no_forecast(store):
    (store.path(KEY) / "_manifest.json").unlink()
    with pytest.raises(StoreError, match="needed a published forecast"):
        read_forecast(store.path(KEY))


def test_crash_before_the_manifest_leaves_the_old_forecast(store, monkeypatch):
    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "write_text", crash)
    with pytest.raises(KeyboardInterrupt):
        publish_forecast(store, KEY, rows(9.0), FIGURES)
    assert read_forecast(store.path(KEY)).equals(rows())


def list_staged(store):
    return [p for p in store.path("p/staging").rglob("*") if p.is_file() or p.name[:4] == "tmp-"]


def fill_disk_at(patch, call):
    """Let the system refuse the given flush, counted from 0, for want of room."""
    flush, seen = os.fsync, []

    def refuse(handle):
        seen.append(handle)
        if len(seen) - 1 == call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(handle)

    patch.setattr(os, "fsync", refuse)
    return seen


def publish_two(store):
    """Two staged parts, published with the fence as a run of shards does."""
    fence = read_fence(store, KEY)
    parts = dict(stage_part(store, KEY, n, rows().schema, [rows(7.0 + n)]) for n in range(2))
    return publish_parts(store, KEY, parts, FIGURES, fence)


@pytest.mark.parametrize("call", range(7))
def test_a_full_disk_at_any_flush_leaves_one_whole_forecast_and_no_staging(store, call):
    old = files(store)
    with pytest.MonkeyPatch.context() as patch:
        fill_disk_at(patch, call)
        with pytest.raises(StoreError, match=r"^found the disk of the data root .* full, needed"):
            publish_two(store)
    if call < 6:
        assert files(store) == old
    else:  # the manifest is in place, only its folder was not flushed
        assert read_forecast(store.path(KEY)).num_rows == 4
    publish_two(store)
    assert read_forecast(store.path(KEY))["q0.5"].to_pylist() == [7.0, 2.0, 8.0, 2.0]
    assert len(files(store)) == 3
    assert not list_staged(store)


def test_publishing_two_parts_flushes_seven_times(store, monkeypatch):
    seen = fill_disk_at(monkeypatch, None)
    publish_two(store)
    assert len(seen) == 7


READERS = {
    "DuckDB": lambda paths: duckdb.read_parquet(paths).to_arrow_table(),
    "pandas": lambda paths: pa.Table.from_pandas(pd.read_parquet(paths, partitioning=None)),
    "pyarrow": lambda paths: pa_dataset.dataset(paths).to_table(),
}


@pytest.mark.parametrize("reader", READERS)
def test_other_readers_see_the_files_that_the_manifest_names_and_no_others(store, reader):
    publish_two(store)
    part = next(store.path(KEY).glob("part-*"))
    shutil.copy(part, part.with_name("part-00009-x.parquet"))
    paths = list_parts(store.path(KEY))
    told = READERS[reader](paths).select(rows().column_names)
    assert told.to_pylist() == read_forecast(store.path(KEY)).to_pylist()
    publish_forecast(store, KEY, rows(9.0), FIGURES)
    with pytest.raises((OSError, duckdb.IOException)):  # gone, not mixed with the new
        READERS[reader](paths)
    assert READERS[reader](list_parts(store.path(KEY))).num_rows == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
def test_a_full_disk_while_a_shard_is_written_is_said_and_leaves_nothing(store, monkeypatch):
    old, make = files(store), tempfile.mkdtemp

    def make_full(**where):
        folder = make(**where)
        (Path(folder) / "part.parquet").symlink_to("/dev/full")
        return folder

    monkeypatch.setattr(tempfile, "mkdtemp", make_full)
    with pytest.raises(StoreError, match="full, needed room to write; free some"):
        stage_part(store, KEY, 0, rows().schema, [rows(9.0)])
    assert files(store) == old
    assert not list_staged(store)


def test_reader_beside_concurrent_publishers_always_sees_one_whole_forecast(store):
    def publish(i):
        publish_forecast(store, KEY, rows(float(i % 3)), FIGURES)

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(publish, i) for i in range(12)]
        while not all(r.done() for r in running):
            assert read_forecast(store.path(KEY)).num_rows == 2
    assert [r.exception() for r in running] == [None] * 12
    assert len(files(store)) == 2


RIVAL = """
import sys, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
import pyarrow as pa
from seqmodel.errors import StoreError
from seqmodel.store.forecasts import forecast_key, publish_parts, read_fence, stage_part
from seqmodel.store.store import Store

root, me, other = Path(sys.argv[1]), *map(int, sys.argv[2:])
store, rows = Store(root), pa.table({"series_id": ["a"], "q0.5": [float(me)]})
for day in range(20):
    cutoff = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=day)
    key = forecast_key("p", cutoff)
    fence = read_fence(store, key)
    name, digest = stage_part(store, key, 0, rows.schema, [rows])
    (root / f"ready-{day}-{me}").touch()
    while not (root / f"ready-{day}-{other}").exists():
        pass
    try:
        publish_parts(store, key, {name: digest}, {"cutoff": cutoff.isoformat()}, fence)
        print(day, "won", flush=True)
    except StoreError as error:
        print(day, error, flush=True)
"""


def test_of_two_processes_that_publish_a_cutoff_at_once_one_wins_and_the_other_says_so(tmp_path):
    rivals = [
        subprocess.Popen(
            [sys.executable, "-c", RIVAL, str(tmp_path), str(me), str(1 - me)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for me in (0, 1)
    ]
    said = [rival.communicate(timeout=120)[0].splitlines() for rival in rivals]
    store, won = Store(tmp_path), [0, 0]
    for day, words in enumerate(zip(*said, strict=True)):
        (winner,) = (me for me in (0, 1) if words[me] == f"{day} won")
        won[winner] += 1
        assert re.search("published by another run meanwhile", words[1 - winner])
        folder = store.path(forecast_key("p", datetime(2025, 1, 1 + day, tzinfo=UTC)))
        assert read_forecast(folder)["q0.5"].to_pylist() == [float(winner)]
        assert len(list(folder.iterdir())) == 2
    assert sum(won) == 20
    assert not list_staged(store)

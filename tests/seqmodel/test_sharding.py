"""Shards: every series in one of them, whole, and together what the table is."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from seqmodel.sharding import MOST, RowGroup, plan_shards
from seqmodel.store.newest import list_groups, read_newest, read_series
from tests.seqmodel.small import make_table

COLUMNS = ["series_id", "timestamp", "target"]


def make_groups(*ids, rows=100):
    """Row groups given as first and last id, two letters each."""
    return [RowGroup("part-00000.parquet", i, rows, g[0], g[1], 1, 0) for i, g in enumerate(ids)]


def plan(groups, count):
    return [(shard.start, shard.end) for shard in plan_shards(groups, count)]


@pytest.fixture(scope="module")
def table():
    return make_table(series=9, steps=60)


@pytest.fixture(scope="module")
def folder(table, tmp_path_factory):
    """Two files of small row groups; series cross both kinds of border."""
    folder = tmp_path_factory.mktemp("table")
    half = table.num_rows // 2 + 7
    pq.write_table(table.slice(0, half), folder / "part-00000.parquet", row_group_size=37)
    pq.write_table(table.slice(half), folder / "part-00001.parquet", row_group_size=101)
    return folder


def test_a_plan_cuts_where_a_row_group_begins():
    assert plan(make_groups("ab", "cd", "ef", "gh"), 2) == [(None, "e"), ("e", None)]


def test_a_series_across_row_groups_is_in_one_shard_only():
    shards = plan_shards(make_groups("ac", "cc", "ce"), 3)
    assert [(s.start, s.end) for s in shards] == [(None, "c"), ("c", None)]
    # The second begins in the first's row group.
    assert [(p.first, p.last) for s in shards for p in s.pieces] == [(0, 0), (0, 2)]


def test_a_small_table_is_one_shard():
    assert plan(make_groups("ab", "cd"), None) == [(None, None)]


def test_a_large_table_is_cut_by_default_into_at_most_as_many_as_a_run_can_show():
    ids = [f"{i:05d}" for i in range(4000)]
    groups = [RowGroup("p", i, 1 << 20, s, s, 1, 0) for i, s in enumerate(ids)]
    assert len(plan_shards(groups[:40])) == 20
    assert len(plan_shards(groups)) == MOST


def test_a_table_whose_files_say_nothing_of_their_ids_is_one_shard():
    groups = [RowGroup("p", i, 1 << 24, None, None, None, None) for i in range(4)]
    assert plan(groups, 4) == [(None, None)]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 20])
def test_shards_have_about_equally_many_rows_and_together_all_of_them(folder, table, count):
    shards = plan_shards(list_groups(folder), count)
    assert 1 <= len(shards) <= count
    parts = [pa.concat_tables(read_newest(folder, s, COLUMNS, None)) for s in shards]
    whole = pa.concat_tables(
        [p.set_column(0, "series_id", p["series_id"].cast(pa.string())) for p in parts]
    )
    assert whole.equals(table.select(COLUMNS))
    if count <= 3:
        sizes = [p.num_rows for p in parts]
        assert max(sizes) - min(sizes) <= 2 * 101


@pytest.mark.parametrize("chunk", [1, 50, 200, 10_000])
@pytest.mark.parametrize("hours", [1, 20, 500])
def test_chunks_hold_whole_series_and_the_newest_rows_alone(folder, table, chunk, hours):
    moments = table["timestamp"].cast(pa.int64()).to_numpy()
    first = int(moments.max()) - (hours - 1) * 3_600_000_000
    (shard,) = plan_shards(list_groups(folder), 1)
    chunks = list(read_newest(folder, shard, COLUMNS, first, chunk))
    ids = [set(c["series_id"].to_pylist()) for c in chunks]
    assert sum(map(len, ids)) == len(set().union(*ids)), "no series is in two chunks"
    assert (len(chunks) > 1) == (sum(c.num_rows for c in chunks) > chunk)
    whole = pa.concat_tables(chunks)
    wanted = table.filter(pa.array(moments >= first)).select(COLUMNS)
    assert whole.set_column(0, "series_id", whole["series_id"].cast(pa.string())).equals(wanted)


def test_row_groups_that_are_too_old_are_not_read(folder, table, monkeypatch):
    read, seen = pq.ParquetFile.read_row_group, []
    monkeypatch.setattr(
        pq.ParquetFile, "read_row_group", lambda f, i, **k: seen.append(i) or read(f, i, **k)
    )
    (shard,) = plan_shards(list_groups(folder), 1)
    newest = int(table["timestamp"].cast(pa.int64()).to_numpy().max())
    list(read_newest(folder, shard, COLUMNS, newest))
    assert 0 < len(seen) < len(list_groups(folder))


def test_few_series_are_read_whole(folder, table):
    rows = read_series(folder, COLUMNS, ["004", "001", "nobody"])
    wanted = table.filter(pc.is_in(table["series_id"], pa.array(["001", "004"])))
    assert rows.equals(wanted.select(COLUMNS))
    assert read_series(folder, COLUMNS, ["x"]).num_rows == 0
    assert np.array_equal(rows.schema.names, COLUMNS)

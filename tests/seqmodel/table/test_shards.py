"""The profile of a table, measured shard by shard: it is that of the table in one go."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seqmodel.errors import StoreError
from seqmodel.planning import plan_profile
from seqmodel.store import tables
from seqmodel.store.refs import RunRef
from seqmodel.store.staged import drop_staged
from seqmodel.store.store import Store
from seqmodel.table import spread
from seqmodel.table.profile import measure_table
from seqmodel.table.shards import join_profiles, measure_shard
from seqmodel.table.spread import Sampler
from tests.seqmodel.small import SOURCE, make_spec, make_table, put_table

RUN = RunRef(pipeline="small", run="night", as_of=datetime(2024, 3, 1, tzinfo=UTC))
SPEC = make_spec(quality={"shards": 3})


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def put(store, monkeypatch, rows, row_group=130):
    monkeypatch.setattr(tables, "ROW_GROUP", row_group)
    return put_table(store, rows, SPEC).table


def measure(store, table):
    shards = plan_profile(store, table, SPEC)
    assert len(shards) == 3
    return tuple(measure_shard(store, RUN, table, one, SOURCE) for one in shards)


@pytest.mark.parametrize("row_group", [37, 130, 235])
def test_shards_together_have_the_figures_of_the_table(store, monkeypatch, row_group):
    rows = make_table(series=5)
    holes = np.arange(rows.num_rows) % 11 == 0
    place = rows.schema.get_field_index("wind")
    rows = rows.set_column(place, "wind", pa.array(rows["wind"].to_numpy(), mask=holes))
    table = put(store, monkeypatch, rows, row_group)
    found = join_profiles(store, measure(store, table), SOURCE)
    whole = measure_table(store.find(table.key), SOURCE)
    pd.testing.assert_frame_equal(found.series, whole.series, rtol=1e-12)
    assert sorted(found.sample) == sorted(whole.sample)


def test_the_sample_of_many_shards_is_an_even_share_of_all(monkeypatch):
    monkeypatch.setattr(spread, "SAMPLE", 1000)
    samplers = []
    for part in range(4):
        one = Sampler()
        with np.errstate(over="ignore"):
            keys = np.arange(5000 * (part + 1), dtype=np.uint64) * spread.GOLDEN
        one.add(np.full(len(keys), float(part)), keys)
        samplers.append(Sampler.from_arrays(one.arrays()))
    found = Sampler.join(samplers)
    kept = found.arrays()["values"]
    assert 500 <= len(kept) <= 1000
    shares = np.bincount(kept.astype(int)) / len(kept)
    assert shares == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.01)


def test_a_shard_measured_again_leaves_the_same_bytes(store, monkeypatch):
    table = put(store, monkeypatch, make_table(series=5))
    assert measure(store, table) == measure(store, table)


def test_rows_out_of_order_are_left_to_a_look_at_the_whole(store, monkeypatch):
    rows = make_table(series=5)
    order = np.arange(rows.num_rows)
    order[[20, 21]] = order[[21, 20]]
    parts = measure(store, put(store, monkeypatch, rows.take(pa.array(order))))
    assert [bool(part.key) for part in parts] == [False, True, True]
    assert join_profiles(store, parts, SOURCE) is None
    drop_staged(store, parts)


def test_rows_of_a_wrong_type_are_left_to_a_look_at_the_whole(store, monkeypatch):
    rows = make_table(series=5)
    table = put(store, monkeypatch, rows)
    words = rows.set_column(2, "target", pa.array(["many"] * rows.num_rows))
    pq.write_table(words, store.find(table.key) / "part-00000.parquet", row_group_size=130)
    assert join_profiles(store, measure(store, table), SOURCE) is None


def test_figures_that_were_changed_are_refused_and_those_joined_leave_nothing(store, monkeypatch):
    table = put(store, monkeypatch, make_table(series=5))
    parts = measure(store, table)
    place = store.staged_path(parts[1].key)
    before = place.read_bytes()
    place.write_bytes(before[:-1])
    with pytest.raises(StoreError, match="missing or changed since its shard was done"):
        join_profiles(store, parts, SOURCE)
    place.write_bytes(before)
    assert join_profiles(store, parts, SOURCE) is not None
    drop_staged(store, parts)
    assert not list(store.staged_path("small/profiles").rglob("*.npz"))
    assert all(store.holds(part) for part in parts)  # the published table stands for them

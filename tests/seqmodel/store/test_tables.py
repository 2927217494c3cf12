"""Tables on disk depend on their rows alone."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seqmodel.errors import StoreError
from seqmodel.store import tables
from seqmodel.store.ledgers import Ledger
from seqmodel.store.refs import TableRef
from seqmodel.store.store import Store

SCHEMA = pa.schema(
    [
        ("series_id", pa.string()),
        ("timestamp", pa.timestamp("us", tz="UTC")),
        ("target", pa.float64()),
    ]
)


def make(rows):
    n = range(rows)
    columns = [[f"{i // 50:03d}" for i in n], [i % 50 for i in n], [float(i) for i in n]]
    return pa.table(columns, schema=SCHEMA)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(tables, "ROW_GROUP", 10)
    monkeypatch.setattr(tables, "PART", 40)


@pytest.mark.parametrize("rows", [0, 1, 10, 40, 95])
@pytest.mark.usefixtures("small")
def test_bytes_do_not_depend_on_the_cut_into_batches(tmp_path, rows):
    table, prints = make(rows), set()
    for size in (1, 7, 10, 1000):
        folder = tmp_path / str(size)
        assert tables.write_parts(folder, SCHEMA, table.to_batches(max_chunksize=size)) == rows
        prints.add(tables.fingerprint_table(folder))
        assert tables.read_rows(folder, SCHEMA.names).equals(table)
    assert len(prints) == 1


@pytest.mark.usefixtures("small")
def test_parts_and_row_groups_are_full_but_for_the_last(tmp_path):
    tables.write_parts(tmp_path, SCHEMA, make(95).to_batches(max_chunksize=3))
    files = [pq.ParquetFile(part).metadata for part in tables.list_parts(tmp_path)]
    assert [f.num_rows for f in files] == [40, 40, 15]
    assert [f.num_row_groups for f in files] == [4, 4, 2]


def test_rows_from_a_moment_on_are_read(tmp_path):
    tables.write_parts(tmp_path, SCHEMA, make(100).to_batches())
    first = pa.scalar(48, SCHEMA.field("timestamp").type)
    found = tables.read_rows(tmp_path, ["series_id", "target"], first=first)
    assert found["target"].to_pylist() == [48.0, 49.0, 98.0, 99.0]
    assert found["series_id"].to_pylist() == ["000", "000", "001", "001"]


def test_root_that_looks_like_a_partition_adds_no_column(tmp_path):
    folder = tmp_path / "target=5"
    tables.write_parts(folder, SCHEMA, make(2).to_batches())
    tables.write_future(folder, make(1))
    assert tables.read_rows(folder, ["target"])["target"].to_pylist() == [0.0, 1.0]
    assert tables.read_future(folder).column_names == SCHEMA.names


def test_folder_without_parts_is_refused_and_without_future_is_none(tmp_path):
    assert tables.read_future(tmp_path) is None
    with pytest.raises(StoreError, match="no part"):
        tables.read_rows(tmp_path, ["target"])


def stage(store):
    with store.workshop("p") as shop:
        tables.write_parts(shop / "t", SCHEMA, make(3).to_batches())
        fingerprint = tables.fingerprint_table(shop / "t")
        key = tables.table_key("p", fingerprint)
        store.stage(shop / "t", key)
    ledger = Ledger(read=3, kept=3, quarantined=0, duplicates=0, after_as_of=0)
    moments = {"first": "1970-01-01T00:00Z", "cutoff": "1970-01-01T00:00Z"}
    figures = {"key": key, "fingerprint": fingerprint, "series": 1, "future": 0, **moments}
    return TableRef.model_validate({**figures, "ledger": ledger, "files": ()})


def test_publishing_twice_is_publishing_once(tmp_path):
    store = Store(tmp_path)
    ref = stage(store)
    tables.publish_table(store, ref)
    tables.publish_table(store, stage(store))
    assert tables.fingerprint_table(store.path(ref.key)) == ref.fingerprint


def test_table_changed_between_judgement_and_publication_is_refused(tmp_path):
    store = Store(tmp_path)
    ref = stage(store)
    (part,) = tables.list_parts(store.find(ref.key))
    part.write_bytes(part.read_bytes() + b"x")
    with pytest.raises(StoreError, match="changed since it was cleaned"):
        tables.publish_table(store, ref)
    assert not store.path(ref.key).exists()


def test_quarantine_bears_the_name_of_its_table(tmp_path):
    store = Store(tmp_path)
    assert tables.publish_quarantine(store, "p", "f" * 64, None) is None
    key = tables.publish_quarantine(store, "p", "f" * 64, make(2))
    assert key == f"p/quarantine/{'f' * 16}.parquet"
    assert pq.read_table(store.path(key)).num_rows == 2

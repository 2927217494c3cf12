"""A published forecast in a Delta Lake table: a cutoff is replaced whole, by one commit."""

from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from seqmodel.errors import StoreError
from seqmodel.specs import ForecastSpec
from seqmodel.store import delta
from seqmodel.store.delta import find_lake
from seqmodel.store.forecasts import forecast_key, publish_forecast, publish_parts, stage_part
from seqmodel.store.sinks import deliver_forecast
from seqmodel.store.store import Store
from tests.seqmodel.store.test_forecasts import CUTOFF, FIGURES, KEY
from tests.seqmodel.store.test_sinks import rows

deltalake = pytest.importorskip("deltalake", reason="found no deltalake, needed the extra [delta]")
LATER = CUTOFF.replace(day=2)


class Lake:
    """A store with forecasts, and a Delta Lake table."""

    def __init__(self, root):
        self.store, self.root = Store(root / "root"), root / "lake"

    def send(self, told, key=KEY):
        publish_forecast(self.store, key, told, FIGURES)
        return deliver_forecast(self.store.path(key), f"delta:///{self.root}", "forecasts")

    @property
    def table(self):
        return deltalake.DeltaTable(self.root / "forecasts")

    def read(self):
        found = self.table.to_pyarrow_table().select(rows().column_names)
        return found.sort_by([("cutoff", "ascending"), ("series_id", "ascending")])


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path)


def test_rows_arrive_as_they_were_published(lake):
    assert lake.send(rows()) == 2
    assert lake.read().to_pylist() == rows().to_pylist()
    assert lake.table.metadata().partition_columns == ["cutoff"]


def test_the_same_again_leaves_the_same_rows(lake):
    lake.send(rows())
    before = lake.read()
    lake.send(rows())
    assert lake.read().equals(before)


def test_a_cutoff_is_replaced_whole_by_one_commit_and_others_stay(lake):
    lake.send(rows())
    lake.send(rows(5.0, LATER), forecast_key("p", LATER))
    version = lake.table.version()
    lake.send(rows(9.0, ids=("001", "c")))
    found = lake.read()
    assert found["series_id"].to_pylist() == ["001", "c", "001", "b"]
    assert found["q0.5"].to_pylist() == [9.0, 2.0, 5.0, 2.0]
    assert lake.table.version() == version + 1
    before = deltalake.DeltaTable(lake.root / "forecasts", version=version).to_pyarrow_table()
    assert sorted(before["q0.5"].to_pylist()) == [1.0, 2.0, 2.0, 5.0]


def test_all_parts_of_a_forecast_are_one_commit(lake):
    parts = dict(
        stage_part(lake.store, KEY, n, rows().schema, [rows(float(n), ids=(f"{n}", f"{n}b"))])
        for n in range(3)
    )
    publish_parts(lake.store, KEY, parts, FIGURES)
    folder = lake.store.path(KEY)
    assert deliver_forecast(folder, f"delta:///{lake.root}", "forecasts") == 6
    assert lake.table.version() == 0
    assert lake.read()["series_id"].to_pylist() == ["0", "0b", "1", "1b", "2", "2b"]


def test_two_cutoffs_at_once_both_arrive(lake):
    lake.send(rows(3.0, CUTOFF.replace(day=3)), forecast_key("p", CUTOFF.replace(day=3)))
    told = {KEY: rows(), forecast_key("p", LATER): rows(5.0, LATER)}
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda key: lake.send(told[key], key), told)) == [2, 2]
    assert lake.read()["q0.5"].to_pylist() == [1.0, 2.0, 5.0, 2.0, 3.0, 2.0]


def test_a_delivery_that_breaks_in_the_middle_leaves_the_table_as_it_was(lake, monkeypatch):
    lake.send(rows())
    before, version = lake.read(), lake.table.version()

    def break_off(_parts):
        yield rows().to_batches()[0]
        raise OSError("the line was cut")

    monkeypatch.setattr(delta, "_read_batches", break_off)
    with pytest.raises(StoreError, match=r"published but not in table .*the line was cut"):
        lake.send(rows(9.0))
    assert (lake.table.version(), lake.read()) == (version, before)


def test_a_table_of_other_columns_is_refused_in_one_sentence(lake):
    lake.send(rows())
    with pytest.raises(StoreError, match=r"published but not in table .*run again"):
        lake.send(rows().append_column("q0.9", pa.array([3.0, 4.0])))
    assert lake.read().num_rows == 2


def test_a_url_says_where_the_lake_is():
    assert find_lake("delta:///out", "t") == "out/t"
    assert find_lake("delta:////srv/out/", "t") == "/srv/out/t"
    assert find_lake("delta+s3://bucket/out", "t") == "s3://bucket/out/t"
    assert ForecastSpec(sink="delta:////srv/out").sink == "delta:////srv/out"

"""A published forecast in a database: whole, once, or not at all."""

import sqlite3

import pyarrow as pa
import pytest
from pydantic import ValidationError

from seqmodel.errors import StoreError
from seqmodel.specs import ForecastSpec
from seqmodel.store import sinks
from seqmodel.store.forecasts import forecast_key, publish_forecast
from seqmodel.store.sinks import deliver_forecast
from seqmodel.store.store import Store
from tests.seqmodel.store.test_forecasts import CUTOFF, FIGURES, KEY


def rows(first=1.0, cutoff=CUTOFF, ids=("001", "b")):
    moments = pa.array([cutoff] * len(ids), pa.timestamp("us", tz="UTC"))
    return pa.table(
        {
            "series_id": list(ids),
            "cutoff": moments,
            "timestamp": moments,
            "step": pa.array([1] * len(ids), pa.int32()),
            "q0.5": [first, *[2.0] * (len(ids) - 1)],
            "model_version": ["v1"] * len(ids),
        }
    )


class Base:
    """A store with a forecast, and a SQLite file."""

    def __init__(self, root):
        self.store, self.path = Store(root), root / "out.db"

    def send(self, told, key=KEY):
        publish_forecast(self.store, key, told, FIGURES)
        return deliver_forecast(self.store.path(key), f"sqlite:///{self.path}", "forecasts")

    def read(self):
        with sqlite3.connect(self.path) as connection:
            return connection.execute(
                'select series_id, cutoff, step, "q0.5", model_version from forecasts order by 2, 1'
            ).fetchall()


@pytest.fixture
def base(tmp_path):
    return Base(tmp_path)


def test_rows_arrive_with_their_ids_as_text_and_moments_in_utc(base):
    assert base.send(rows()) == 2
    moment = "2024-01-01 00:00:00.000000"
    assert base.read() == [("001", moment, 1, 1.0, "v1"), ("b", moment, 1, 2.0, "v1")]


def test_the_same_cutoff_again_replaces_rows_and_others_stay(base):
    later = CUTOFF.replace(day=2)
    base.send(rows())
    base.send(rows(5.0, later), forecast_key("p", later))
    base.send(rows(9.0, ids=("001", "c")))
    assert [(row[0], row[1][8:10], row[3]) for row in base.read()] == [
        ("001", "01", 9.0),
        ("b", "01", 2.0),
        ("c", "01", 2.0),
        ("001", "02", 5.0),
        ("b", "02", 2.0),
    ]


def test_a_delivery_that_breaks_in_the_middle_leaves_the_table_as_it_was(base, monkeypatch):
    base.send(rows())
    before, make = base.read(), sinks._make_plain
    monkeypatch.setattr(sinks, "ROWS", 1)

    def break_at_b(row):
        if row["series_id"] == "b":
            raise OSError("the line was cut")
        return make(row)

    monkeypatch.setattr(sinks, "_make_plain", break_at_b)
    with pytest.raises(StoreError, match=r"published but not in table .*the line was cut"):
        base.send(rows(9.0))
    assert base.read() == before


def test_a_table_of_other_columns_is_refused_in_one_sentence(base):
    base.send(rows())
    with pytest.raises(StoreError, match=r"no column named q0.9.*run again"):
        base.send(rows().append_column("q0.9", pa.array([3.0, 4.0])))
    assert len(base.read()) == 2


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://host/db", "found a URL of 'mysql'"),
        ("out.db", "found a URL of 'out.db'"),
        ("postgresql+psycopg://me:secret@host/db", "found a password in the URL"),
        ("postgresql://host/db?user=me&password=secret", "found a password in the URL"),
    ],
)
def test_a_sink_is_a_url_without_a_password(url, said):
    with pytest.raises(ValidationError, match=said):
        ForecastSpec(sink=url)


def test_urls_of_both_databases_are_taken():
    for url in ("sqlite:///out.db", "postgresql+psycopg://me@host:5432/db"):
        assert ForecastSpec(sink=url).sink == url

"""A published forecast in a database: whole, once, or not at all."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pyarrow as pa
import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from seqmodel.errors import StoreError
from seqmodel.specs import ForecastSpec
from seqmodel.store import sinks
from seqmodel.store.forecasts import forecast_key, publish_forecast
from seqmodel.store.sinks import deliver_forecast
from seqmodel.store.store import Store
from tests.postgres import needs_postgres, postgres_cluster
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
    """A store with a forecast, and a database."""

    def __init__(self, root, url):
        self.store, self.url = Store(root), url
        self.engine = sa.create_engine(url, poolclass=sa.NullPool)

    def send(self, told, key=KEY):
        publish_forecast(self.store, key, told, FIGURES)
        return deliver_forecast(self.store.path(key), self.url, "forecasts")

    def read(self):
        query = 'select series_id, cutoff, step, "q0.5", model_version from forecasts order by 2, 1'
        with self.engine.connect() as connection:
            rows = connection.execute(sa.text(query)).fetchall()
        return [(name, _in_utc(cutoff), *rest) for name, cutoff, *rest in rows]


def _in_utc(moment):
    if isinstance(moment, datetime):
        return moment.astimezone(UTC)
    return datetime.fromisoformat(moment).replace(tzinfo=UTC)  # SQLite keeps text


@pytest.fixture(scope="module")
def cluster():
    with postgres_cluster() as url:
        yield url.replace("postgresql", "postgresql+psycopg", 1)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=needs_postgres)])
def base(tmp_path, request):
    if request.param == "sqlite":
        return Base(tmp_path, f"sqlite:///{tmp_path / 'out.db'}")
    base = Base(tmp_path, request.getfixturevalue("cluster"))
    with base.engine.begin() as connection:
        connection.execute(sa.text("drop table if exists forecasts"))
    return base


def test_rows_arrive_with_their_ids_as_text_and_moments_in_utc(base):
    assert base.send(rows()) == 2
    assert base.read() == [("001", CUTOFF, 1, 1.0, "v1"), ("b", CUTOFF, 1, 2.0, "v1")]


def test_the_same_cutoff_again_replaces_rows_and_others_stay(base):
    later = CUTOFF.replace(day=2)
    base.send(rows())
    base.send(rows(5.0, later), forecast_key("p", later))
    base.send(rows(9.0, ids=("001", "c")))
    assert [(row[0], row[1].day, row[3]) for row in base.read()] == [
        ("001", 1, 9.0),
        ("b", 1, 2.0),
        ("c", 1, 2.0),
        ("001", 2, 5.0),
        ("b", 2, 2.0),
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


def test_two_cutoffs_delivered_at_once_into_a_table_that_is_not_there_both_arrive(base):
    later = CUTOFF.replace(day=2)
    told = {KEY: rows(), forecast_key("p", later): rows(5.0, later)}
    with ThreadPoolExecutor(2) as pool:
        counts = list(pool.map(lambda key: base.send(told[key], key), told))
    assert counts == [2, 2]
    assert [row[1].day for row in base.read()] == [1, 1, 2, 2]


def test_a_table_of_other_columns_is_refused_in_one_sentence(base):
    base.send(rows())
    with pytest.raises(StoreError, match=r"column .*q0.9.*run again"):
        base.send(rows().append_column("q0.9", pa.array([3.0, 4.0])))
    assert len(base.read()) == 2


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://host/db", "found a URL of 'mysql'"),
        ("out.db", "found a URL of 'out.db'"),
        ("postgresql+psycopg://me:secret@host/db", "found a password, key or signature"),
        (
            "postgresql://host/db?user=me&password=secret",
            "found a password, key or signature",
        ),
    ],
)
def test_a_sink_is_a_url_without_a_password(url, said):
    with pytest.raises(ValidationError, match=said):
        ForecastSpec(sink=url)


def test_urls_of_both_databases_are_taken():
    for url in ("sqlite:///out.db", "postgresql+psycopg://me@host:5432/db"):
        assert ForecastSpec(sink=url).sink == url

"""The sink through a flow: after the publication, and never instead of it."""

import json
import sqlite3

import pytest

from flows import stages
from flows.refresh import refresh
from seqmodel.errors import StoreError
from seqmodel.store.forecasts import read_forecast
from tests.flows.test_nightly import AS_OF, make_spec

pytestmark = pytest.mark.usefixtures("harness")
KEY = "meters/forecasts/cutoff=20240207T230000Z"


def test_a_forecast_is_delivered_after_it_is_published(meters_file, data_root, tmp_path):
    base = tmp_path / "out.db"
    sink = {"sink": f"sqlite:///{base}", "sink_table": "loads"}
    for _ in range(2):  # the second forecast comes from the cache, and is delivered again
        ref = refresh(spec=make_spec(meters_file, forecast=sink), as_of=AS_OF)
    with sqlite3.connect(base) as connection:
        told = connection.execute('select series_id, step, "q0.5" from loads').fetchall()
    rows = read_forecast(data_root / KEY).select(["series_id", "step", "q0.5"]).to_pylist()
    assert sorted(told) == sorted(tuple(row.values()) for row in rows)
    night = json.loads((data_root / ref.night).read_text())
    assert night["verdict"].endswith("; 18 rows delivered to table loads.")


def test_a_sink_that_refuses_leaves_the_forecast_published_and_the_run_failed(
    meters_file, data_root, tmp_path, monkeypatch
):
    monkeypatch.setattr(stages, "deliver", stages.deliver.with_options(retries=0))
    spec = make_spec(meters_file, forecast={"sink": f"sqlite:///{tmp_path}/none/out.db"})
    with pytest.raises(StoreError, match=r"published but not in table .*unable to open"):
        refresh(spec=spec, as_of=AS_OF)
    assert read_forecast(data_root / KEY).num_rows == 18

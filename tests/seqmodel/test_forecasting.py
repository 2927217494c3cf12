"""What is published, and that serving says what the backtest said."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from seqmodel import jobs
from seqmodel.errors import StoreError
from seqmodel.forecasting import forecast_table, limit_forecast, load_model, predict_quantiles
from seqmodel.specs import ForecastSpec
from seqmodel.store.forecasts import read_forecast
from seqmodel.store.refs import ForecastRef
from seqmodel.store.store import Store
from seqmodel.training import train_model
from seqmodel.windowing import load_panel, make_windows
from tests.seqmodel.small import ignore_progress, make_spec, make_table, put_table

AS_OF = datetime(2024, 3, 1, tzinfo=UTC)
SPEC = make_spec(features={"lags": [24]})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("root"))
    judged = put_table(store, make_table(), SPEC)
    windows = make_windows(store, judged, SPEC)
    model = train_model(store, windows, SPEC, AS_OF, {}, ignore_progress)
    return store, judged.table, model


def read(store, ref):
    return read_forecast(store.path(ref.key))


def test_a_forecast_has_a_row_for_each_series_and_step(trained):
    store, table, model = trained
    ref = forecast_table(store, table, model, SPEC)
    rows = read(store, ref)
    assert rows.column_names == [
        "series_id", "cutoff", "timestamp", "step", "q0.1", "q0.5", "q0.9", "model_version",
    ]  # fmt: skip
    assert rows["series_id"].to_pylist() == [s for s in ("000", "001", "002") for _ in range(6)]
    assert rows["step"].to_pylist() == [1, 2, 3, 4, 5, 6] * 3
    assert set(rows["cutoff"].to_pylist()) == {table.cutoff}
    assert rows["timestamp"].to_pylist()[:6] == [
        table.cutoff + timedelta(hours=h) for h in range(1, 7)
    ]
    assert set(rows["model_version"].to_pylist()) == {model.version}
    quantiles = np.stack([rows[f"q{q}"].to_numpy() for q in (0.1, 0.5, 0.9)])
    assert (np.diff(quantiles, axis=0) >= 0).all()
    assert np.isfinite(quantiles).all()
    assert (ref.rows, ref.series, ref.model_version) == (18, 3, model.version)
    json.dumps(ref.model_dump(mode="json"))


def test_without_a_model_the_baseline_forecasts_and_says_so(trained):
    store, table, _ = trained
    job = jobs.ForecastJob(root=str(store.root), spec=SPEC, table=table, model=None)
    answer = jobs.forecast(json.loads(job.model_dump_json()), ignore_progress)
    ref = ForecastRef.model_validate(answer)
    rows = read(store, ref)
    assert ref.model_version == "baseline"
    assert set(rows["model_version"].to_pylist()) == {"baseline"}
    history = make_table()
    last = history.filter(pc.equal(history["series_id"], "000"))
    wanted = rows["timestamp"][0].as_py() - timedelta(hours=24)
    at = last.filter(pc.equal(last["timestamp"], pa.scalar(wanted, last["timestamp"].type)))
    assert rows["q0.5"][0].as_py() == at["target"][0].as_py()


def test_serving_says_what_the_backtest_said_at_the_same_cutoff(trained):
    """No skew: the table cut off at an old moment, and the whole table looked at from there."""
    store, table, model = trained
    panel = load_panel(store, table, SPEC, least=24)
    cutoff = panel.cutoff - 12
    _, backtest = predict_quantiles(store, model.key, panel, np.array([cutoff]))
    rows = make_table()
    moment = pa.scalar(int(panel.grid.moment(np.array([cutoff]))[0]), pa.int64())
    late = pc.greater(rows["timestamp"].cast(pa.int64()), moment)
    old = rows.filter(pc.invert(late))
    # The panel ends at the newest row: every series has one there.
    future = rows.filter(late).select(["series_id", "timestamp", "plan"])
    judged = put_table(store, old, SPEC, future)
    assert judged.table.cutoff == panel_moment(panel, cutoff)
    served = read(store, forecast_table(store, judged.table, model, SPEC))
    for q, level in enumerate((0.1, 0.5, 0.9)):
        np.testing.assert_array_equal(served[f"q{level}"].to_numpy(), backtest[:, :, q].ravel())


def panel_moment(panel, number):
    micro = int(panel.grid.moment(np.array([number]))[0])
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micro)


def test_a_model_reads_its_own_lags_whatever_the_spec_says_today(trained):
    store, table, model = trained
    before = read(store, forecast_table(store, table, model, SPEC))
    today = make_spec(features={"lags": []})
    after = read(store, forecast_table(store, table, model, today))
    assert after.equals(before)


def test_limits_are_kept(trained):
    store, table, model = trained
    spec = make_spec(forecast={"minimum": 11, "maximum": 12})
    rows = read(store, forecast_table(store, table, model, spec))
    for level in (0.1, 0.5, 0.9):
        values = rows[f"q{level}"].to_numpy()
        assert values.min() >= 11
        assert values.max() <= 12


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, [-1.4, 0.4, 2.6]),
        ({"minimum": 0}, [0, 0.4, 2.6]),
        ({"maximum": 0}, [-1.4, 0, 0]),
        ({"minimum": 0, "maximum": 1}, [0, 0.4, 1]),
        ({"whole": True}, [-1, 0, 3]),
        ({"minimum": 0.5, "maximum": 2.5, "whole": True}, [1, 1, 2]),
    ],
)
def test_a_limit(limits, expected):
    quantiles = np.array([[[-1.4, 0.4, 2.6]]])
    np.testing.assert_allclose(limit_forecast(quantiles, ForecastSpec(**limits))[0, 0], expected)


def test_a_damaged_model_is_refused(trained):
    store, _, model = trained
    path = store.path(model.key) / "model.keras"
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:-1] + b"x")
        with pytest.raises(StoreError, match="roll back"):
            load_model(store, model.key)
    finally:
        path.write_bytes(whole)


def test_forecasting_twice_writes_the_same_bytes(trained):
    store, table, model = trained
    first = forecast_table(store, table, model, SPEC)
    assert forecast_table(store, table, model, SPEC).fingerprint == first.fingerprint

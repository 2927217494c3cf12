"""What is published, and that serving says what the backtest said."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from seqmodel import forecasting, jobs
from seqmodel.errors import DataError, QualityError, StoreError
from seqmodel.forecasting import (
    BASELINE,
    forecast_table,
    load_model,
    predict_quantiles,
)
from seqmodel.grid import to_datetime
from seqmodel.limiting import limit_forecast
from seqmodel.specs import ForecastSpec
from seqmodel.store import tables
from seqmodel.store.forecasts import forecast_key, read_forecast
from seqmodel.store.refs import ForecastRef
from seqmodel.store.store import Store
from seqmodel.telling import arrange_rows
from seqmodel.training import train_model
from seqmodel.windowing import load_panel, make_windows
from seqmodel.windows import index_cutoffs
from tests.seqmodel.rich import (
    FEATURES,
    HORIZON,
    LOOKBACK,
    SOURCE,
    make_rich_spec,
    make_rich_table,
    read_hours,
    replace,
)
from tests.seqmodel.small import count_steps, ignore_progress, make_panel, put_table

AS_OF = datetime(2024, 3, 1, tzinfo=UTC)
LEVELS = (0.1, 0.5, 0.9)
#: New to a model that was trained without them: long, and with less than a lookback.
NEW, YOUNG = "001", "003"
ONCE = {"epochs": 1, "batch_size": 32, "windows_per_epoch": 64}


def make_known_spec(**sections):
    """A pipeline that takes the mean of known covariates that were not delivered."""
    features = {**FEATURES, "missing_known": "mean", **sections.pop("features", {})}
    model = {"units": 4, "dropout": 0.0, "embedding": 2}
    return make_rich_spec(**{"features": features, "model": model, "train": ONCE, **sections})


SPEC = make_known_spec(grid={"fill": "interpolate"}, scaling={"window": "last"})


def make_all():
    """Four series, the last of which has just begun."""
    table = make_rich_table(series=4)
    hours, young = read_hours(table), pc.equal(table["series_id"], YOUNG).to_numpy()
    return table.filter(pa.array(~young | (hours > hours.max() - 20)))


def drop(table, *ids):
    return table.filter(pc.invert(pc.is_in(table["series_id"], pa.array(ids))))


ALL = make_all()
END = count_steps(ALL)
END_AT = pc.max(ALL["timestamp"]).as_py()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model that has never seen two of the series."""
    store = Store(tmp_path_factory.mktemp("root"))
    windows = make_windows(store, put_table(store, drop(ALL, NEW, YOUNG), SPEC), SPEC)
    model = train_model(store, windows, SPEC, AS_OF, {}, ignore_progress)
    return store, put_table(store, ALL, SPEC).table, model


@pytest.fixture(scope="module")
def loaded():
    return cache(load_model)


@pytest.fixture(autouse=True)
def load_once(monkeypatch, loaded):
    """Every load compiles anew, which takes longer than all else here together."""
    monkeypatch.setattr(forecasting, "load_model", loaded)


@pytest.fixture
def without_xla(monkeypatch):
    import keras

    compile_model = keras.Model.compile
    monkeypatch.setattr(
        keras.Model, "compile", lambda *a, **k: compile_model(*a, **{**k, "jit_compile": False})
    )


def read(store, ref):
    return read_forecast(store.path(ref.key))


def stack(rows):
    """Quantiles of published rows, N x H x Q."""
    found = np.stack([rows[f"q{level}"].to_numpy() for level in LEVELS], axis=-1)
    return found.reshape(-1, HORIZON, len(LEVELS))


def test_a_forecast_has_a_row_for_each_series_and_step(trained):
    store, table, model = trained
    ref = forecast_table(store, table, model, SPEC)
    rows = read(store, ref)
    assert rows.column_names == [
        "series_id", "cutoff", "timestamp", "step", "q0.1", "q0.5", "q0.9", "model_version",
    ]  # fmt: skip
    ids = ("000", "001", "002", "003")
    assert rows["series_id"].to_pylist() == [s for s in ids for _ in range(HORIZON)]
    assert rows["step"].to_pylist() == [1, 2, 3, 4, 5, 6] * 4
    assert set(rows["cutoff"].to_pylist()) == {table.cutoff}
    assert (rows["timestamp"].cast(pa.int64()).to_numpy() // 3_600_000_000).tolist() == [
        *range(END + 1, END + 7)
    ] * 4
    assert set(rows["model_version"].to_pylist()) == {model.version}
    quantiles = stack(rows)
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    assert np.isfinite(quantiles).all()
    assert (ref.rows, ref.series, ref.model_version) == (24, 4, model.version)
    json.dumps(ref.model_dump(mode="json"))


def test_without_a_model_the_baseline_forecasts_and_says_so(trained):
    store, table, _ = trained
    job = jobs.ForecastJob(root=str(store.root), spec=SPEC, table=table, model=None)
    answer = jobs.forecast(json.loads(job.model_dump_json()), ignore_progress)
    ref = ForecastRef.model_validate(answer)
    rows = read(store, ref)
    assert ref.model_version == BASELINE == "baseline"
    assert set(rows["model_version"].to_pylist()) == {"baseline"}
    mine = pc.and_(pc.equal(ALL["series_id"], "002"), pa.array(np.isfinite(ALL["target"])))
    past = dict(zip(read_hours(ALL.filter(mine)), ALL.filter(mine)["target"], strict=True))
    season = SOURCE.season
    for step in range(HORIZON):
        ago = [past[h] for b in range(1, 5) if (h := END + 1 + step - b * season) in past]
        assert rows["q0.5"][2 * HORIZON + step] == ago[0]


def test_serving_says_what_the_backtest_said_at_the_same_cutoff(trained):
    """No skew: the table cut off at an old moment, and the whole table looked at from there.

    For series that the model knows, for one it does not, and for one that has just begun; one has
    moved to another site meanwhile, as far as the older cutoffs know it still is where it was.
    """
    store, _, model = trained
    hours = read_hours(ALL)
    moved = pc.equal(ALL["series_id"], "000").to_numpy() & (hours > END - 14)
    rows = replace(ALL, "site", pc.if_else(pa.array(moved), ALL["site"][-1], ALL["site"]))
    table = put_table(store, rows, SPEC).table
    panel = load_panel(store, table, SPEC)
    cutoffs = END - np.array([18, 15, 12])
    windows, backtest = predict_quantiles(store, model.key, panel, cutoffs)
    at = np.repeat(cutoffs, 4)
    assert windows.series.tolist() == [0, 1, 2, 3] * 3
    for cutoff in cutoffs:
        old = rows.filter(pa.array(hours <= cutoff))
        future = rows.filter(pa.array(hours > cutoff)).select(
            ["series_id", "timestamp", "plan", "shift"]
        )
        judged = put_table(store, old, SPEC, future)
        assert judged.table.cutoff == to_datetime(int(cutoff) * 3_600_000_000)
        served = read(store, forecast_table(store, judged.table, model, SPEC))
        np.testing.assert_array_equal(stack(served), backtest[at == cutoff])


@pytest.mark.parametrize("series_id", ["000", NEW, YOUNG])
def test_a_series_is_forecast_the_same_alone_and_among_others(trained, series_id):
    store, table, model = trained
    panel = load_panel(store, table, SPEC)
    place = panel.ids.index(series_id)
    cutoffs = END - np.array([18, 15, 12])
    windows, among = predict_quantiles(store, model.key, panel, cutoffs)
    alone = panel.take(np.array([place]))
    _, several = predict_quantiles(store, model.key, alone, cutoffs)
    np.testing.assert_allclose(several, among[windows.series == place], rtol=1e-6)
    for i, cutoff in enumerate(cutoffs):
        _, one = predict_quantiles(store, model.key, alone, np.array([cutoff]))
        np.testing.assert_allclose(one[0], several[i], rtol=1e-6)


def test_a_new_series_follows_its_own_level(trained):
    store, _, model = trained
    target = ALL["target"].to_numpy()
    new = pc.equal(ALL["series_id"], NEW).to_numpy()
    lifted = replace(ALL, "target", np.where(new, target * 2.0**20, target))
    a, b = (
        predict_quantiles(store, model.key, make_panel(t, SOURCE), np.array([END]))[1]
        for t in (ALL, lifted)
    )
    np.testing.assert_allclose(b[1], a[1] * 2.0**20, rtol=1e-5)
    np.testing.assert_array_equal(b[[0, 2, 3]], a[[0, 2, 3]])


def test_a_model_reads_its_own_features_whatever_the_spec_says_today(trained):
    store, table, model = trained
    before = read(store, forecast_table(store, table, model, SPEC))
    today = make_known_spec(features={"lags": [], "rolling": [], "age": False})
    assert read(store, forecast_table(store, table, model, today)).equals(before)


def test_a_known_covariate_that_was_not_delivered_is_refused_by_policy(trained):
    store, table, model = trained
    strict = make_rich_spec(model={"units": 4})
    with pytest.raises(DataError, match=r"'plan' at 24 steps of 4 series \(the first '000' at"):
        forecast_table(store, table, model, strict)
    # The baseline reads none.
    assert forecast_table(store, table, None, strict).series == 4


def test_without_padding_short_series_are_left_out(trained):
    store, table, model = trained
    window = {"lookback": LOOKBACK, "horizon": HORIZON, "short": "drop"}
    dropping = make_known_spec(window=window)
    for one in (model, None):
        rows = read(store, forecast_table(store, table, one, dropping))
        assert set(rows["series_id"].to_pylist()) == {"000", "001", "002"}


HEADS = {
    "point": ({"kind": "point", "loss": "huber"}, {}),
    "gaussian": ({"kind": "gaussian"}, {"window": "standard", "transform": "asinh"}),
    "student_t": ({"kind": "student_t"}, {"window": "last"}),
    "negative_binomial": ({"kind": "negative_binomial"}, {"series": "mean_abs"}),
}


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.usefixtures("without_xla")
def test_a_head_is_trained_stored_and_forecast_in_the_targets_unit(tmp_path, kind):
    output, scaling = HEADS[kind]
    store = Store(tmp_path)
    train = {**ONCE, "windows_per_epoch": 256, "learning_rate": 0.01}
    model = {"kind": "rnn", "units": 8, "dropout": 0.0}
    spec = make_known_spec(output=output, scaling=scaling, train=train, model=model)
    target = ALL["target"].to_numpy()
    counts = replace(ALL, "target", np.maximum(np.rint(target), 0) * 3)
    judged = put_table(store, counts, spec)
    ref = train_model(store, make_windows(store, judged, spec), spec, AS_OF, {}, ignore_progress)
    rows = read(store, forecast_table(store, judged.table, ref, spec))
    names = [name for name in rows.column_names if name.startswith("q")]
    assert names == [f"q{level:g}" for level in spec.output.levels]
    found = np.stack([rows[name].to_numpy() for name in names], axis=-1)
    assert np.isfinite(found).all()
    assert (np.diff(found, axis=-1) >= 0).all()
    median = rows["q0.5"].to_numpy().reshape(4, HORIZON).mean(axis=1)
    # Each series by its own level: 30, 60, 90, 120 and some.
    np.testing.assert_allclose(median, [30, 60, 90, 120], rtol=0.5)
    if kind == "negative_binomial":
        assert (found == np.rint(found)).all()
        assert found.min() >= 0


def test_rows_are_laid_out_series_by_series():
    panel = make_panel(ALL, SOURCE)
    windows = index_cutoffs(panel.first, panel.offsets, LOOKBACK, np.array([END]))
    quantiles = np.arange(4 * HORIZON * 3, dtype=float).reshape(4, HORIZON, 3)
    rows = arrange_rows(panel, windows, quantiles, LEVELS, "v")
    np.testing.assert_array_equal(stack(rows), quantiles)
    assert rows["series_id"].to_pylist()[HORIZON] == "001"


def test_limits_are_kept(trained):
    store, table, model = trained
    spec = make_known_spec(forecast={"minimum": 11, "maximum": 12})
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
    np.testing.assert_allclose(
        limit_forecast(quantiles, ForecastSpec(**limits), LEVELS)[0, 0], expected
    )


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


@pytest.fixture
def cut(trained, monkeypatch):
    """The same table in row groups so small that it can be cut into shards."""
    monkeypatch.setattr(tables, "ROW_GROUP", 40)
    store, _, model = trained
    return store, put_table(store, ALL, SPEC).table, model


def with_forecast(**knobs):
    return make_known_spec(grid=SPEC.grid, scaling=SPEC.scaling, forecast=knobs)


@pytest.mark.parametrize("serves", ["a network", "the baseline"])
def test_shards_together_say_what_the_table_says_in_one_go(trained, cut, serves):
    store, table, model = cut if serves == "a network" else (*cut[:2], None)
    whole = read(store, forecast_table(store, trained[1], model, SPEC))
    spec = with_forecast(shards=3)
    assert len(forecasting.plan_forecast(store, table, spec)) == 3
    ref = forecast_table(store, table, model, spec)
    rows = read(store, ref)
    names = [n for n in rows.column_names if not n.startswith("q")]
    assert rows.select(names).equals(whole.select(names))
    np.testing.assert_allclose(stack(rows), stack(whole), rtol=1e-6)
    manifest = json.loads((store.path(ref.key) / "_manifest.json").read_text())
    assert [name[:10] for name in manifest["files"]] == ["part-00000", "part-00001", "part-00002"]
    assert (manifest["rows"], manifest["series"]) == (4 * HORIZON, 4)


def test_a_shard_made_again_alone_gives_the_same_bytes(cut):
    store, table, model = cut
    spec = with_forecast(shards=3)
    shards = forecasting.plan_forecast(store, table, spec)
    teller = forecasting.load_teller(store, table, model, spec)
    parts = [forecasting.forecast_shard(store, table, teller, s, spec) for s in shards]
    for shard in reversed(shards):
        fresh = forecasting.load_teller(store, table, model, spec)
        again = forecasting.forecast_shard(store, table, fresh, shard, spec)
        assert again == parts[shard.number]


@pytest.fixture
def blind(monkeypatch):
    """A network that says nothing of one series."""
    predict = forecasting.Network.predict

    def lose(network, panel, cutoffs, least):
        windows, quantiles = predict(network, panel, cutoffs, least)
        quantiles[[panel.ids[s] == "002" for s in windows.series], 2] = np.nan
        return windows, quantiles

    monkeypatch.setattr(forecasting.Network, "predict", lose)


@pytest.mark.usefixtures("blind")
@pytest.mark.parametrize("sanity", ["warning", "info"])
def test_a_series_without_a_sane_forecast_has_the_baselines_and_says_so(cut, sanity):
    store, table, model = cut
    spec = with_forecast(shards=2, max_failed=0.25, sanity=sanity)
    ref = forecast_table(store, table, model, spec)
    rows, base = read(store, ref), read(store, forecast_table(store, table, None, spec))
    failed = pc.equal(rows["series_id"], "002")
    assert rows.filter(failed).equals(base.filter(failed))
    assert set(rows.filter(pc.invert(failed))["model_version"].to_pylist()) == {model.version}
    assert ref.counts.failed == {"not finite": 1}
    assert ref.counts.failed_ids == ("002",)


@pytest.mark.usefixtures("blind")
@pytest.mark.parametrize("knobs", [{"max_failed": 0.2}, {"sanity": "critical"}])
def test_too_many_of_them_refuse_the_run_and_leave_what_is_published(cut, knobs):
    store, table, model = cut
    before = forecast_table(store, table, None, SPEC)
    with pytest.raises(QualityError, match=r"1 of 4 series .*1 not finite; such as '002'"):
        forecast_table(store, table, model, with_forecast(**knobs))
    assert read(store, before)["model_version"].to_pylist()[0] == BASELINE


@pytest.fixture
def unplanned(cut):
    """A table in shards whose last series has no plan for the horizon."""
    store, _, model = cut
    moments = [END_AT + timedelta(hours=n + 1) for n in range(HORIZON)] * 3
    plans = {"plan": [1.0] * len(moments), "shift": ["day"] * len(moments)}
    ids = np.repeat(sorted({*ALL["series_id"].to_pylist()} - {YOUNG}), HORIZON)
    ahead = pa.table(
        {"series_id": ids, "timestamp": pa.array(moments, ALL["timestamp"].type), **plans}
    )
    return store, put_table(store, ALL, SPEC, ahead).table, model


def test_a_shard_without_its_known_covariates_refuses_the_run_and_leaves_what_is_published(
    unplanned,
):
    store, table, model = unplanned
    before = forecast_table(store, table, None, SPEC)
    staged = set(store.path(f"{SPEC.name}/staging").rglob("part-*"))
    strict = make_rich_spec(model={"units": 4}, forecast={"shards": 3})
    with pytest.raises(
        DataError, match=rf"'plan' at {HORIZON} steps of 1 .*the first '{YOUNG}' at"
    ):
        forecast_table(store, table, model, strict)
    assert set(read(store, before)["model_version"].to_pylist()) == {BASELINE}
    assert set(store.path(f"{SPEC.name}/staging").rglob("part-*")) == staged


def test_by_policy_a_shard_without_its_known_covariates_has_their_mean(unplanned):
    store, table, model = unplanned
    whole = read(store, forecast_table(store, table, model, SPEC))
    assert whole.num_rows == 4 * HORIZON
    rows = read(store, forecast_table(store, table, model, with_forecast(shards=3)))
    np.testing.assert_allclose(stack(rows), stack(whole), rtol=1e-6)


def test_series_that_ended_are_skipped_and_counted(trained):
    store, _, model = trained
    hours, ids = read_hours(ALL), ALL["series_id"]
    gone = pc.equal(ids, "001").to_numpy() & (hours > END - 100)
    late = pc.equal(ids, "002").to_numpy() & (hours > END - 5)
    table = put_table(store, ALL.filter(pa.array(~gone & ~late)), SPEC).table
    ref = forecast_table(store, table, model, SPEC)
    assert (ref.series, ref.counts.stale) == (3, 1)
    assert "001" not in read(store, ref)["series_id"].to_pylist()
    ref = forecast_table(store, table, model, with_forecast(stale=4))
    assert (ref.series, ref.counts.stale) == (2, 2)
    assert forecast_table(store, table, model, with_forecast(stale=12)).counts.stale == 1
    manifest = json.loads((store.path(ref.key) / "_manifest.json").read_text())
    assert (manifest["stale"], manifest["short"], manifest["fallen_back"]) == (1, 0, {})


def test_series_with_too_little_history_are_counted(trained):
    store, table, model = trained
    window = {"lookback": LOOKBACK, "horizon": HORIZON, "short": "drop"}
    ref = forecast_table(store, table, model, make_known_spec(window=window))
    assert (ref.series, ref.counts.short, ref.counts.stale) == (3, 1, 0)


def test_a_cutoff_published_by_another_run_meanwhile_is_left_to_it(cut, monkeypatch):
    store, table, model = cut
    staging = store.path(f"{SPEC.name}/staging")
    before = set(staging.rglob("part-*"))
    stage = forecasting.stage_part

    def publish_first(*args):
        monkeypatch.setattr(forecasting, "stage_part", stage)
        forecast_table(store, table, None, SPEC)
        return stage(*args)

    monkeypatch.setattr(forecasting, "stage_part", publish_first)
    with pytest.raises(StoreError, match="published by another run meanwhile"):
        forecast_table(store, table, model, with_forecast(shards=2))
    key = forecast_key(SPEC.name, table.cutoff)
    assert set(read_forecast(store.path(key))["model_version"].to_pylist()) == {BASELINE}
    assert set(staging.rglob("part-*")) <= before


def test_adaptive_levels_of_shards_are_those_of_the_whole_table(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROW_GROUP", 40)
    store = Store(tmp_path)
    backtest = {"cutoffs": 2, "step": 6}
    output = {"calibration": "adaptive", "adapt_cutoffs": 3, "adapt_rate": 0.5}
    model = {"kind": "rnn", "units": 4, "dropout": 0.0}
    spec = make_known_spec(output=output, model=model, backtest=backtest)
    judged = put_table(store, ALL, spec)
    windows = make_windows(store, judged, spec)
    ref = train_model(store, windows, spec, AS_OF, {}, ignore_progress, table=judged.table)
    whole = read(store, forecast_table(store, judged.table, ref, spec))
    assert forecasting.load_predictor(store, ref.key).learns
    spec = spec.model_copy(update={"forecast": ForecastSpec(shards=3)})
    rows = read(store, forecast_table(store, judged.table, ref, spec))
    np.testing.assert_allclose(stack(rows), stack(whole), rtol=1e-6)
    alone = forecasting.load_predictor(store, ref.key)
    panel = load_panel(store, judged.table, spec)
    _, direct = alone.predict(panel, np.array([panel.cutoff]), 1)
    np.testing.assert_allclose(stack(whole), direct, rtol=1e-6)

"""From a stored table to scores: train, backtest, forecast, as the nightly run does."""

import json
import re
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seqmodel import backtesting, jobs
from seqmodel.backtesting import backtest_models
from seqmodel.errors import DataError
from seqmodel.metrics import METRICS
from seqmodel.scoring.real import take_actuals
from seqmodel.store.refs import BacktestRef, ModelRef, RunRef
from seqmodel.store.store import Store
from seqmodel.windowing import load_panel, make_windows
from seqmodel.windows import index_cutoffs
from tests.seqmodel.small import ignore_progress, make_spec, make_table, put_table

RUN = RunRef(pipeline="small", run="night", as_of=datetime(2024, 3, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("root"))
    backtest = {"cutoffs": 3, "step": 6, "reference": "plan", "groups": ["site"]}
    spec = make_spec(features={"lags": [24]}, backtest=backtest)
    judged = put_table(store, make_table(), spec)
    windows = make_windows(store, judged, spec)
    job = jobs.TrainJob(
        root=str(store.root), spec=spec, as_of=RUN.as_of, windows=windows, lineage={"table": "t"}
    )
    answer = jobs.train(json.loads(job.model_dump_json()), ignore_progress)
    return store, spec, judged, ModelRef.model_validate(answer)


@pytest.fixture(scope="module")
def scored(trained):
    store, spec, judged, model = trained
    job = jobs.BacktestJob(
        root=str(store.root),
        spec=spec,
        run=RUN,
        table=judged.table,
        models={"challenger": model, "champion": model},
    )
    answer = jobs.backtest(json.loads(job.model_dump_json()), ignore_progress)
    ref = BacktestRef.model_validate(answer)
    return ref, store.read_json(ref.key)


def test_the_manifest_says_how_the_model_came_about(trained):
    store, spec, _, model = trained
    manifest = store.read_json(f"{model.key}/manifest.json")
    assert {"spec", "seed", "versions", "windows", "table", "files", "code"} <= set(manifest)
    assert manifest["spec"]["window"]["lookback"] == model.lookback == spec.window.lookback
    assert model.version.startswith("20240301T000000Z-")


def test_every_candidate_has_every_score(scored):
    ref, _ = scored
    assert set(ref.scores) == {
        "challenger", "champion", "baseline", "naive", "drift", "reference",
    }  # fmt: skip
    for row in ref.scores.values():
        assert set(row) == set(METRICS)


def test_the_same_model_scores_the_same(scored):
    assert scored[0].scores["challenger"] == scored[0].scores["champion"]


def test_the_file_has_what_the_report_reads(scored):
    ref, written = scored
    assert {
        "table", "cutoffs", "windows", "season_length", "versions", "scores", "by_step",
        "by_cutoff", "by_series", "fans", "timeline",
    } <= set(written)  # fmt: skip
    assert written["windows"] == ref.windows == 9
    assert written["scores"] == ref.scores
    for name in ("challenger", "baseline"):
        assert len(written["by_step"][name]) == 6
        assert list(written["by_cutoff"][name]) == written["cutoffs"]
        assert list(written["by_series"][name]) == ["000", "001", "002"]
    assert [fan["label"] for fan in written["fans"]] == ["best", "median", "worst"]
    for fan in written["fans"]:
        assert len(fan["history"]) == len(fan["history_at"])
        assert len(fan["forecast_at"]) == len(fan["actual"]) == len(fan["quantiles"]["0.5"]) == 6
        assert fan["history_at"][-1] == written["cutoffs"][-1]


def test_every_metric_is_written_by_series_by_step_and_by_cutoff(scored, trained):
    ref, written = scored
    store = trained[0]
    rows = pq.read_table(store.path(f"{RUN.key}/scores.parquet")).to_pandas()
    assert set(METRICS) <= set(rows.columns)
    for name in ("challenger", "baseline", "reference"):
        mine = rows[rows.candidate == name].set_index(["by", "key"])
        assert list(mine.loc["series"].index) == ["000", "001", "002"]
        assert list(mine.loc["step"].index) == [str(step) for step in range(1, 7)]
        assert list(mine.loc["cutoff"].index) == written["cutoffs"]
        for metric in METRICS:
            whole = mine.loc[("all", ""), metric]
            assert whole == pytest.approx(ref.scores[name][metric], rel=1e-12)
        assert mine.loc["series"].mase.to_dict() == pytest.approx(written["by_series"][name])
        assert mine.loc["cutoff"].mase.to_dict() == pytest.approx(written["by_cutoff"][name])
        assert mine.loc["step"].mae.tolist() == pytest.approx(written["by_step"][name])
    base = rows[rows.candidate == "baseline"]
    assert (base.skill == 0).all()
    skill = 1 - ref.scores["challenger"]["mase"] / ref.scores["baseline"]["mase"]
    assert rows[(rows.candidate == "challenger") & (rows.by == "all")].skill.item() == (
        pytest.approx(skill)
    )


def test_the_reference_is_scored_as_a_forecast_of_its_own(scored, trained):
    store, spec, judged, _ = trained
    panel = load_panel(store, judged.table, spec)
    cutoffs = np.array([panel.cutoff - 18, panel.cutoff - 12, panel.cutoff - 6])
    index = index_cutoffs(panel.first, panel.offsets, 24, cutoffs)
    rows = index.starts[:, None] + 24 + np.arange(6)
    error = np.abs(panel.values["plan"][rows] - take_actuals(panel, index, spec))
    assert scored[0].scores["reference"]["mae"] == pytest.approx(np.nanmean(error))


def test_the_scores_of_groups_are_means_over_their_series(scored):
    written = scored[1]
    by_group, by_series = written["by_group"]["site"], written["by_series"]
    for name in ("challenger", "baseline", "reference"):
        assert set(by_group[name]) == {"east", "west"}
        assert by_group[name]["east"] == pytest.approx(by_series[name]["001"])


def test_coverage_and_width_of_each_interval_are_written_step_by_step(scored):
    (one,) = scored[1]["intervals"]["challenger"]
    assert one["nominal"] == pytest.approx(0.8)
    assert len(one["coverage_by_step"]) == len(one["width_by_step"]) == 6
    assert one["coverage"] == pytest.approx(scored[0].scores["challenger"]["coverage"])


def test_the_timeline_shows_the_parts_and_where_each_begins(scored, trained):
    bar, marks, *legend = scored[1]["timeline"].splitlines()
    assert re.fullmatch(r"\|t+h+b+\|", bar)
    assert marks.count("^") == len(scored[1]["cutoffs"]) == 3
    assert [line.split(":")[0] for line in legend] == ["t training", "h holdout", "b backtest"]
    assert legend[0].endswith("2024-01-01 00:00 to " + legend[0][-16:])
    newest = trained[2].table.cutoff
    assert legend[-1].endswith(f"{newest:%Y-%m-%d %H:%M}")
    assert "18 steps" in legend[-1]


def test_without_padding_the_models_and_the_baseline_are_scored_on_the_same_windows(
    trained, monkeypatch
):
    store, spec, judged, model = trained
    asked = []

    def ask(_store, _key, panel, cutoffs, least):
        asked.append(least)
        index = index_cutoffs(panel.first, panel.offsets, 24, cutoffs, least)
        return index, np.zeros((len(index), 6, 3))

    monkeypatch.setattr(backtesting, "predict_quantiles", ask)
    window = {"lookback": 24, "horizon": 6, "short": "drop"}
    dropping = spec.model_copy(update={"window": type(spec.window)(**window)})
    ref = backtest_models(store, RUN, judged.table, {"challenger": model}, dropping)
    assert asked == [24]
    assert ref.windows == 9


def test_the_parts_add_up_to_the_whole(scored):
    written = scored[1]
    mean = np.mean(written["by_step"]["challenger"])
    assert mean == pytest.approx(written["scores"]["challenger"]["mae"], rel=0.1)


def test_the_cutoffs_end_one_horizon_before_the_table(scored, trained):
    _, spec, judged, _ = trained
    last = datetime.fromisoformat(scored[1]["cutoffs"][-1])
    assert (judged.table.cutoff - last).total_seconds() == spec.window.horizon * 3600


def test_perfect_forecasts_score_zero(trained, monkeypatch):
    store, spec, judged, model = trained

    def know(_store, _key, panel, cutoffs, _least):
        index = index_cutoffs(panel.first, panel.offsets, spec.window.lookback, cutoffs)
        actual = np.nan_to_num(take_actuals(panel, index, spec))
        return index, np.repeat(actual[:, :, None], 3, axis=2)

    monkeypatch.setattr(backtesting, "predict_quantiles", know)
    ref = backtest_models(store, RUN, judged.table, {"challenger": model}, spec)
    found = ref.scores["challenger"]
    assert {m: found[m] for m in found if m != "coverage"} == dict.fromkeys(
        set(found) - {"coverage"}, 0
    )
    assert found["coverage"] == 1
    assert ref.scores["baseline"]["mase"] > 0


def test_a_model_whose_forecasts_are_not_numbers_has_no_score(trained, monkeypatch):
    store, spec, judged, model = trained

    def fail(_store, _key, panel, cutoffs, _least):
        index = index_cutoffs(panel.first, panel.offsets, spec.window.lookback, cutoffs)
        return index, np.full((len(index), 6, 3), np.nan)

    monkeypatch.setattr(backtesting, "predict_quantiles", fail)
    ref = backtest_models(store, RUN, judged.table, {"challenger": model}, spec)
    assert ref.scores["challenger"] == {}
    written = store.path(ref.key).read_text()
    assert "NaN" not in written


def test_a_backtest_without_an_observed_target_is_refused(trained):
    store, spec, _, model = trained
    table = make_table()
    hours = table["timestamp"].cast(pa.int64()).to_numpy() // 3_600_000_000
    target = np.where(hours > hours.max() - 20, np.nan, table["target"].to_numpy())
    place = table.schema.get_field_index("target")
    judged = put_table(store, table.set_column(place, "target", pa.array(target)), spec)
    with pytest.raises(DataError, match="no observed target in the backtest"):
        backtest_models(store, RUN, judged.table, {"challenger": model}, spec)


def test_actuals_are_the_steps_after_the_cutoff(trained):
    store, spec, judged, _ = trained
    panel = load_panel(store, judged.table, spec)
    cutoff = panel.cutoff - 6
    index = index_cutoffs(panel.first, panel.offsets, 24, np.array([cutoff]))
    actual = take_actuals(panel, index, spec)
    for s in range(3):
        row = panel.offsets[s] + cutoff + 1 - panel.first[s]
        np.testing.assert_array_equal(actual[s], panel.values["target"][row : row + 6])

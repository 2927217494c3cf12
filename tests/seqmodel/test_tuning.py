"""One trial: its spec, its score in units that all trials share, and no look at the backtest."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pydantic import ValidationError

from seqmodel import jobs
from seqmodel.errors import SpecError
from seqmodel.grid import Grid
from seqmodel.models.registry import build_model
from seqmodel.specs import PipelineSpec
from seqmodel.specs.tune import FIXED, TUNABLE
from seqmodel.splitting import split_steps
from seqmodel.store.store import Store
from seqmodel.tuning import Judge, measure_units, nest_knobs, run_trial, score_quantiles, set_knobs
from seqmodel.windowing import cut_windows, load_panel
from tests.seqmodel.small import ignore_progress, make_panel, make_spec, make_table, put_table

LEVELS = (0.1, 0.5, 0.9)


def tune(**ranges):
    named = {knob.replace("__", "."): values for knob, values in ranges.items()}
    return make_spec(tune={"ranges": named})


@pytest.mark.parametrize(
    ("knob", "values", "says"),
    [
        ("model__unts", {"choices": [1]}, "'model.unts'.*perhaps model.units"),
        ("model", {"choices": [1]}, "'model'"),
        ("source__uri", {"choices": ["y"]}, "'source.uri'"),
        ("backtest__cutoffs", {"low": 1, "high": 2}, "'backtest.cutoffs'"),
        ("train__holdout", {"low": 0.1, "high": 0.2}, "'train.holdout'"),
        ("output__quantiles", {"choices": [0.5]}, "'output.quantiles'"),
        ("model__kind", {"low": 1, "high": 2}, "needed choices: the knob is 'gru'"),
        ("model__units", {"low": 1.5, "high": 2}, "'model.units' with a fraction"),
        ("model__units", {"low": 8, "high": 8}, "low 8 not below high 8"),
        ("model__units", {"low": 8}, "low alone, needed low and high"),
        ("model__units", {}, "nothing alone, needed low and high, or choices"),
        ("model__units", {"choices": [1], "low": 1}, "choices beside low"),
        ("model__units", {"choices": [1], "log": True}, "choices beside log"),
        ("model__units", {"choices": [1, 1]}, "needed each once"),
        ("model__dropout", {"low": 0.0, "high": 0.5, "log": True}, "a low above 0"),
    ],
)
def test_a_range_that_cannot_be_is_refused_when_the_spec_is_loaded(knob, values, says):
    with pytest.raises(ValidationError, match=says) as refused:
        tune(**{knob: values})
    sentence = refused.value.errors()[0]["msg"]
    assert "needed" in sentence
    assert "\n" not in sentence


def test_every_knob_that_is_fixed_is_one():
    spec = make_spec()
    for path in FIXED:
        assert path.split(".")[0] in TUNABLE
        spec.read(path)


def test_knobs_are_set_and_the_rest_is_as_it_was():
    spec = make_spec()
    found = set_knobs(spec, {"model.units": [16, 8], "window.lookback": 12})
    assert found.model.units == (16, 8)
    assert found.window.lookback == 12
    assert found.window.horizon == spec.window.horizon
    assert found.source == spec.source
    assert set_knobs(spec, {}) == spec


def test_a_value_that_the_spec_refuses_is_named_with_its_reason():
    with pytest.raises(
        SpecError, match=r"model\.units 0, needed .*width from 1 to 4096"
    ) as refused:
        set_knobs(make_spec(), {"model.units": 0})
    assert "\n" not in str(refused.value)
    with pytest.raises(SpecError, match=r"window\.lookback"):
        set_knobs(make_spec(), {"window.lookback": -1})


def test_knobs_are_nested_as_a_file_has_them():
    assert nest_knobs({"model.units": (3, 2), "model.layers": 1, "train.seed": 4}) == {
        "model": {"units": [3, 2], "layers": 1},
        "train": {"seed": 4},
    }


def test_the_score_is_twice_the_pinball_loss_in_units_of_each_window():
    rng = np.random.default_rng(0)
    actual = rng.normal(size=(4, 3))
    actual[0, 1] = np.nan
    quantiles = np.sort(rng.normal(size=(4, 3, 3)), axis=-1)
    units = np.array([1.0, 2.0, 4.0, 8.0])
    losses = []
    for n, h in zip(*np.nonzero(np.isfinite(actual)), strict=True):
        for q, level in enumerate(LEVELS):
            error = actual[n, h] - quantiles[n, h, q]
            losses.append(2 * max(level * error, (level - 1) * error) / units[n])
    found = score_quantiles(actual, quantiles, LEVELS, units)
    assert found == pytest.approx(np.mean(losses))


def test_of_a_median_alone_the_score_is_the_mase():
    actual, median = np.array([[1.0, 5.0]]), np.array([[[2.0], [2.0]]])
    assert score_quantiles(actual, median, (0.5,), np.array([4.0])) == pytest.approx((1 + 3) / 8)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_forecast_that_is_not_a_number_scores_worst(bad):
    actual, quantiles = np.ones((1, 2)), np.full((1, 2, 3), bad)
    assert score_quantiles(actual, quantiles, LEVELS, np.ones(1)) == np.inf
    assert score_quantiles(actual * np.nan, np.ones((1, 2, 3)), LEVELS, np.ones(1)) == np.inf


def test_units_are_measured_on_training_rows_only():
    spec, table = make_spec(), make_table()
    units = measure_units(make_panel(table), spec)
    assert (units > 0).all()
    numbers = Grid("h").number(table["timestamp"].cast(pa.int64()).to_numpy())
    late = numbers > split_steps(int(numbers.min()), int(numbers.max()), spec).train
    changed = np.where(late, 1e6, table["target"].to_numpy())
    after = table.set_column(table.column_names.index("target"), "target", pa.array(changed))
    np.testing.assert_array_equal(measure_units(make_panel(after), spec), units)


def test_a_series_without_a_unit_gets_the_mean_of_the_others():
    table = make_table(missing=0)
    constant = pc.if_else(pc.equal(table["series_id"], "001"), 3.0, table["target"])
    table = table.set_column(table.column_names.index("target"), "target", constant)
    units = measure_units(make_panel(table), make_spec())
    assert units[1] == pytest.approx((units[0] + units[2]) / 2)


SCALES = {
    "as it is": {},
    "by mean size": {"scaling": {"series": "mean_abs"}},
    "not at all": {"scaling": {"series": "none"}},
    "each window": {"scaling": {"window": "standard"}},
    "bent": {"scaling": {"transform": "asinh"}},
    "filled": {"features": {"missing": "forward"}},
}


class Says:
    """A network that says the same scaled number of each step of every window."""

    def __init__(self, cut, spec, parameters):
        network = build_model(spec.model, cut.shapes(spec), spec.output)
        self.inputs, self.horizon, self.parameters = network.inputs, spec.window.horizon, parameters

    def predict_on_batch(self, inputs):
        count = len(next(iter(inputs.values())))
        return np.tile(np.array(self.parameters, np.float32), (count, self.horizon, 1))


@pytest.mark.parametrize("way", SCALES)
def test_the_score_is_in_the_targets_unit_whatever_the_scaling(way):
    """A slow loop over the windows, by the panel's own numbers."""
    spec = make_spec(**SCALES[way])
    panel = make_panel(make_table())
    cut = cut_windows(panel, spec)
    judge = Judge(panel, cut, spec, LEVELS)
    model = Says(cut, spec, [-0.5, 0.1, 0.7])
    reader, windows = cut.reader(spec), cut.holdout.spread(4096)
    scaler, units = cut.fitted.scalers["target"], measure_units(panel, spec)
    losses = []
    for n in range(len(windows)):
        one = windows.take(np.array([n]))
        batch = reader.read(one)
        scaled = batch.inverse(np.tile([[[-0.5, 0.1, 0.7]]], (1, spec.window.horizon, 1)))
        series = one.series
        places = cut.fitted.find([panel.ids[series[0]]])
        found = cut.fitted.inverse(scaled, scaler, places)
        start = int(one.starts[0]) + spec.window.lookback
        for h in range(spec.window.horizon):
            actual = panel.values["target"][start + h]
            for q, level in enumerate(LEVELS):
                error = actual - found[0, h, q]
                losses.append(2 * max(level * error, (level - 1) * error) / units[series[0]])
    losses = np.array(losses)
    assert judge.score(model) == pytest.approx(losses[np.isfinite(losses)].mean(), rel=1e-5)


def test_a_point_forecast_is_scored_at_all_quantiles_of_the_others():
    spec = make_spec(output={"kind": "point"})
    panel = make_panel(make_table())
    cut = cut_windows(panel, spec)
    one = Judge(panel, cut, spec, LEVELS).score(Says(cut, spec, [0.1]))
    quantiles = make_spec()
    same = Judge(panel, cut, quantiles, LEVELS).score(Says(cut, quantiles, [0.1, 0.1, 0.1]))
    assert one == pytest.approx(same)


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """A trial run to its end: what it answers and what it told."""
    store = Store(tmp_path_factory.mktemp("root"))
    spec = make_spec()
    judged = put_table(store, make_table(), spec)
    told = []
    job = jobs.TrialJob(
        root=str(store.root), spec=spec, table=judged.table, checkpoint="small/t.npz", levels=LEVELS
    )
    return store, judged, jobs.try_out(job.model_dump(mode="json"), told.append), told


def test_a_trial_tells_the_score_of_each_epoch_and_answers_that_of_the_best(tried):
    store, judged, answer, told = tried
    scores = {one["epoch"]: one["score"] for one in told if "score" in one}
    assert list(scores) == [1, 2]
    assert answer["score"] == pytest.approx(scores[answer["best_epoch"]], rel=1e-5)
    assert 0 < answer["score"] < 3
    assert answer["epochs"] == 2
    assert not list(store.root.rglob("*.npz"))
    assert not (store.root / "small" / "models").exists()
    assert judged.table.fingerprint


def test_what_comes_in_the_backtest_does_not_change_a_trial(tried, tmp_path):
    _, _, answer, _ = tried
    table, spec, store = make_table(), make_spec(), Store(tmp_path)
    panel = load_panel(store, put_table(store, table, spec).table, spec)
    first = panel.cutoff - 6 - 6 * 1  # of the two cutoffs
    moment = pa.scalar(int(panel.grid.moment(np.array([first]))[0]), pa.int64())
    late = pc.greater(table["timestamp"].cast(pa.int64()), moment)
    changed = pc.if_else(late, 1e4, table["target"])
    other = put_table(
        store, table.set_column(table.column_names.index("target"), "target", changed), spec
    )
    found = run_trial(store, other.table, spec, LEVELS, "small/t.npz", ignore_progress)
    assert found["score"] == answer["score"]


def test_the_deployment_of_the_sample_tunes_knobs_that_there_are(project):
    import yaml

    content = yaml.safe_load((project / "prefect.yaml").read_text())
    (chosen,) = (d for d in content["deployments"] if d["name"] == "tune")
    spec = PipelineSpec.model_validate(chosen["parameters"]["spec"])
    assert {"model.units", "train.learning_rate", "window.lookback"} == set(spec.tune.ranges)

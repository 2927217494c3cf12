"""A calibrated predictor: measured on the holdout, the same on every road, blind to the future."""

import json

import numpy as np
import pytest

from seqmodel.calibrating import Calibrated, Span, calibrate, choose_cutoffs, spread_out
from seqmodel.calibration import Calibration, Units
from seqmodel.models.naive import Baseline
from seqmodel.panelling import build_panel
from seqmodel.predictors import Statistical
from seqmodel.scoring.real import take_actuals
from tests.seqmodel.small import SOURCE, count_steps, make_panel, make_spec, make_table

LEVELS = (0.1, 0.5, 0.9)
HORIZON = 6


def make_spec_of(kind, **output):
    return make_spec(output={"calibration": kind, **output}, backtest={"cutoffs": 4, "step": 6})


TABLE = make_table(series=4, steps=900, noise=1.0)
END = count_steps(TABLE)
SPAN = Span(END - 500, END - 200)


def narrow(spec, panel):
    """A seasonal naive whose intervals are much too narrow."""
    fitted = Baseline.fit("seasonal_naive", panel, 24, LEVELS, SPAN.first)
    return Statistical(type(fitted)(**{**vars(fitted), "spread": fitted.spread * 0.2}), spec)


def make_calibrated(kind="split", table=TABLE, **output):
    spec = make_spec_of(kind, **output)
    panel = make_panel(table)
    return calibrate(narrow(spec, panel), panel, spec, SPAN), panel, spec


def measure_coverage(predictor, panel, spec, cutoffs):
    windows, quantiles = predictor.predict(panel, cutoffs, 1)
    actual = take_actuals(panel, windows, spec)
    inside = (actual >= quantiles[:, :, 0]) & (actual <= quantiles[:, :, -1])
    return inside[np.isfinite(actual)].mean()


@pytest.mark.parametrize("kind", ["split", "adaptive"])
@pytest.mark.parametrize("unit", ["series", "width"])
def test_intervals_that_are_too_narrow_are_met_afterwards(kind, unit):
    predictor, panel, spec = make_calibrated(kind, calibration_unit=unit)
    cutoffs = np.arange(END - 190, END - HORIZON, 3)
    assert measure_coverage(predictor.inner, panel, spec, cutoffs) < 0.4
    assert measure_coverage(predictor, panel, spec, cutoffs) == pytest.approx(0.8, abs=0.04)


def test_series_that_were_trained_on_whole_calibrate_nothing():
    spec, panel = make_spec_of("split"), make_panel(TABLE)
    some = Span(*SPAN[:2], ids=tuple(panel.ids[:2]))
    found = calibrate(narrow(spec, panel), panel, spec, some)
    few = panel.take(np.array([0, 1]))
    alone = calibrate(narrow(spec, panel), few, spec, SPAN)
    np.testing.assert_array_equal(found.calibration.shifts, alone.calibration.shifts)
    assert found.calibration.units.ids == tuple(panel.ids)  # and yet all are calibrated


def test_the_median_stays_and_quantiles_ascend():
    predictor, panel, _ = make_calibrated()
    cutoffs = np.array([END])
    _, quantiles = predictor.predict(panel, cutoffs, 1)
    _, before = predictor.inner.predict(panel, cutoffs, 1)
    np.testing.assert_array_equal(quantiles[:, :, 1], before[:, :, 1])
    assert (np.diff(quantiles, axis=-1) >= 0).all()


def test_without_calibration_or_with_a_median_alone_a_predictor_stays_as_it_is():
    spec = make_spec_of("none")
    panel = make_panel(TABLE)
    predictor = narrow(spec, panel)
    assert calibrate(predictor, panel, spec, SPAN) is predictor


@pytest.mark.parametrize("kind", ["split", "adaptive"])
def test_a_calibration_survives_json(kind):
    predictor, panel, spec = make_calibrated(kind)
    value = json.loads(json.dumps(predictor.calibration.to_json()))
    again = Calibrated(predictor.inner, Calibration.from_json(value), spec)
    cutoffs = np.array([END - 20, END])
    a, b = (p.predict(panel, cutoffs, 1)[1] for p in (predictor, again))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["split", "adaptive"])
def test_a_backtest_and_a_live_run_say_the_same(kind):
    """Whatever other cutoffs are asked for, and however little history is read."""
    predictor, panel, _ = make_calibrated(kind)
    cutoff = END - 60
    windows, several = predictor.predict(panel, np.array([cutoff - 12, cutoff, END]), 1)
    numbers = windows.starts + 23 - (panel.offsets[:-1] - panel.first)[windows.series]
    hours = TABLE["timestamp"].to_numpy().astype("datetime64[h]").astype(np.int64)
    newest = TABLE.filter((hours <= cutoff) & (hours > cutoff - predictor.history))
    live = build_panel(newest, None, SOURCE, cutoff=cutoff, horizon=HORIZON)
    _, alone = predictor.predict(live, np.array([cutoff]), 1)
    np.testing.assert_allclose(several[numbers == cutoff], alone, rtol=1e-12)


@pytest.mark.parametrize("kind", ["split", "adaptive"])
def test_what_comes_after_the_cutoff_changes_no_interval(kind):
    predictor, panel, _ = make_calibrated(kind)
    cutoff = END - 60
    hours = TABLE["timestamp"].to_numpy().astype("datetime64[h]").astype(np.int64)
    place = TABLE.column_names.index("target")
    garbage = np.where(hours > cutoff, 1e6, TABLE["target"].to_numpy())
    other = make_panel(TABLE.set_column(place, "target", [garbage]))
    a, b = (predictor.predict(p, np.array([cutoff]), 1)[1] for p in (panel, other))
    np.testing.assert_array_equal(a, b)


def test_levels_follow_when_errors_grow():
    """What was measured on the holdout is too narrow from the day on which errors double."""
    hours = TABLE["timestamp"].to_numpy().astype("datetime64[h]").astype(np.int64)
    place = TABLE.column_names.index("target")
    rng = np.random.default_rng(1)
    later = hours > SPAN.last + HORIZON
    target = TABLE["target"].to_numpy() + np.where(later, rng.normal(0, 2.5, len(hours)), 0)
    table = TABLE.set_column(place, "target", [target])
    cutoffs = np.arange(END - 60, END - HORIZON, 3)
    found = {}
    for kind in ("split", "adaptive"):
        predictor, panel, spec = make_calibrated(kind, table)
        found[kind] = measure_coverage(predictor, panel, spec, cutoffs)
    assert found["split"] < 0.7
    assert found["adaptive"] > found["split"] + 0.05


def test_a_new_series_is_measured_by_its_own_newest_rows():
    panel = make_panel(TABLE)
    units = Units.fit("series", panel.take(np.array([0, 1])), END - 100, 24, 24)
    scale = units.align(panel, END - 50)
    assert (scale > 0).all()
    np.testing.assert_array_equal(scale[:2], units.scaler.spread)
    later = units.align(panel, END)
    np.testing.assert_array_equal(later[:2], scale[:2])
    assert (later[2:] != scale[2:]).all()


def test_cutoffs_learned_from_lie_at_the_hour_of_the_runs_where_there_are_enough():
    assert list(choose_cutoffs(Span(100, 199), 24, 1000)) == [103, 127, 175, 199]
    few = choose_cutoffs(Span(100, 199), 24, 3)
    assert (few[0], few[-1], len(few)) == (100, 199, 100)
    many = choose_cutoffs(Span(0, 24 * 300), 24, 23)
    assert len(many) <= 4096 // 23
    assert set(np.diff(many) % 24) == {0}


def test_many_series_are_thinned_evenly():
    ids = tuple(map(str, range(100)))
    assert spread_out(ids, 200) == list(ids)
    assert spread_out(ids, 3) == ["0", "50", "99"]

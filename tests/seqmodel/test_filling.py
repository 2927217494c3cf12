"""Filling: short gaps only, observed values untouched, and nothing from after a cutoff."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel.features import Preprocessor
from seqmodel.filling import fill_gaps, fill_target, list_gaps, mark_filled, measure_reach
from seqmodel.forecasting import arrange_rows
from seqmodel.models.naive import predict_naive
from seqmodel.panel import build_panel
from seqmodel.specs import FeatureSpec, GridSpec
from seqmodel.splitting import split_steps
from seqmodel.store.store import Store
from seqmodel.windowing import list_cutoffs, load_panel, load_windows, make_windows
from seqmodel.windows import index_cutoffs
from tests.seqmodel.small import SOURCE, count_steps, make_panel, make_spec, make_table, put_table

POLICIES = ["forward", "interpolate", "zero", "seasonal"]
NAN = float("nan")
VALUES = st.lists(
    st.lists(st.one_of(st.just(NAN), st.floats(-1e6, 1e6)), max_size=25), min_size=1, max_size=4
)
TABLE = make_table(missing=0.3)
END = count_steps(TABLE)


def lay_out(series):
    offsets = np.cumsum([0, *map(len, series)])
    return np.array([v for values in series for v in values], dtype=np.float64), offsets


def fill(series, policy, limit=3, season=2):
    values, offsets = lay_out(series)
    gaps = list_gaps(values, offsets)
    return fill_gaps(values, offsets, gaps.take(gaps.lengths <= limit), policy, season)


def fill_slowly(values, policy, limit, season):
    """One series, one step after the other."""
    filled = list(values)
    seen = [i for i, v in enumerate(values) if not np.isnan(v)]
    for a, b in pairwise(seen):
        for i in range(a + 1, b if b - a - 1 <= limit else a):
            if policy == "forward":
                filled[i] = values[a]
            elif policy == "zero":
                filled[i] = 0.0
            elif policy == "interpolate":
                filled[i] = values[a] * (b - i) / (b - a) + values[b] * (i - a) / (b - a)
            else:
                donors = [i - k * season for k in (1, 2, 3, 4) if i - k * season >= 0]
                found = [values[d] for d in donors if not np.isnan(values[d])]
                filled[i] = found[0] if found else NAN
    return filled


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        ("none", [1, NAN, NAN, 4, 8]),
        ("forward", [1, 1, 1, 4, 8]),
        ("interpolate", [1, 2, 3, 4, 8]),
        ("zero", [1, 0, 0, 4, 8]),
        ("seasonal", [1, NAN, 1, 4, 8]),
    ],
)
def test_each_policy_does_what_its_name_says(policy, wanted):
    np.testing.assert_allclose(fill([[1, NAN, NAN, 4, 8]], policy), wanted)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_gap_one_step_longer_than_the_limit_stays_missing_entirely(policy):
    series = [[5.0, 6.0, NAN, NAN, NAN, 7.0]]
    assert np.isfinite(fill(series, policy, limit=3)).all()
    np.testing.assert_array_equal(fill(series, policy, limit=2), series[0])


@pytest.mark.parametrize("policy", POLICIES)
def test_nothing_is_filled_before_the_first_or_after_the_last_observed_step(policy):
    series = [[NAN, 1.0, 2.0, NAN], [NAN, NAN], [NAN, 3.0]]
    np.testing.assert_array_equal(fill(series, policy), lay_out(series)[0])


@settings(deadline=None)
@given(VALUES, st.sampled_from(POLICIES), st.integers(1, 6), st.integers(1, 5))
def test_filling_all_series_at_once_equals_one_step_after_the_other(series, policy, limit, season):
    wanted = [v for values in series for v in fill_slowly(values, policy, limit, season)]
    found = fill(series, policy, limit, season)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-6)
    values = lay_out(series)[0]
    seen = np.isfinite(values)
    assert found[seen].tobytes() == values[seen].tobytes()


@settings(deadline=None)
@given(VALUES)
def test_gaps_are_the_runs_between_two_observed_steps_of_one_series(series):
    gaps = list_gaps(*lay_out(series))
    wanted, begin = [], 0
    for s, values in enumerate(series):
        seen = [i for i, v in enumerate(values) if not np.isnan(v)]
        pairs = pairwise(seen)
        wanted += [(begin + a, begin + b, s) for a, b in pairs if b - a > 1]
        begin += len(values)
    found = zip(gaps.before, gaps.after, gaps.series, strict=True)
    assert [tuple(map(int, gap)) for gap in found] == wanted
    assert gaps.list_rows()[0].tolist() == [r for a, b, _ in wanted for r in range(a + 1, b)]


def test_interpolation_between_huge_values_stays_finite():
    assert np.isfinite(fill([[1e308, NAN, -1e308]], "interpolate")).all()


@pytest.mark.parametrize("policy", POLICIES)
def test_whatever_comes_after_a_cutoff_no_filled_value_at_or_before_it_changes(policy):
    """Garbage, holes and an end of the data after every one of the cutoffs in turn."""
    rng = np.random.default_rng(3)
    grid, cutoffs = GridSpec(fill=policy, fill_limit=3), tuple(range(END - 40, END - 5, 7))
    numbers = TABLE["timestamp"].cast(pa.int64()).to_numpy() // 3_600_000_000
    changed = 0
    for cutoff in cutoffs:
        late = numbers > cutoff
        garbage = np.where(rng.random(len(late)) < 0.3, np.nan, rng.normal(0, 1e6, len(late)))
        others = [garbage, np.full(len(late), np.nan)]
        real = encode(TABLE, grid, cutoffs)
        for other in others:
            values = pa.array(np.where(late, other, TABLE["target"].to_numpy()))
            found = encode(TABLE.set_column(2, "target", values), grid, cutoffs)
            before = found[0].number_of_row <= cutoff
            for a, b in zip(real[1:], found[1:], strict=True):
                assert a[before].tobytes() == b[before].tobytes()
                changed += a.tobytes() != b.tobytes()
    assert changed  # else nothing was put to the test


def encode(table, grid, cutoffs):
    panel = build_panel(table, None, SOURCE, cutoff=END, horizon=6, least=24, cutoffs=cutoffs)
    fitted = Preprocessor.fit(panel, SOURCE, FeatureSpec(lags=(6,)), min(cutoffs), grid)
    rows = fitted.encode(panel, until=min(cutoffs))
    return panel, rows.past, fill_target(panel, grid, 24, cutoffs)


@pytest.mark.parametrize(("cutoff", "filled"), [(6, True), (7, False), (8, False), (9, True)])
def test_a_gap_is_sealed_by_a_cutoff_inside_it_not_by_one_at_its_ends(cutoff, filled):
    hours = [0, 6, 9, 12]  # a gap of five, of two (7, 8), of two
    table = TABLE.slice(0, 4)
    moments = pa.array([h * 3_600_000_000 for h in hours], pa.timestamp("us", tz="UTC"))
    table = table.set_column(1, "timestamp", moments)
    panel = build_panel(table, None, SOURCE, cutoff=12, horizon=2, least=1)
    found = fill_target(panel, GridSpec(fill="forward", fill_limit=2), 24, (cutoff,))
    assert np.isfinite(found[7:9]).tolist() == [filled] * 2
    assert np.isfinite(found[10:12]).all()
    assert np.isnan(found[[*range(1, 6), 13, 14]]).all()


def test_a_cutoff_that_is_not_named_would_let_the_future_in():
    """The law above has teeth: interpolation over an unnamed cutoff does change."""
    series = [[1.0, NAN, NAN, 4.0]]
    assert fill(series, "interpolate")[1] != fill([[1.0, NAN, NAN, 40.0]], "interpolate")[1]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_filled_step_is_shown_in_the_lookback_and_is_no_target_no_lag_and_not_observed(policy):
    panel = make_panel(TABLE)
    bare = Preprocessor.fit(panel, SOURCE, FeatureSpec(lags=(6,)), END)
    filling = GridSpec(fill=policy, fill_limit=3)
    fitted = Preprocessor.fit(panel, SOURCE, FeatureSpec(lags=(6,)), END, filling)
    a, b = bare.encode(panel, until=END), fitted.encode(panel, until=END)
    for name in ("known", "target", "weight"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    np.testing.assert_array_equal(a.past[:, 1:], b.past[:, 1:])
    differs = a.past[:, 0] != b.past[:, 0]
    assert differs.any()
    assert not a.weight[differs].any()
    assert mark_filled(panel, filling)[differs].all()
    assert np.isnan(panel.values["target"][differs]).all()


def test_zero_is_zero_in_the_targets_unit_not_in_the_scaled_one():
    panel, filling = make_panel(TABLE), GridSpec(fill="zero")
    fitted = Preprocessor.fit(panel, SOURCE, FeatureSpec(), END, filling)
    row = int(np.flatnonzero(mark_filled(panel, filling))[0])
    series = panel.series_of_row[[row]]
    shown = fitted.encode(panel, until=END).past[[row], 0]
    assert fitted.scalers["target"].inverse(shown.reshape(1, 1, 1), series) == pytest.approx(
        0, abs=1e-4
    )


def test_the_policy_travels_with_the_model_not_with_tonights_spec():
    panel, filling = make_panel(TABLE), GridSpec(fill="interpolate", fill_limit=2)
    fitted = Preprocessor.fit(panel, SOURCE, FeatureSpec(), END, filling)
    again = Preprocessor.from_json(fitted.to_json())
    assert again.grid == filling
    a, b = fitted.encode(panel, until=END).past, again.encode(panel, until=END).past
    np.testing.assert_array_equal(a, b)
    old = {name: value for name, value in fitted.to_json().items() if name != "grid"}
    assert Preprocessor.from_json(old).grid.fill == "none"


@pytest.mark.parametrize("policy", POLICIES)
def test_no_training_or_holdout_window_ends_inside_a_filled_gap(tmp_path, policy):
    spec = make_spec(grid={"fill": policy, "fill_limit": 2})
    store = Store(tmp_path)
    judged = put_table(store, make_table(missing=0.4), spec)
    stored = load_windows(store, make_windows(store, judged, spec))
    panel = load_panel(store, judged.table, spec, least=24)
    marks = mark_filled(panel, spec.grid)
    for index in (stored.train, stored.holdout):
        ends = index.starts + spec.window.lookback - 1
        assert len(index)
        assert not marks[ends].any()
    # A cutoff in a long gap is as it will be in service: it stays.
    ends = stored.train.starts + spec.window.lookback - 1
    assert (stored.rows.weight[ends] == 0).any()
    assert marks.any()


def test_the_panel_of_the_whole_history_names_the_backtests_cutoffs_the_newest_steps_none(tmp_path):
    spec = make_spec(backtest={"cutoffs": 5, "step": 3})
    store = Store(tmp_path)
    judged = put_table(store, TABLE, spec)
    panel = load_panel(store, judged.table, spec, least=24)
    split = split_steps(int(panel.first.min()), panel.cutoff, spec)
    assert list(panel.cutoffs) == split.cutoffs.tolist() == list(list_cutoffs(END, spec))
    assert load_panel(store, judged.table, spec, least=24, history=24).cutoffs == ()


@pytest.mark.parametrize("policy", POLICIES)
def test_the_newest_steps_alone_are_filled_like_the_whole_history(tmp_path, policy):
    """What a forecast reads at the cutoff is what it would read from all rows."""
    source = SOURCE.model_copy(update={"season_length": 3})
    spec = make_spec(source, grid={"fill": policy, "fill_limit": 3})
    store = Store(tmp_path)
    judged = put_table(store, TABLE, spec)
    short = load_panel(store, judged.table, spec, least=24, history=24)
    whole = make_panel(TABLE, source)
    for s in range(3):
        a, b = (
            fill_target(p, spec.grid, 3, ())[p.offsets[s + 1] - 30 : p.offsets[s + 1]]
            for p in (short, whole)
        )
        np.testing.assert_array_equal(a, b)


def test_a_fill_reaches_back_by_its_limit_and_seasons():
    assert measure_reach(GridSpec(), 24) == 0
    assert measure_reach(GridSpec(fill="forward", fill_limit=5), 24) == 5
    assert measure_reach(GridSpec(fill="seasonal", fill_limit=5), 24) == 5 + 4 * 24


def test_the_baseline_reads_what_was_observed_only():
    panel = make_panel(TABLE)
    index = index_cutoffs(panel.first, panel.offsets, 24, np.array([END]))
    before = predict_naive(panel, index, 24, 6, 24, (0.5,), END)
    fill_target(panel, GridSpec(fill="zero"), 24, ())
    after = predict_naive(panel, index, 24, 6, 24, (0.5,), END)
    np.testing.assert_array_equal(before, after)
    assert arrange_rows(panel, index, before, (0.5,), "baseline").num_rows == 18

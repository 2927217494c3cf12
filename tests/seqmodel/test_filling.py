"""Filling: short gaps only, observed values untouched, and nothing from after a cutoff.

target        4  5  .  .  8  9       . missing
filled        4  5  5  5  8  9
open          0  0  1  2  0  0       steps that the gap has been open for
at cutoff ^         ^                a window that ends here shows 4 5 .: the gap may never end
"""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel.encoding import encode_panel
from seqmodel.features import Preprocessor
from seqmodel.filling import fill_gaps, fill_target, list_gaps, measure_open, measure_reach
from seqmodel.gathering import WindowReader
from seqmodel.models.naive import predict_naive
from seqmodel.specs import GridSpec
from seqmodel.store.store import Store
from seqmodel.windowing import load_panel
from seqmodel.windows import index_cutoffs
from tests.seqmodel.small import (
    SOURCE,
    count_steps,
    make_panel,
    make_spec,
    make_table,
    put_table,
    store_windows,
)

POLICIES = ["forward", "interpolate", "zero", "seasonal"]
NAN = float("nan")
LIMIT = 3
VALUES = st.lists(
    st.lists(st.one_of(st.just(NAN), st.floats(-1e6, 1e6)), max_size=25), min_size=1, max_size=4
)
TABLE = make_table(steps=150, missing=0.3)
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


@settings(deadline=None, max_examples=50)
@given(VALUES, st.sampled_from(POLICIES), st.integers(1, 6), st.integers(1, 5))
def test_filling_all_series_at_once_equals_one_step_after_the_other(series, policy, limit, season):
    wanted = [v for values in series for v in fill_slowly(values, policy, limit, season)]
    found = fill(series, policy, limit, season)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-6)
    values = lay_out(series)[0]
    seen = np.isfinite(values)
    assert found[seen].tobytes() == values[seen].tobytes()


@settings(deadline=None, max_examples=50)
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


SEASON = 5
SOURCE_5 = SOURCE.model_copy(update={"season_length": SEASON})


def make_filled_spec(policy, **sections):
    return make_spec(
        SOURCE_5,
        window={"lookback": 8, "horizon": 3},
        grid={"fill": policy, "fill_limit": LIMIT},
        **{"features": {"lags": [6], "rolling": [{"steps": 4}]}, **sections},
    )


def read_at(fitted, spec, table, cutoff, end):
    """The windows of all series that end at a cutoff, cut from a panel that ends at `end`."""
    panel = make_panel(table, SOURCE_5, cutoff=end, horizon=3)
    reader = WindowReader(encode_panel(fitted, panel, until=cutoff), fitted.cut(spec))
    windows = index_cutoffs(panel.first, panel.offsets, 8, np.array([cutoff]))
    return reader.read(windows).inputs


def show(inputs):
    return {name: array.tobytes() for name, array in inputs.items()}


@pytest.mark.parametrize("scale", ["none", "standard", "seasonal"])
@pytest.mark.parametrize("policy", POLICIES)
def test_at_every_cutoff_a_lookback_is_what_a_night_that_ran_there_would_have_seen(policy, scale):
    """The law of filling: a panel that goes on, one that ends there, and one that goes wild."""
    rng = np.random.default_rng(3)
    spec = make_filled_spec(policy, scaling={"window": scale})
    numbers = TABLE["timestamp"].cast(pa.int64()).to_numpy() // 3_600_000_000
    garbage = np.where(rng.random(len(numbers)) < 0.3, NAN, rng.normal(0, 1e6, len(numbers)))
    fitted = Preprocessor.fit(make_panel(TABLE, SOURCE_5), spec, END - 60)
    opened = 0
    for cutoff in range(END - 50, END - 3, 2):
        whole = read_at(fitted, spec, TABLE, cutoff, END)
        there = read_at(fitted, spec, TABLE, cutoff, cutoff)
        wild = pa.array(np.where(numbers > cutoff, garbage, TABLE["target"].to_numpy()))
        changed = read_at(fitted, spec, TABLE.set_column(2, "target", wild), cutoff, END)
        assert show(whole) == show(there) == show(changed)
        assert "known" in whole
        opened += int((whole["past"][:, -1, 1] == 0).sum())
    assert opened > 10  # else no gap was open at a cutoff


@pytest.mark.parametrize("policy", POLICIES)
def test_a_gap_that_is_over_is_shown_filled_and_one_still_open_is_not(policy):
    hours = [0, 1, 2, 3, 4, 5, 8, 9, 10]  # 6 and 7 are missing
    moments = pa.array([h * 3_600_000_000 for h in hours], pa.timestamp("us", tz="UTC"))
    table = TABLE.slice(0, len(hours)).set_column(1, "timestamp", moments)
    table = table.set_column(2, "target", pa.array([4.0, 5, 6, 7, 8, 9, 12, 13, 14]))
    spec = make_filled_spec(policy, scaling={"series": "none"}, features={})
    fitted = Preprocessor.fit(make_panel(table, SOURCE_5), spec, 10)
    shown = {
        cutoff: read_at(fitted, spec, table, cutoff, 10)["past"][0, :, 0] for cutoff in (5, 6, 7, 8)
    }
    filled = {"forward": [9, 9], "interpolate": [10, 11], "zero": [0, 0], "seasonal": [5, 6]}
    assert shown[5].tolist() == [0, 0, 4, 5, 6, 7, 8, 9]
    assert shown[6].tolist() == [0, 4, 5, 6, 7, 8, 9, 0]
    assert shown[7].tolist() == [4, 5, 6, 7, 8, 9, 0, 0]
    assert shown[8].tolist() == [5, 6, 7, 8, 9, *filled[policy], 12]


@settings(deadline=None, max_examples=50)
@given(VALUES, st.integers(1, 6), st.sampled_from(POLICIES))
def test_a_row_knows_for_how_long_its_filled_gap_has_been_open(series, limit, policy):
    rows = [(f"{s}", h, y) for s, values in enumerate(series) for h, y in enumerate(values)]
    table = pa.table(
        {
            "series_id": pa.array([s for s, _, _ in rows], pa.string()),
            "timestamp": pa.array([h * 3_600_000_000 for _, h, _ in rows]).cast(
                pa.timestamp("us", tz="UTC")
            ),
            "target": pa.array([y for _, _, y in rows], pa.float64()),
        }
    )
    source = SOURCE.model_copy(update={"past": (), "known": (), "static": ()})
    panel = make_panel(table, source, cutoff=24, horizon=2)
    found = measure_open(panel, GridSpec(fill=policy, fill_limit=limit))
    wanted = np.zeros(panel.rows, dtype=int)
    for begin, end in pairwise(panel.offsets):
        seen = np.flatnonzero(np.isfinite(panel.values["target"][begin:end]))
        for a, b in pairwise(seen):
            if b - a - 1 <= limit:
                wanted[begin + a + 1 : begin + b] = np.arange(1, b - a)
    np.testing.assert_array_equal(found, wanted)
    assert found.dtype == np.int32
    # What is filled lies in a gap that is counted.
    filled = np.isfinite(fill_target(panel, GridSpec(fill=policy, fill_limit=limit), 2))
    assert (found[filled & np.isnan(panel.values["target"])] > 0).all()


def test_nothing_is_open_where_nothing_is_filled():
    assert not measure_open(make_panel(TABLE), GridSpec()).any()


def test_a_gap_that_ends_after_the_panels_cutoff_is_not_filled():
    panel = make_panel(TABLE, cutoff=END - 20)
    values = panel.values["target"].copy()
    last = panel.offsets[1:] - panel.horizon
    values[last - 1], values[last] = NAN, 7.0  # whatever stands after the cutoff
    late = type(panel)(**{**vars(panel), "values": {**panel.values, "target": values}})
    filled = fill_target(late, GridSpec(fill="forward", fill_limit=9), 24)
    assert np.isnan(filled[last - 1]).all()


@pytest.mark.parametrize("policy", POLICIES)
def test_a_filled_step_is_shown_in_the_lookback_and_is_no_target_no_lag_and_not_observed(policy):
    panel = make_panel(TABLE, SOURCE_5)
    encoded = {}
    for fill in ("none", policy):
        spec = make_filled_spec(fill)
        encoded[fill] = encode_panel(Preprocessor.fit(panel, spec, END), panel, until=END)
    a, b = encoded["none"], encoded[policy]
    np.testing.assert_array_equal(a.values[:, 1:], b.values[:, 1:])
    np.testing.assert_array_equal(a.values[:, 0], b.target)
    assert not a.target.size
    assert not a.gap.size
    differs = a.values[:, 0] != b.values[:, 0]
    assert differs.any()
    assert not b.values[differs, 1].any()
    assert (b.gap[differs] > 0).all()
    assert np.isnan(panel.values["target"][differs]).all()


def test_zero_is_zero_in_the_targets_unit_not_in_the_scaled_one():
    panel, spec = make_panel(TABLE), make_spec(grid={"fill": "zero"})
    fitted = Preprocessor.fit(panel, spec, END)
    rows = encode_panel(fitted, panel, until=END)
    row = int(np.flatnonzero(rows.gap)[0])
    series = panel.series_of_row[[row]]
    shown = rows.values[[row], 0].astype(np.float64)
    assert fitted.inverse(shown, fitted.scalers["target"], series) == pytest.approx(0, abs=1e-4)


def test_the_policy_travels_with_the_model_not_with_tonights_spec():
    panel, spec = make_panel(TABLE, SOURCE_5), make_filled_spec("interpolate")
    fitted = Preprocessor.fit(panel, spec, END)
    again = Preprocessor.from_json(fitted.to_json())
    assert again.grid == spec.grid
    a, b = (encode_panel(one, panel, until=END) for one in (fitted, again))
    for name, array in a.arrays().items():
        np.testing.assert_array_equal(array, b.arrays()[name])


@pytest.mark.parametrize("policy", POLICIES)
def test_training_windows_that_end_in_a_gap_stay_and_see_it_open(tmp_path, policy):
    spec = make_filled_spec(policy)
    stored = store_windows(tmp_path, spec, make_table(missing=0.4))
    windows = stored.train.all()
    past = stored.reader(spec).read(windows).inputs["past"]
    lengths = stored.rows.gap[windows.starts + 8 - 1]
    assert (lengths > 0).any()
    for n in np.flatnonzero(lengths):
        assert not past[n, max(8 - lengths[n], 0) :, :2].any()
    # Before it, what was filled in gaps that are over is seen.
    missing = past[:, :, 1] == 0
    assert (past[:, :, 0][missing] != 0).any()


@pytest.mark.parametrize("policy", POLICIES)
def test_the_newest_steps_alone_are_filled_like_the_whole_history(tmp_path, policy):
    """What a forecast reads at the cutoff is what it would read from all rows."""
    spec = make_filled_spec(policy)
    store = Store(tmp_path)
    judged = put_table(store, TABLE, spec)
    reach = measure_reach(spec.grid, SEASON)
    short = load_panel(store, judged.table, spec, history=24 + reach)
    whole = make_panel(TABLE, SOURCE_5, horizon=3)
    for s in range(3):
        a, b = (
            fill_target(p, spec.grid, SEASON)[p.offsets[s + 1] - 27 : p.offsets[s + 1]]
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
    fill_target(panel, GridSpec(fill="zero"), 24)
    after = predict_naive(panel, index, 24, 6, 24, (0.5,), END)
    np.testing.assert_array_equal(before, after)

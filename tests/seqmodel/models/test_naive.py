"""The seasonal naive against a loop that is plainly right."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel.grid import Grid
from seqmodel.models.naive import SEASONS_BACK, measure_spread, predict_drift, predict_naive
from seqmodel.panel import Panel
from seqmodel.windows import Windows, index_cutoffs

LEVELS = (0.1, 0.5, 0.9)


def make_panel(*series, horizon=3):
    """Series given as lists of targets up to one cutoff."""
    lengths = np.array([len(s) + horizon for s in series])
    cutoff = 100
    padded = [[*s, *[math.nan] * horizon] for s in series]
    return Panel(
        grid=Grid("h"),
        ids=[f"{s:03}" for s in range(len(series))],
        first=cutoff + horizon + 1 - lengths,
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        cutoff=cutoff,
        horizon=horizon,
        values={"target": np.concatenate(padded)},
        labels={},
        static={},
    )


def loop(panel, index, lookback, horizon, season):
    target, found = panel.values["target"], []
    for start, s in zip(index.starts, index.series, strict=True):
        begin, cut = panel.offsets[s], start + lookback - 1
        row = []
        for step in range(1, horizon + 1):
            candidate = cut + step
            while candidate > cut:
                candidate -= season
            value = math.nan
            for back in range(SEASONS_BACK):
                place = candidate - back * season
                if place >= begin and math.isfinite(target[place]):
                    value = target[place]
                    break
            if math.isnan(value):
                seen = [v for v in target[begin : cut + 1] if math.isfinite(v)]
                value = seen[-1] if seen else 0.0
            row.append(value)
        found.append(row)
    return np.array(found)


def loop_spread(panel, season, levels, until):
    found = []
    for s in range(len(panel.ids)):
        end = panel.offsets[s] + max(until + 1 - panel.first[s], 0)
        values = panel.values["target"][panel.offsets[s] : end]
        change = values[season:] - values[:-season]
        change = change[np.isfinite(change)]
        row = []
        for level in levels:
            q = np.quantile(change, level) if len(change) else 0.0
            row.append(min(q, 0) if level < 0.5 else max(q, 0) if level > 0.5 else 0.0)
        found.append(row)
    return np.array(found)


NUMBERS = st.one_of(st.just(math.nan), st.floats(-50, 50).map(lambda x: round(x, 3)))
SERIES = st.lists(st.lists(NUMBERS, min_size=4, max_size=25), min_size=1, max_size=4)


@settings(deadline=None)
@given(series=SERIES, season=st.integers(1, 8), back=st.integers(0, 10))
def test_the_point_is_the_newest_season_observed(series, season, back):
    panel = make_panel(*series)
    cutoffs = np.array([panel.cutoff - back])
    index = index_cutoffs(panel.first, panel.offsets, 2, cutoffs)
    found = predict_naive(panel, index, 2, 3, season, LEVELS, int(cutoffs[0]))
    if len(index):
        np.testing.assert_array_equal(found[:, :, 1], loop(panel, index, 2, 3, season))
    assert found.shape == (len(index), 3, 3)
    assert (np.diff(found, axis=-1) >= 0).all()


@settings(deadline=None)
@given(series=SERIES, season=st.integers(1, 8), back=st.integers(-3, 30))
def test_the_spread_is_its_slow_loop(series, season, back):
    panel = make_panel(*series)
    until = panel.cutoff - back
    levels = (0.05, 0.1, 0.25, 0.5, 0.75, 0.99)
    np.testing.assert_allclose(
        measure_spread(panel, season, levels, until),
        loop_spread(panel, season, levels, until),
        rtol=1e-12,
        atol=1e-12,
    )


def test_a_season_back_is_repeated():
    panel = make_panel([1, 2, 3, 4, 5, 6.0])
    index = Windows(np.array([0]), np.array([0], np.int32))
    found = predict_naive(panel, index, 6, 3, 4, (0.5,), panel.cutoff)
    assert found[0, :, 0].tolist() == [3, 4, 5]


def test_a_horizon_beyond_the_season_goes_round_again():
    panel = make_panel([1, 2, 3.0], horizon=5)
    index = Windows(np.array([0]), np.array([0], np.int32))
    found = predict_naive(panel, index, 3, 5, 2, (0.5,), panel.cutoff)
    assert found[0, :, 0].tolist() == [2, 3, 2, 3, 2]


def test_a_missing_season_falls_back_to_the_one_before_and_then_to_the_last_value():
    nan = math.nan
    panel = make_panel([1, 2, nan, 4, nan, nan], horizon=2)
    index = Windows(np.array([0]), np.array([0], np.int32))
    found = predict_naive(panel, index, 6, 2, 2, (0.5,), panel.cutoff)
    assert found[0, :, 0].tolist() == [1, 4]
    found = predict_naive(panel, index, 6, 2, 9, (0.5,), panel.cutoff)
    assert found[0, :, 0].tolist() == [4, 4]


def test_a_series_never_observed_is_forecast_as_zero():
    panel = make_panel([5.0] * 4, [math.nan] * 4)
    index = Windows(np.array([0, 7]), np.array([0, 1], np.int32))
    found = predict_naive(panel, index, 4, 3, 2, LEVELS, panel.cutoff)
    assert (found[0] == 5).all()
    assert (found[1] == 0).all()


@pytest.mark.parametrize("season", [1, 7, 1000])
def test_a_season_longer_than_the_history_has_no_spread(season):
    panel = make_panel([1.0, 2, 3])
    spread = measure_spread(panel, season, LEVELS, panel.cutoff)
    assert (spread != 0).any() == (season == 1)


@settings(deadline=None, max_examples=25)
@given(series=SERIES, others=SERIES, season=st.integers(1, 8))
def test_a_series_is_forecast_the_same_alone_and_among_others(series, others, season):
    alone, among = make_panel(series[0]), make_panel(series[0], *others)
    found = []
    for panel in (alone, among):
        cutoffs = np.array([panel.cutoff])
        index = index_cutoffs(panel.first, panel.offsets, 2, cutoffs)
        found.append(predict_naive(panel, index, 2, 3, season, LEVELS, panel.cutoff)[0])
    assert found[0].tobytes() == found[1].tobytes()


@settings(deadline=None, max_examples=25)
@given(series=SERIES, lookback=st.integers(1, 60), season=st.integers(1, 8))
def test_the_lookback_of_the_windows_does_not_matter(series, lookback, season):
    """A baseline looks at the whole history, also of a series shorter than the lookback."""
    panel = make_panel(*series)
    cutoffs = np.array([panel.cutoff])
    found = [
        predict_naive(
            panel,
            index_cutoffs(panel.first, panel.offsets, n, cutoffs),
            n,
            3,
            season,
            LEVELS,
            panel.cutoff,
        )
        for n in (2, lookback)
    ]
    np.testing.assert_array_equal(*found)


def test_a_series_of_one_row_is_repeated():
    panel = make_panel([7.0])
    index = index_cutoffs(panel.first, panel.offsets, 24, np.array([panel.cutoff]))
    assert (predict_naive(panel, index, 24, 3, 24, LEVELS, panel.cutoff) == 7).all()


def test_drift_draws_the_line_from_the_first_value_through_the_newest():
    panel = make_panel([1.0, math.nan, 5.0, 7.0], [2.0, 4.0, math.nan])
    index = index_cutoffs(panel.first, panel.offsets, 3, np.array([panel.cutoff]))
    found = predict_drift(panel, index, 3, 3, 1, LEVELS, panel.cutoff)[:, :, 1]
    assert found[0] == pytest.approx([9.0, 11.0, 13.0])
    assert found[1] == pytest.approx([8.0, 10.0, 12.0])  # the line goes on through the gap


def test_drift_of_one_value_repeats_it_and_of_none_is_zero():
    panel = make_panel([3.0], [math.nan])
    index = index_cutoffs(panel.first, panel.offsets, 3, np.array([panel.cutoff]))
    found = predict_drift(panel, index, 3, 3, 1, LEVELS, panel.cutoff)
    assert found[0].tolist() == [[3.0] * 3] * 3
    assert found[1].tolist() == [[0.0] * 3] * 3


def test_drift_quantiles_ascend_and_widen_with_the_distance():
    rng = np.random.default_rng(0)
    panel = make_panel(np.cumsum(rng.normal(size=50)).tolist())
    index = index_cutoffs(panel.first, panel.offsets, 3, np.array([panel.cutoff - 5]))
    found = predict_drift(panel, index, 3, 3, 1, LEVELS, panel.cutoff - 5)[0]
    assert (np.diff(found, axis=1) > 0).all()
    assert (np.diff(found[:, 2] - found[:, 0]) > 0).all()


def test_drift_at_a_cutoff_does_not_see_what_comes_after():
    before = [1.0, 2.0, 4.0]
    a, b = make_panel([*before, 9.0, 9.0]), make_panel([*before, -7.0, math.nan])
    cutoffs = np.array([a.cutoff - 2])
    index = index_cutoffs(a.first, a.offsets, 2, cutoffs)
    one, two = (predict_drift(p, index, 2, 3, 1, LEVELS, int(cutoffs[0])) for p in (a, b))
    assert one.tobytes() == two.tobytes()

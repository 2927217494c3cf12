"""The scale of a window: from its own observed steps, and exactly undone."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from seqmodel.normalising import LEAST_SPREAD, WINDOW_SCALES, Normaliser
from seqmodel.scaling import IQR, SCALES, Grouped
from seqmodel.specs import Scale

EVERY = [*WINDOW_SCALES, "seasonal"]
NUMBERS = st.floats(-1e4, 1e4, width=32, allow_subnormal=False)
LOOKBACKS = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=NUMBERS | st.just(np.float32(np.nan)),
)
NAN = np.nan


def lay(*rows):
    return np.array(rows, dtype=np.float32)


def test_every_scale_of_the_spec_but_none_is_there():
    assert {*EVERY, "none"} == set(get_args(Scale))


@settings(deadline=None, max_examples=50)
@given(values=LOOKBACKS, scale=st.sampled_from(EVERY), season=st.integers(1, 15))
def test_what_is_scaled_comes_back(values, scale, season):
    """In the lookback, and in the horizon for each of several quantiles."""
    found = Normaliser.measure(scale, values, 7, season)
    assert np.isfinite(found.past).all()
    assert np.isfinite(found.future).all()
    assert (found.spread >= np.float32(LEAST_SPREAD)).all()
    assert {a.dtype for a in (found.past, found.future, found.spread)} == {np.dtype("float32")}
    scaled = (values - found.past) / found.spread
    back = scaled * found.spread + found.past
    size = np.abs(np.nan_to_num(values)).max(initial=1)
    np.testing.assert_allclose(back, values, rtol=1e-5, atol=1e-6 * size)
    future = np.random.default_rng(0).normal(0, size, (len(values), 7, 3))
    away = (future - found.future[:, :, None]) / found.spread[:, :, None]
    np.testing.assert_allclose(found.inverse(away), future, rtol=1e-9, atol=1e-9 * size)


@settings(deadline=None, max_examples=50)
@given(values=LOOKBACKS, scale=st.sampled_from(EVERY), season=st.integers(1, 15))
def test_quantiles_keep_their_order(values, scale, season):
    found = Normaliser.measure(scale, values, 5, season)
    levels = np.sort(np.random.default_rng(1).normal(size=(len(values), 5, 4)), axis=2)
    assert (np.diff(found.inverse(levels), axis=2) >= 0).all()


@settings(deadline=None, max_examples=50)
@given(values=LOOKBACKS, scale=st.sampled_from(EVERY), season=st.integers(1, 15))
def test_a_window_is_measured_the_same_alone_and_among_others(values, scale, season):
    together = Normaliser.measure(scale, values, 5, season)
    for n in range(len(values)):
        alone = Normaliser.measure(scale, values[n : n + 1], 5, season)
        for name in ("past", "future", "spread"):
            assert getattr(alone, name)[0].tobytes() == getattr(together, name)[n].tobytes()


@settings(deadline=None, max_examples=50)
@given(
    values=arrays(np.float32, st.integers(1, 30), elements=NUMBERS),
    missing=st.sets(st.integers(0, 29)),
    scale=st.sampled_from(["standard", "robust", "mean_abs", "min_max"]),
)
def test_a_window_over_a_whole_series_has_the_statistics_of_the_series(values, missing, scale):
    values[[i for i in missing if i < len(values)]] = NAN
    seen = np.isfinite(values)
    if not seen.any():
        return
    location, spread = WINDOW_SCALES[scale](np.where(seen, values, 0)[None, :], seen[None, :])
    rows = np.flatnonzero(seen)
    series = np.zeros(len(rows), dtype=np.int32)
    grouped = Grouped(values[rows].astype(np.float64), series, rows, 1, 1)
    wanted = SCALES[scale](grouped)
    close = {"rtol": 1e-5, "atol": 1e-6 * np.abs(values[rows]).max()}
    np.testing.assert_allclose(location, wanted[0], **close)
    np.testing.assert_allclose(spread, wanted[1], **close)


@pytest.mark.parametrize(
    ("scale", "location", "spread"),
    [
        ("standard", 4.0, np.std([1, 2, 9])),
        ("robust", 2.0, (5.5 - 1.5) / IQR),
        ("mean_abs", 0.0, 4.0),
        ("min_max", 1.0, 8.0),
        ("last", 9.0, 1.0),
    ],
)
def test_missing_steps_are_left_out(scale, location, spread):
    found = Normaliser.measure(scale, lay([NAN, 1, NAN, 2, 9, NAN]), 3, 1)
    assert found.past.tolist() == found.future.tolist() == [[pytest.approx(location)]]
    assert found.spread.tolist() == [[pytest.approx(spread)]]


@pytest.mark.parametrize("scale", EVERY)
def test_a_lookback_without_a_value_keeps_the_scale_of_the_series(scale):
    with np.errstate(all="raise"):
        found = Normaliser.measure(scale, lay([NAN] * 6, [1, 2, 3, 4, 5, 7]), 4, 2)
    assert not found.past[0].any()
    assert not found.future[0].any()
    assert found.spread[0] == 1


@pytest.mark.parametrize("scale", ["standard", "robust", "min_max", "last", "seasonal"])
@pytest.mark.parametrize("level", [0.0, 0.1, -3.0, 1e4])
def test_a_lookback_that_never_changes_keeps_the_spread_of_the_series(scale, level):
    found = Normaliser.measure(scale, np.full((1, 50), level, np.float32), 4, 7)
    assert found.spread.tolist() == [[1]]
    assert found.future[0] == pytest.approx(level, rel=1e-6)


@pytest.mark.parametrize("scale", ["standard", "robust", "min_max", "seasonal"])
def test_a_calm_lookback_does_not_blow_up_what_comes_after_it(scale):
    calm = np.float32(0.001) * np.random.default_rng(0).normal(size=(1, 50)).astype(np.float32)
    found = Normaliser.measure(scale, calm, 4, 7)
    assert found.spread.tolist() == [[pytest.approx(LEAST_SPREAD)]]


def test_seasonal_subtracts_the_value_a_season_before_and_repeats_the_newest_season():
    found = Normaliser.measure("seasonal", lay([1, 2, 3, 5, 4, 6]), 7, 3)
    assert found.past.tolist() == [[1, 2, 3, 1, 2, 3]]
    assert found.future.tolist() == [[5, 4, 6, 5, 4, 6, 5]]
    assert found.spread.tolist() == [[3]]  # of 4, 2, 3


def test_seasonal_takes_the_newest_value_before_a_missing_one():
    found = Normaliser.measure("seasonal", lay([NAN, 2, 3, NAN, 4, NAN]), 4, 3)
    assert found.past.tolist() == [[2, 2, 3, 2, 2, 3]]
    assert found.future.tolist() == [[3, 4, 4, 3]]
    assert found.spread.tolist() == [[2]]  # one pair: 2 and 4


@settings(deadline=None, max_examples=50)
@given(values=LOOKBACKS, season=st.integers(1, 15), horizon=st.integers(1, 20))
def test_seasonal_equals_a_loop(values, season, horizon):
    found = Normaliser.measure("seasonal", values, horizon, season)
    lookback = values.shape[1]
    season = min(season, lookback)
    for n, window in enumerate(values):
        seen = np.isfinite(window)
        held = [
            next((window[j] for j in range(i, -1, -1) if seen[j]), None)
            or next((window[j] for j in range(lookback) if seen[j]), 0)
            if not seen[: i + 1].any()
            else next(window[j] for j in range(i, -1, -1) if seen[j])
            for i in range(lookback)
        ]
        past = [held[i] if i < season else held[i - season] for i in range(lookback)]
        future = [held[lookback - season + h % season] for h in range(horizon)]
        np.testing.assert_array_equal(found.past[n], np.array(past, np.float32))
        np.testing.assert_array_equal(found.future[n], np.array(future, np.float32))


def test_a_season_longer_than_the_lookback_repeats_the_lookback():
    found = Normaliser.measure("seasonal", lay([1, 2, 6]), 4, 99)
    assert found.future.tolist() == [[1, 2, 6, 1]]
    assert found.spread.tolist() == [[pytest.approx(np.std([1, 2, 6]))]]


@pytest.mark.parametrize("scale", EVERY)
def test_one_step_of_lookback_is_enough(scale):
    found = Normaliser.measure(scale, lay([3.0], [NAN]), 2, 5)
    assert np.isfinite(found.inverse(np.zeros((2, 2, 1)))).all()
    assert found.spread[1] == 1

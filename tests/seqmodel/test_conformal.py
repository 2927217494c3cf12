"""Conformal quantiles: the law of their coverage, and what is published is what is calibrated."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seqmodel.conformal import FAR, find_conformal, measure_scores, measure_shifts
from seqmodel.ensembling import keep_ascending
from seqmodel.limiting import limit_forecast
from seqmodel.specs import ForecastSpec

LEVELS = (0.05, 0.1, 0.5, 0.9, 0.95)
OUTER = (0, 1, 3, 4)
numbers = st.floats(-1e3, 1e3, allow_nan=False)


@given(
    drawn=st.lists(st.integers(-10_000, 10_000), min_size=2, max_size=60, unique=True),
    level=st.sampled_from([0.05, 0.1, 0.3, 0.7, 0.9, 0.95]),
)
def test_of_exchangeable_numbers_each_is_met_as_often_as_the_level_says(drawn, level):
    """Leave each out in turn: all orders of exchangeable numbers are equally likely."""
    values = np.array(drawn, float)
    met = []
    for i, value in enumerate(values):
        others = np.sort(np.delete(values, i))
        met.append(value <= find_conformal(others, np.array([level]), level)[0])
    count = len(values)
    share = np.mean(met)
    # Beyond the ends there is no number to take: with few the outermost one has to do.
    if level > 0.5:
        assert share >= min(level, (count - 1) / count) - 1e-9
        assert share <= level + 1 / count + 1e-9
    else:
        assert share <= max(level, 1 / count) + 1e-9
        assert share >= level - 1 / count - 1e-9


@given(values=arrays(float, 30, elements=numbers), level=st.sampled_from([0.1, 0.9]))
def test_a_higher_level_is_never_lower(values, level):
    levels = level + np.linspace(-0.15, 0.15, 31)
    assert (np.diff(find_conformal(np.sort(values), levels, level)) >= 0).all()


def make_windows(count=400, horizon=2, seed=0):
    """Forecasts whose quantiles are those of what comes, and what comes."""
    rng = np.random.default_rng(seed)
    ends = np.array([-1.645, -1.2816, 0, 1.2816, 1.645])
    centre = rng.uniform(1, 9, (count, horizon))
    return centre[:, :, None] + ends, centre + rng.normal(size=(count, horizon))


def test_what_is_calibrated_stays_about_where_it_is():
    quantiles, actual = make_windows(20_000)
    scores = measure_scores(quantiles, actual, np.ones_like(quantiles), LEVELS)
    shifts = measure_shifts(scores, LEVELS, (0.0,))[:, :, 0]
    assert np.abs(shifts).max() < 0.05
    assert (shifts[:, 2] == 0).all()


@pytest.mark.parametrize("whole", ["none", "median", "all"])
@pytest.mark.parametrize("spoilt", [lambda q: q * 1.5 - 3, lambda q: 0.2 * q])
def test_what_is_published_is_met_as_often_as_it_says(whole, spoilt):
    quantiles, actual = make_windows()
    counts = np.rint(actual) if whole != "none" else actual
    quantiles = keep_ascending(spoilt(quantiles), LEVELS)
    unit = np.ones_like(quantiles)
    shifts = measure_shifts(measure_scores(quantiles, counts, unit, LEVELS, whole), LEVELS, (0.0,))
    moved = keep_ascending(quantiles + shifts[None, :, :, 0], LEVELS)
    published = limit_forecast(moved, ForecastSpec(whole=whole), LEVELS)
    for q in OUTER:
        found = published[:, :, q]
        miss = (counts < found) if LEVELS[q] < 0.5 else (counts > found)
        wanted = LEVELS[q] if LEVELS[q] < 0.5 else 1 - LEVELS[q]
        # Missed no oftener; and as often, but for what its neighbour or the median holds back.
        assert (miss.mean(axis=0) <= wanted + 0.01).all()
        held = (found == published[:, :, 2]) | (found == published[:, :, min(max(q, 1), 3)])
        assert (miss.mean(axis=0) >= wanted - 0.01 - held.mean(axis=0)).all()


def test_what_lies_beyond_the_median_is_reached_however_a_quantile_is_moved():
    quantiles = np.array([[[0.0, 0.5, 2.0, 3.0, 4.0]]])
    unit = np.ones_like(quantiles)
    above = measure_scores(quantiles, np.array([[2.5]]), unit, LEVELS)[0, 0]
    np.testing.assert_allclose(above, [FAR, FAR, 0, -0.5, -1.5])
    below = measure_scores(quantiles, np.array([[1.0]]), unit, LEVELS)[0, 0]
    np.testing.assert_allclose(below, [1, 0.5, 0, -FAR, -FAR])


def test_missing_targets_count_for_nothing():
    quantiles, actual = make_windows()
    unit = np.ones_like(quantiles)
    whole = measure_shifts(measure_scores(quantiles, actual, unit, LEVELS), LEVELS, (0.0,))
    more = np.concatenate([actual, np.full_like(actual, np.nan)])
    twice, ones = np.concatenate([quantiles] * 2), np.concatenate([unit] * 2)
    holed = measure_shifts(measure_scores(twice, more, ones, LEVELS), LEVELS, (0.0,))
    np.testing.assert_array_equal(holed, whole)
    nothing = measure_scores(quantiles, actual * np.nan, unit, LEVELS)
    assert (measure_shifts(nothing, LEVELS, (0.0,)) == 0).all()


def test_a_step_with_few_windows_takes_in_its_neighbours():
    quantiles, actual = make_windows(20, horizon=40)
    scores = measure_scores(quantiles, actual, np.ones_like(quantiles), LEVELS)
    shifts = measure_shifts(scores, LEVELS, (0.0,))[:, :, 0]
    # 20 scores a step, 200 wanted at the outer levels: each step sees ten steps at least.
    assert len(np.unique(shifts[:, 0])) < 40
    assert np.abs(np.diff(shifts[:, 0])).max() < 0.6

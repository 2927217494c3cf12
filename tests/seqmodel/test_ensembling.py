"""Several forecasts as one: laws of the combination and of the weights."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seqmodel.ensembling import combine_forecasts, keep_ascending, learn_weights

LEVELS = (0.1, 0.5, 0.9)
HOWS = ("median", "mean", "weights")
numbers = st.floats(-1e6, 1e6, allow_nan=False)


def ascending(count=4, horizon=3):
    return arrays(float, (count, horizon, 3), elements=numbers).map(lambda a: np.sort(a, axis=-1))


@given(one=ascending(), how=st.sampled_from(HOWS))
def test_an_ensemble_of_one_says_what_its_member_says(one, how):
    np.testing.assert_array_equal(combine_forecasts([one], [LEVELS], LEVELS, how), one)


@given(
    members=st.lists(ascending(), min_size=2, max_size=4),
    how=st.sampled_from(HOWS),
    data=st.data(),
)
def test_a_combination_ascends_and_stays_between_its_members(members, how, data):
    shares = st.lists(st.floats(0.01, 1), min_size=len(members), max_size=len(members))
    weights = data.draw(shares) if how == "weights" else None
    found = combine_forecasts(members, [LEVELS] * len(members), LEVELS, how, weights)
    assert (np.diff(found, axis=-1) >= 0).all()
    edge = 1e-9 * np.abs(members).max()
    assert (found >= np.min(members, axis=0) - edge).all()
    assert (found <= np.max(members, axis=0) + edge).all()


@given(quantiles=arrays(float, (3, 2, 5), elements=numbers))
def test_what_crosses_is_moved_and_the_median_is_not(quantiles):
    found = keep_ascending(quantiles, (0.05, 0.1, 0.5, 0.9, 0.95))
    assert (np.diff(found, axis=-1) >= 0).all()
    np.testing.assert_array_equal(found[:, :, 2], quantiles[:, :, 2])
    np.testing.assert_array_equal(keep_ascending(found, (0.05, 0.1, 0.5, 0.9, 0.95)), found)


def test_a_member_counts_at_the_levels_that_it_knows():
    point, whole = np.full((2, 2, 1), 4.0), np.stack([np.full((2, 2), v) for v in (0, 2, 9.0)], -1)
    found = combine_forecasts([point, whole], [(0.5,), LEVELS], LEVELS, "mean")
    np.testing.assert_array_equal(found[0, 0], [0, 3, 9])


def make_members(seed=0, windows=60):
    """One that knows, one that guesses, and what came."""
    rng = np.random.default_rng(seed)
    actual = rng.normal(size=(windows, 4))
    spread = np.array([-0.3, 0.0, 0.3])
    good = (actual + 0.1 * rng.normal(size=actual.shape))[:, :, None] + spread
    poor = 2 * rng.normal(size=actual.shape)[:, :, None] + spread
    return good, poor, actual


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 99), count=st.integers(1, 4))
def test_weights_are_shares_and_no_worse_than_the_best_member(seed, count):
    good, poor, actual = make_members(seed)
    members = [good, poor, good + 0.2, poor - 0.1][:count]
    weights = learn_weights(members, [LEVELS] * count, LEVELS, actual, np.ones(len(actual)))
    assert min(weights) >= 0
    assert sum(weights) == pytest.approx(1)

    def lose(forecast):
        error = actual[:, :, None] - forecast
        return np.maximum(np.array(LEVELS) * error, (np.array(LEVELS) - 1) * error).mean()

    whole = combine_forecasts(members, [LEVELS] * count, LEVELS, "weights", weights)
    assert lose(whole) <= min(map(lose, members)) + 1e-12


def test_a_member_that_guesses_gets_no_weight():
    good, poor, actual = make_members()
    assert learn_weights([poor, good], [LEVELS] * 2, LEVELS, actual, np.ones(60))[1] > 0.9


def test_a_level_is_never_left_without_a_member():
    good, poor, actual = make_members()
    weights = learn_weights(
        [good[:, :, 1:2], poor], [(0.5,), LEVELS], LEVELS, actual, np.ones(len(actual))
    )
    assert weights[1] > 0


def test_missing_targets_are_left_out():
    good, poor, actual = make_members()
    holed = np.where(np.arange(actual.size).reshape(actual.shape) % 3 == 0, np.nan, actual)
    assert learn_weights([good, poor], [LEVELS] * 2, LEVELS, holed, np.ones(60))[0] > 0.9
    nothing = learn_weights([good, poor], [LEVELS] * 2, LEVELS, actual * np.nan, np.ones(60))
    assert sum(nothing) == pytest.approx(1)

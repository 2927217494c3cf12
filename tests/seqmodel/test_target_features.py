"""Rolling statistics, lags, the newest value and the age, against loops that are plainly right."""

from typing import get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel import target_features
from seqmodel.specs import RollingSpec
from seqmodel.target_features import AGE_UNIT, STATISTICS, hold, measure_age, roll, shift

NUMBER = st.one_of(st.just(np.nan), st.floats(-1e6, 1e6))
SERIES = st.lists(st.lists(NUMBER, min_size=1, max_size=20), min_size=1, max_size=4)


def lay_out(series):
    """Values one behind the other, and for each the position where its series begins."""
    lengths = [len(s) for s in series]
    begins = np.repeat(np.cumsum([0, *lengths[:-1]]), lengths)
    return np.array([v for s in series for v in s]), begins


def same(a, b):
    return np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.mark.parametrize("statistic", STATISTICS)
@settings(deadline=None, max_examples=50)
@given(series=SERIES, steps=st.integers(2, 25))
def test_a_rolling_statistic_is_that_of_pandas(statistic, series, steps):
    values, begins = lay_out(series)
    found = roll(values, begins, statistic, steps)
    slow = []
    for one in series:
        for end in range(1, len(one) + 1):
            block = pd.Series(one[max(end - steps, 0) : end], dtype=float)
            slow.append(block.std(ddof=0) if statistic == "std" else getattr(block, statistic)())
    np.testing.assert_allclose(found, slow, rtol=1e-9, atol=1e-4 if statistic == "std" else 1e-9)


@pytest.mark.parametrize("statistic", STATISTICS)
@settings(deadline=None, max_examples=25)
@given(before=SERIES, series=st.lists(NUMBER, min_size=1, max_size=30), after=SERIES)
def test_a_rolling_statistic_knows_no_other_series(statistic, before, series, after):
    values, begins = lay_out([*before, series, *after])
    place = sum(map(len, before))
    among = roll(values, begins, statistic, 5)[place : place + len(series)]
    assert same(among, roll(*lay_out([series]), statistic, 5))


@pytest.mark.parametrize("statistic", STATISTICS)
@settings(deadline=None, max_examples=25)
@given(
    old=st.lists(NUMBER, max_size=12),
    steps=st.integers(2, 12),
    data=st.data(),
)
def test_a_rolling_statistic_does_not_know_what_came_before_its_steps(statistic, old, steps, data):
    newest = data.draw(st.lists(NUMBER, min_size=steps, max_size=steps))
    long = roll(*lay_out([[*old, *newest]]), statistic, steps)[-1]
    assert same(long, roll(*lay_out([newest]), statistic, steps)[-1])


@pytest.mark.parametrize("statistic", STATISTICS)
def test_blocks_of_any_size_give_the_same(statistic, monkeypatch):
    rng = np.random.default_rng(0)
    values, begins = lay_out([rng.normal(size=40), rng.normal(size=31)])
    whole = roll(values, begins, statistic, 7)
    monkeypatch.setattr(target_features, "CELLS", 21)
    assert same(whole, roll(values, begins, statistic, 7))


def test_a_constant_has_no_deviation_however_large():
    assert (roll(*lay_out([[1e9] * 10]), "std", 4) == 0).all()


def test_every_statistic_can_be_named_in_a_spec():
    assert set(get_args(RollingSpec.model_fields["statistic"].annotation)) == set(STATISTICS)


@settings(deadline=None)
@given(series=SERIES, lag=st.integers(1, 25))
def test_a_lag_is_the_value_so_long_ago_in_the_same_series(series, lag):
    slow = [s[i - lag] if i >= lag else np.nan for s in series for i in range(len(s))]
    np.testing.assert_array_equal(shift(*lay_out(series), lag), slow)


@settings(deadline=None)
@given(series=SERIES, most=st.none() | st.integers(0, 8))
def test_what_is_held_is_the_newest_value_of_the_series(series, most):
    slow = []
    for one in series:
        for i in range(len(one)):
            oldest = 0 if most is None else max(i - most, 0)
            seen = [v for v in one[oldest : i + 1] if np.isfinite(v)]
            slow.append(seen[-1] if seen else np.nan)
    np.testing.assert_array_equal(hold(*lay_out(series), most), slow)


@given(age=st.integers(-5, 10**7))
def test_age_grows_from_zero_and_is_zero_before_birth(age):
    a, b = measure_age(np.array([age, age + 1]), np.array([0, 0]))
    assert a == pytest.approx(np.log1p(max(age, 0)) / AGE_UNIT)
    assert b > a if age >= 0 else a == b == 0 or age == -1

"""Scaling can be undone, whatever the series looks like."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seqmodel.scaling import Scaler

NUMBERS = st.floats(-1e12, 1e12, allow_subnormal=False)


def spread_out(count, size):
    return (np.arange(size) % count).astype(np.int32)


@given(
    values=arrays(np.float64, st.integers(1, 40), elements=NUMBERS),
    count=st.integers(1, 5),
)
def test_what_is_transformed_comes_back(values, count):
    series = spread_out(count, len(values))
    scaler = Scaler.fit(values, series, count)
    back = scaler.inverse(scaler.transform(values, series), series)
    np.testing.assert_allclose(back, values, rtol=1e-9, atol=1e-9 * np.abs(values).max())


@given(
    values=arrays(np.float64, st.integers(2, 40), elements=NUMBERS),
)
def test_scaled_training_rows_stay_small(values):
    series = np.zeros(len(values), np.int32)
    scaled = Scaler.fit(values, series, 1).transform(values, series)
    assert np.abs(scaled).max() <= np.sqrt(len(values)) + 1


def test_the_statistics_are_mean_and_standard_deviation():
    rng = np.random.default_rng(0)
    values, series = rng.normal(5, 3, 300), rng.integers(0, 3, 300).astype(np.int32)
    scaler = Scaler.fit(values, series, 3)
    for s in range(3):
        assert scaler.mean[s] == pytest.approx(values[series == s].mean(), rel=1e-13)
        assert scaler.spread[s] == pytest.approx(values[series == s].std(), rel=1e-13)


@pytest.mark.parametrize("level", [0.0, 1.0, -3.0, 0.1, 1e-6, 1e9, 1e15])
def test_a_constant_series_has_the_spread_one(level):
    scaler = Scaler.fit(np.full(1001, level), np.zeros(1001, np.int32), 1)
    assert scaler.spread[0] == 1
    assert scaler.mean[0] == pytest.approx(level)


@pytest.mark.parametrize(
    ("level", "spread"), [(0.0, 1e-13), (1e-12, 1e-12), (1e9, 100.0), (1e12, 1e3)]
)
def test_a_small_signal_is_scaled_to_one_on_any_level(level, spread):
    values = level + spread * np.tile([-1.0, 1.0], 50)
    series = np.zeros(100, np.int32)
    scaled = Scaler.fit(values, series, 1).transform(values, series)
    assert np.abs(scaled).max() == pytest.approx(1, rel=1e-3)


def test_missing_values_are_left_out():
    values = np.array([1.0, np.nan, 3.0, np.inf])
    scaler = Scaler.fit(values, np.zeros(4, np.int32), 1)
    assert (scaler.mean[0], scaler.spread[0]) == (2, 1)


def test_a_series_without_values_gets_the_mean_of_the_others():
    values, series = np.array([0.0, 2, 10, 14]), np.array([0, 0, 2, 2], np.int32)
    scaler = Scaler.fit(values, series, 3)
    assert (scaler.mean[1], scaler.spread[1]) == (6.5, 1.5)


def test_no_values_at_all_leave_everything_as_it_is():
    scaler = Scaler.fit(np.array([]), np.array([], np.int32), 2)
    assert scaler.mean.tolist() == [0, 0]
    assert scaler.spread.tolist() == [1, 1]


def test_one_series_does_not_touch_another():
    rng = np.random.default_rng(1)
    values, series = rng.normal(size=60), spread_out(3, 60)
    changed = np.where(series == 2, 1e9, values)
    a, b = Scaler.fit(values, series, 3), Scaler.fit(changed, series, 3)
    assert a.mean[:2].tolist() == b.mean[:2].tolist()
    assert a.spread[:2].tolist() == b.spread[:2].tolist()


def test_quantiles_of_windows_come_back_by_their_series():
    scaler = Scaler(mean=np.array([1.0, 10]), spread=np.array([2.0, 3]))
    back = scaler.inverse(np.ones((2, 4, 3)), np.array([1, 0], np.int32))
    assert back.shape == (2, 4, 3)
    assert (back[0] == 13).all()
    assert (back[1] == 3).all()


@given(
    mean=arrays(np.float64, 3, elements=st.floats(allow_nan=False, allow_infinity=False)),
    spread=arrays(np.float64, 3, elements=st.floats(1e-300, 1e300)),
)
def test_json_keeps_every_bit(mean, spread):
    scaler = Scaler(mean=mean, spread=spread)
    back = Scaler.from_json(json.loads(json.dumps(scaler.to_json())))
    assert back.mean.tobytes() == mean.tobytes()
    assert back.spread.tobytes() == spread.tobytes()


def test_series_are_taken_in_another_order_and_the_unseen_by_their_own_rows():
    seen = Scaler(mean=np.array([1.0, 2]), spread=np.array([3.0, 4]))
    own = Scaler(mean=np.array([7.0, 8, 9]), spread=np.array([5.0, 6, 7]))
    taken = seen.take(np.array([1, -1, 0]), own)
    assert taken.mean.tolist() == [2, 8, 1]
    assert taken.spread.tolist() == [4, 6, 3]


def test_without_any_series_seen_all_are_scaled_by_their_own_rows():
    own = Scaler(mean=np.array([7.0]), spread=np.array([5.0]))
    assert Scaler(np.array([]), np.array([])).take(np.array([-1]), own) is own

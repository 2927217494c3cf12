"""Scaling can be undone, whatever the series looks like."""

import json
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seqmodel.scaling import IQR, SCALES, Scaler, bend, choose_curve, unbend
from seqmodel.specs import Scale, ScalingSpec

NUMBERS = st.floats(-1e12, 1e12, allow_subnormal=False)
EVERY = st.sampled_from(sorted(SCALES))
CURVES = tuple(c for c in get_args(ScalingSpec.model_fields["transform"].annotation) if c != "auto")
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def blocks(values, count):
    """Series one after the other, about as long as each other."""
    return (np.arange(len(values)) * count // max(len(values), 1)).astype(np.int32)


def close(back, values):
    np.testing.assert_allclose(
        back, values, rtol=1e-9, atol=1e-9 * np.abs(np.nan_to_num(values)).max(initial=0)
    )


def test_every_scale_of_the_spec_is_there():
    assert set(SCALES) == set(get_args(Scale))


@settings(deadline=None, max_examples=50)
@given(
    values=arrays(np.float64, st.integers(1, 40), elements=NUMBERS | st.just(np.nan)),
    count=st.integers(1, 5),
    scale=EVERY,
    season=st.integers(1, 9),
)
def test_what_is_transformed_comes_back(values, count, scale, season):
    series = blocks(values, count)
    scaler = Scaler.fit(values, series, count, scale, season)
    assert (scaler.spread > 0).all()
    assert np.isfinite(scaler.location).all()
    back = scaler.inverse(scaler.transform(values, np.bincount(series, minlength=count)), series)
    close(back, values)
    if scale == "none":
        np.testing.assert_array_equal(back, values)


WEIRD = {
    "constant": np.full(60, 3.7),
    "zero": np.zeros(60),
    "nearly zero": np.tile([1e-300, 2e-300, -1e-300], 20),
    "subnormal": np.tile([5e-324, 1e-310, 0.0], 20),
    "huge with a small signal": 1e15 + np.tile([0.0, 1.0, 2.5], 20),
    "one spike": np.r_[np.zeros(59), 1e12],
    "all missing": np.full(60, np.nan),
    "one row": np.r_[42.0, np.full(59, np.nan)],
    "ascending": np.arange(60.0),
    "both ends": np.tile([-1e150, 1e150], 30),
}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("values", WEIRD.values(), ids=WEIRD)
def test_a_weird_series_comes_back_and_leaves_finite_numbers(values, scale):
    series = np.zeros(60, np.int32)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        scaler = Scaler.fit(values, series, 1, scale, 7)
        scaled = scaler.transform(values, np.bincount(series))
        back = scaler.inverse(scaled, series)
    close(back, values)
    assert np.isfinite(scaled[np.isfinite(values)]).all()
    assert scaler.spread[0] > 0
    forecast = scaler.inverse(np.random.default_rng(0).normal(size=(1, 4, 3)), np.array([0]))
    assert np.isfinite(forecast).all()


@pytest.mark.parametrize("scale", SCALES)
def test_weird_series_do_not_harm_each_other(scale):
    values = np.concatenate(list(WEIRD.values()))
    series = np.repeat(np.arange(len(WEIRD)), 60)
    together = Scaler.fit(values, series, len(WEIRD), scale, 7)
    for s, one in enumerate(WEIRD.values()):
        if np.isfinite(one).any():
            alone = Scaler.fit(one, np.zeros(60, np.int32), 1, scale, 7)
            assert together.location[s] == alone.location[0]
            assert together.spread[s] == alone.spread[0]


@settings(deadline=None, max_examples=50)
@given(
    values=arrays(np.float64, st.integers(1, 40), elements=NUMBERS),
    scale=EVERY,
    levels=arrays(np.float64, (2, 3, 5), elements=st.floats(-1e6, 1e6)),
)
def test_quantiles_keep_their_order(values, scale, levels):
    scaler = Scaler.fit(values, blocks(values, 2), 2, scale, 3)
    back = scaler.inverse(np.sort(levels, axis=2), np.array([1, 0]))
    assert (np.diff(back, axis=2) >= 0).all()


@settings(deadline=None, max_examples=50)
@given(
    values=arrays(np.float64, st.integers(2, 40), elements=NUMBERS),
    cut=st.integers(1, 39),
    scale=EVERY,
    garbage=st.floats(-1e15, 1e15),
)
def test_only_the_rows_given_count(values, cut, scale, garbage):
    """Rows that are masked may hold anything, and may as well not be there."""
    rows = np.arange(len(values)) < cut
    changed = np.where(rows, values, garbage)
    one = np.zeros(len(values), np.int32)
    found = [Scaler.fit(np.where(rows, v, np.nan), one, 1, scale, 3) for v in (values, changed)]
    found.append(Scaler.fit(values[:cut], one[:cut], 1, scale, 3))
    assert len({(s.location.tobytes(), s.spread.tobytes()) for s in found}) == 1


@settings(deadline=None, max_examples=50)
@given(
    series=st.lists(
        st.lists(NUMBERS | st.just(np.nan), min_size=1, max_size=12), min_size=2, max_size=5
    ),
    scale=EVERY,
    order=st.randoms(use_true_random=False),
)
def test_the_order_of_the_series_does_not_matter(series, scale, order):
    def fit(chosen):
        values = np.array([v for s in chosen for v in series[s]])
        numbers = np.repeat(np.arange(len(chosen)), [len(series[s]) for s in chosen])
        return Scaler.fit(values, numbers, len(chosen), scale, 2)

    places = list(range(len(series)))
    other = order.sample(places, len(places))
    a, b = fit(places), fit(other)
    for i, s in enumerate(other):
        if np.isfinite(series[s]).any():
            assert b.location[i] == a.location[s]
            assert b.spread[i] == a.spread[s]
        else:
            assert b.spread[i] == pytest.approx(a.spread[s])


@settings(deadline=None, max_examples=50)
@given(values=arrays(np.float64, st.integers(2, 40), elements=NUMBERS))
def test_scaled_training_rows_stay_small(values):
    series = np.zeros(len(values), np.int32)
    scaled = Scaler.fit(values, series, 1).transform(values, len(values))
    assert np.abs(scaled).max() <= np.sqrt(len(values)) + 1


def measure_slowly(values, scale, season):
    """Location and spread of one series without holes."""
    quartiles = np.quantile(values, [0.25, 0.5, 0.75])
    return {
        "none": (0, 1),
        "standard": (values.mean(), values.std()),
        "robust": (quartiles[1], (quartiles[2] - quartiles[0]) / IQR),
        "mean_abs": (0, np.abs(values).mean()),
        "min_max": (values.min(), np.ptp(values)),
        "last": (values[-1], values.std()),
        "seasonal": (values.mean(), np.abs(values[season:] - values[:-season]).mean()),
    }[scale]


@pytest.mark.parametrize("scale", SCALES)
def test_the_statistics_are_what_their_names_say(scale):
    rng = np.random.default_rng(0)
    lengths = [100, 37, 250]
    values, series = rng.normal(5, 3, sum(lengths)), np.repeat(np.arange(3), lengths)
    scaler = Scaler.fit(values, series, 3, scale, 24)
    for s in range(3):
        location, spread = measure_slowly(values[series == s], scale, 24)
        assert scaler.location[s] == pytest.approx(location, rel=1e-12)
        assert scaler.spread[s] == pytest.approx(spread, rel=1e-12)


def test_seasonal_compares_observed_steps_of_one_series_that_lie_a_season_apart():
    values = np.array([1.0, 2, np.nan, 5, np.nan, 4, 100, 200, 107])
    series = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1])
    scaler = Scaler.fit(values, series, 2, "seasonal", 2)
    assert scaler.spread.tolist() == [2, 7]  # |5 - 2|, |4 - 5|; |107 - 100|


def test_a_series_shorter_than_a_season_takes_its_standard_deviation():
    values = np.array([1.0, 2, 6])
    assert Scaler.fit(values, np.zeros(3, int), 1, "seasonal", 9).spread[0] == values.std()


def test_an_intermittent_series_takes_its_standard_deviation_where_its_quartiles_are_zero():
    values = np.r_[np.zeros(90), np.ones(10)]
    assert Scaler.fit(values, np.zeros(100, int), 1, "robust").spread[0] == values.std()


@pytest.mark.parametrize("scale", ["standard", "robust", "min_max", "last", "seasonal"])
@pytest.mark.parametrize("level", [0.0, 1.0, -3.0, 0.1, 1e-6, 1e9, 1e15])
def test_a_constant_series_has_the_spread_one(level, scale):
    scaler = Scaler.fit(np.full(1001, level), np.zeros(1001, np.int32), 1, scale, 24)
    assert scaler.spread[0] == 1
    assert scaler.location[0] == pytest.approx(level)


@pytest.mark.parametrize(
    ("level", "spread"), [(0.0, 1e-13), (1e-12, 1e-12), (1e9, 100.0), (1e12, 1e5)]
)
def test_a_small_signal_is_scaled_to_one_on_any_level(level, spread):
    values = level + spread * np.tile([-1.0, 1.0], 50)
    series = np.zeros(100, np.int32)
    scaled = Scaler.fit(values, series, 1).transform(values, len(values))
    assert np.abs(scaled).max() == pytest.approx(1, rel=1e-3)


def test_missing_values_are_left_out():
    values = np.array([1.0, np.nan, 3.0, np.inf])
    scaler = Scaler.fit(values, np.zeros(4, np.int32), 1)
    assert (scaler.location[0], scaler.spread[0]) == (2, 1)


def test_a_series_without_values_gets_the_mean_of_the_others():
    values, series = np.array([0.0, 2, 10, 14]), np.array([0, 0, 2, 2], np.int32)
    scaler = Scaler.fit(values, series, 3)
    assert (scaler.location[1], scaler.spread[1]) == (6.5, 1.5)


@pytest.mark.parametrize("scale", SCALES)
def test_no_values_at_all_leave_everything_as_it_is(scale):
    for values in (np.array([]), np.full(4, np.nan)):
        scaler = Scaler.fit(values, blocks(values, 2), 2, scale)
        assert scaler.location.tolist() == [0, 0]
        assert scaler.spread.tolist() == [1, 1]


def test_forecasts_of_windows_come_back_by_their_series():
    scaler = Scaler(location=np.array([1.0, 10]), spread=np.array([2.0, 3]))
    back = scaler.inverse(np.ones((2, 4, 3)), np.array([1, 0], np.int32))
    assert back.shape == (2, 4, 3)
    assert (back[0] == 13).all()
    assert (back[1] == 3).all()


@settings(deadline=None, max_examples=50)
@given(
    location=arrays(np.float64, 3, elements=FINITE),
    spread=arrays(np.float64, 3, elements=st.floats(1e-300, 1e300)),
)
def test_json_keeps_every_bit(location, spread):
    scaler = Scaler(location=location, spread=spread)
    back = Scaler.from_json(json.loads(json.dumps(scaler.to_json())))
    assert back.location.tobytes() == location.tobytes()
    assert back.spread.tobytes() == spread.tobytes()


def test_series_are_taken_in_another_order_and_the_unseen_by_their_own_rows():
    seen = Scaler(location=np.array([1.0, 2]), spread=np.array([3.0, 4]))
    own = Scaler(location=np.array([7.0, 8, 9]), spread=np.array([5.0, 6, 7]))
    taken = seen.take(np.array([1, -1, 0]), own)
    assert taken.location.tolist() == [2, 8, 1]
    assert taken.spread.tolist() == [4, 6, 3]


def test_without_any_series_seen_all_are_scaled_by_their_own_rows():
    own = Scaler(location=np.array([7.0]), spread=np.array([5.0]))
    assert Scaler(np.array([]), np.array([])).take(np.array([-1]), own) is own


def test_the_unseen_get_the_mean_of_all_series_and_the_seen_keep_their_own():
    fitted = Scaler(location=np.array([1.0, 3]), spread=np.array([2.0, 6]))
    own = Scaler(location=np.array([7.0, 8]), spread=np.array([5.0, 6]))
    found = fitted.average(own, np.array([True, False]))
    assert found.location.tolist() == [7, 2]
    assert found.spread.tolist() == [5, 4]
    nothing = Scaler(np.array([]), np.array([]))
    assert nothing.average(own, np.array([True, False])) is own


# Curves -------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=50)
@given(
    values=arrays(np.float64, st.integers(1, 9), elements=st.floats(-1e300, 1e300)),
    curve=st.sampled_from(CURVES),
)
def test_a_curve_is_undone(values, curve):
    np.testing.assert_allclose(unbend(bend(values, curve), curve), values, rtol=1e-12, atol=0)
    if curve == "none":
        np.testing.assert_array_equal(bend(values, curve), values)


@settings(deadline=None, max_examples=50)
@given(
    values=arrays(np.float64, st.integers(2, 20), elements=FINITE), curve=st.sampled_from(CURVES)
)
def test_a_curve_is_odd_and_ascends(values, curve):
    values = np.sort(values)
    for apply in (bend, unbend):
        found = apply(values, curve)
        np.testing.assert_array_equal(apply(-values, curve), -found)
        half = found / 2  # room below the largest number
        assert (half[1:] >= half[:-1] - 1e-15 * np.abs(half[:-1])).all()  # or the last bit
        assert (np.sign(found) == np.sign(values)).all()


@settings(deadline=None, max_examples=50)
@given(values=arrays(np.float64, 5, elements=FINITE), curve=st.sampled_from(CURVES))
def test_no_finite_number_becomes_infinite(values, curve):
    with np.errstate(over="raise"):
        assert np.isfinite(bend(values, curve)).all()
        assert np.isfinite(unbend(values, curve)).all()


@pytest.mark.parametrize("curve", CURVES)
def test_what_is_missing_stays_missing_under_a_curve(curve):
    values = np.array([np.nan, 1.0])
    assert np.isnan(bend(values, curve)).tolist() == [True, False]
    assert np.isnan(unbend(values, curve)).tolist() == [True, False]


@pytest.mark.parametrize(
    ("values", "curve"),
    [
        ([0.0, 5.0, np.nan], "log1p"),
        ([-0.1, 5.0, np.nan], "none"),
        ([np.nan], "none"),
        ([], "none"),
    ],
)
def test_auto_is_a_logarithm_where_nothing_is_below_zero(values, curve):
    assert choose_curve("auto", np.array(values)) == curve
    assert choose_curve("asinh", np.array(values)) == "asinh"

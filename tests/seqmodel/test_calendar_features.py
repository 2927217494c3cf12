"""Cycles of the calendar, read off a clock on the wall."""

from typing import get_args

import numpy as np
import pandas as pd
import pytest

from seqmodel.calendar_features import CYCLES, HOUR, choose_cycles, make_calendar
from seqmodel.specs import FeatureSpec


def at(*moments):
    return pd.DatetimeIndex(moments).as_unit("us").asi8


def share(moment, cycle, timezone=None):
    """Which part of the cycle has passed, from the point on the circle."""
    sin, cos = make_calendar(at(moment), (cycle,), timezone)[0]
    return (np.arctan2(sin, cos) / (2 * np.pi)) % 1


@pytest.mark.parametrize(
    ("cycle", "moment", "passed"),
    [
        ("hour", "2024-05-06T00:00", 0),
        ("hour", "2024-05-06T18:00", 0.75),
        ("hour", "2024-05-06T06:30", 6.5 / 24),
        ("weekday", "2024-05-06T23:00", 0),  # a Monday
        ("weekday", "2024-05-12T00:00", 6 / 7),
        ("day_of_year", "2024-01-01", 0),
        ("day_of_year", "2024-12-31", 365 / 365.25),
        ("month", "2024-04-30", 0.25),
        ("month", "2024-12-01", 11 / 12),
    ],
)
def test_a_cycle_is_where_the_calendar_says(cycle, moment, passed):
    assert share(moment, cycle) == pytest.approx(passed, abs=1e-9)


@pytest.mark.parametrize("cycle", CYCLES)
def test_a_share_is_at_least_zero_and_below_one(cycle):
    moments = pd.date_range("1999-12-25", "2001-01-07", freq="37min", tz="UTC")
    shares = CYCLES[cycle](moments)
    assert shares.min() >= 0
    assert shares.max() < 1


@pytest.mark.parametrize("cycle", CYCLES)
def test_every_cycle_can_be_named_in_a_spec(cycle):
    assert FeatureSpec(calendar=(cycle,)).calendar == (cycle,)
    allowed = get_args(get_args(get_args(FeatureSpec.model_fields["calendar"].annotation)[0])[0])
    assert set(allowed) == set(CYCLES)


def test_the_zone_moves_the_clock_and_follows_its_summer_time():
    assert share("2024-01-15T05:00", "hour", "Europe/Berlin") == pytest.approx(0.25)
    assert share("2024-07-15T04:00", "hour", "Europe/Berlin") == pytest.approx(0.25)


def test_sine_and_cosine_stand_side_by_side_for_each_cycle():
    found = make_calendar(at("2024-05-06T06:00", "2024-05-06T12:00"), ("hour", "month"), None)
    assert found.shape == (2, 4)
    np.testing.assert_allclose(found[:, :2], [[1, 0], [0, -1]], atol=1e-12)


def test_no_cycles_make_no_columns():
    assert make_calendar(at("2024-01-01", "2024-01-02"), (), None).shape == (2, 0)


@pytest.mark.parametrize(
    ("step", "cycles"),
    [
        (HOUR // 4, ("hour", "weekday", "day_of_year")),
        (HOUR, ("hour", "weekday", "day_of_year")),
        (24 * HOUR, ("weekday", "day_of_year")),
        (7 * 24 * HOUR, ("day_of_year",)),
        (None, ("month",)),
    ],
)
def test_a_grid_sees_the_cycles_longer_than_its_step(step, cycles):
    assert choose_cycles(step) == cycles

"""Cycles of the calendar and holidays, read off a clock on the wall."""

import sys
from datetime import date, timedelta
from typing import get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from seqmodel.calendar_features import (
    CYCLES,
    HOLIDAYS,
    choose_cycles,
    make_calendar,
    make_holidays,
    read_wall,
)
from seqmodel.errors import SpecError
from seqmodel.grid import Grid
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
    moments = pd.date_range("1999-12-25", "2001-01-07", freq="37min")
    shares = CYCLES[cycle](pa.array(moments))
    assert shares.min() >= 0
    assert shares.max() < 1


@pytest.mark.parametrize("cycle", CYCLES)
def test_every_cycle_can_be_named_in_a_spec(cycle):
    assert FeatureSpec(calendar=(cycle,)).calendar == (cycle,)
    allowed = get_args(get_args(get_args(FeatureSpec.model_fields["calendar"].annotation)[0])[0])
    assert set(allowed) == set(CYCLES)


@settings(deadline=None)
@given(
    moments=st.lists(st.integers(-(10**16), 7 * 10**15), min_size=1, max_size=50),
    zone=st.sampled_from([None, "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]),
)
def test_the_wall_shows_what_the_calendar_of_pandas_says(moments, zone):
    wall = read_wall(np.array(moments), zone)
    local = pd.to_datetime(moments, unit="us", utc=True).tz_convert(zone or "UTC")
    time = local.hour + local.minute / 60 + local.second / 3600
    assert CYCLES["hour"](wall).tolist() == (time / 24).tolist()
    assert CYCLES["weekday"](wall).tolist() == (local.day_of_week / 7).tolist()
    assert CYCLES["day_of_year"](wall).tolist() == ((local.day_of_year - 1) / 365.25).tolist()
    assert CYCLES["month"](wall).tolist() == ((local.month - 1) / 12).tolist()


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
    ("freq", "cycles"),
    [
        ("15min", ("hour", "weekday", "day_of_year")),
        ("h", ("hour", "weekday", "day_of_year")),
        ("D", ("weekday", "day_of_year")),
        ("B", ("weekday", "day_of_year")),
        ("7D", ("day_of_year",)),
        ("W-MON", ("day_of_year",)),
        ("2W-SUN", ("day_of_year",)),
        ("MS", ("month",)),
        ("ME", ("month",)),
        ("QS", ("month",)),
        ("QE-NOV", ("month",)),
        ("YS", ()),
        ("YE-MAR", ()),
    ],
)
def test_a_grid_sees_the_cycles_longer_than_its_step(freq, cycles):
    assert choose_cycles(Grid(freq)) == cycles


@pytest.mark.parametrize("freq", ["h", "D", "B", "W-MON", "MS", "QS"])
def test_a_cycle_that_is_chosen_moves(freq):
    """One that stood still would be a feature without a message."""
    grid = Grid(freq)
    begin = int(grid.number(at("2023-01-02"))[0])
    found = make_calendar(grid.moment(begin + np.arange(60)), choose_cycles(grid), None)
    assert (np.ptp(found, axis=0) > 1e-3).all()


#: Region, holiday, an ordinary date of which neither neighbour is a holiday.
KNOWN = [
    ("DE", "2024-10-03", "2024-10-08"),
    ("DE", "2024-12-25", "2024-10-08"),
    ("DE-BY", "2024-11-01", "2024-10-08"),
    ("US", "2024-07-04", "2024-10-03"),
    ("US-NY", "2024-02-12", "2024-10-03"),  # Lincoln's birthday, not a holiday of all states
]


@pytest.mark.parametrize(("region", "holiday", "ordinary"), KNOWN)
def test_a_holiday_is_marked_on_its_date_its_eve_and_the_day_after(region, holiday, ordinary):
    assert HOLIDAYS == ("holiday", "holiday_eve", "holiday_after")
    days = pd.Timestamp(holiday) + pd.to_timedelta([0, -1, 1], unit="D")
    found = make_holidays(at(*days), region, None)
    assert (np.diag(found) == 1).all()
    assert make_holidays(at(ordinary), region, None).tolist() == [[0, 0, 0]]


def test_a_holiday_of_one_region_is_none_in_another():
    assert make_holidays(at("2024-10-03"), "US-NY", None)[0, 0] == 0
    assert make_holidays(at("2024-11-01"), "DE", None)[0, 0] == 0


@pytest.mark.parametrize(
    ("region", "zone", "first", "last"),
    [
        # Two days of Christmas.
        ("DE", "Europe/Berlin", "2024-12-24T23:00", "2024-12-26T22:59"),
        ("DE", "Europe/Berlin", "2024-04-30T22:00", "2024-05-01T21:59"),
        ("US-NY", "America/New_York", "2024-07-04T04:00", "2024-07-05T03:59"),
        ("US-NY", None, "2024-07-04T00:00", "2024-07-04T23:59"),
    ],
)
def test_a_holiday_begins_and_ends_at_local_midnight(region, zone, first, last):
    minute = pd.Timedelta(minutes=1)
    first, last = pd.Timestamp(first), pd.Timestamp(last)
    found = make_holidays(at(first - minute, first, last, last + minute), region, zone)[:, 0]
    assert found.tolist() == [0, 1, 1, 0]


@settings(deadline=None, max_examples=30)
@given(
    region=st.sampled_from(["DE", "US-NY"]),
    day=st.dates(date(2000, 1, 1), date(2035, 12, 31)),
    days=st.integers(1, 5),
)
def test_a_date_is_marked_the_same_whatever_stands_beside_it(region, day, days):
    """Also on the first of January, whose eve is another year's."""
    around = [day + timedelta(days=i) for i in range(-400, 400, 1)]
    whole = make_holidays(at(*around), region, None)
    place = around.index(day)
    few = make_holidays(at(*around[place : place + days]), region, None)
    np.testing.assert_array_equal(few, whole[place : place + days])


@settings(deadline=None, max_examples=20)
@given(day=st.dates(date(2000, 1, 1), date(2035, 12, 31)))
def test_the_eve_is_tomorrows_holiday(day):
    today, tomorrow = make_holidays(at(day, day + timedelta(days=1)), "US-NY", None)
    assert today[1] == tomorrow[0]
    assert tomorrow[2] == today[0]


def test_the_new_year_observed_in_the_old_one_is_remembered():
    # 2022-01-01 was a Saturday: observed on Friday, the 31st of December.
    assert make_holidays(at("2022-01-01"), "US", None)[0].tolist() == [1, 0, 1]


def test_no_moments_have_no_holidays():
    assert make_holidays(at(), "DE", None).shape == (0, 3)


@pytest.mark.parametrize("region", ["QQ", "DE-QQ", "US-BY"])
def test_an_unknown_region_is_refused_in_a_sentence(region):
    with pytest.raises(SpecError) as caught:
        make_holidays(at("2024-01-01"), region, None)
    message = str(caught.value)
    assert message.startswith(f"found features.holidays '{region}', needed a country")
    assert "\n" not in message


@pytest.mark.parametrize("region", ["de", "Germany", "DE/BY", ""])
def test_a_region_is_two_letters_and_perhaps_a_part(region):
    with pytest.raises(ValidationError, match="holidays"):
        FeatureSpec(holidays=region)


def test_without_the_package_holidays_are_refused_in_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(SpecError, match=r"install seqmodel\[holidays\]") as caught:
        make_holidays(at("2024-01-01"), "DE", None)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None

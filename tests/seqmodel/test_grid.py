"""The grid: numbers and moments are each other's inverse."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel.errors import DataError, SpecError
from seqmodel.grid import Grid, to_datetime, to_microseconds

FREQS = ["15min", "h", "2h", "6h", "D", "2D", "W-MON", "W-SUN"]
FREQS += ["MS", "ME", "BME", "SME", "QS", "QE", "B", "YS", "YE"]
MOMENTS = st.datetimes(datetime(1705, 1, 1), datetime(2195, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def as_array(*moments):
    return np.array([to_microseconds(m) for m in moments], dtype=np.int64)


@settings(deadline=None)
@given(st.sampled_from(FREQS), MOMENTS)
def test_step_that_holds_a_moment_begins_before_it_and_ends_after(freq, moment):
    grid, moments = Grid(freq), as_array(moment)
    number = grid.number(moments)
    assert grid.end(number - 1) <= moments < grid.end(number)
    assert grid.number(grid.moment(number)) == number
    assert grid.holds(grid.moment(number)).all()
    assert grid.holds(moments) == (grid.moment(number) == moments)


@pytest.mark.parametrize("freq", FREQS)
def test_neighbours_of_pandas_differ_by_one(freq):
    moments = pd.date_range("1960-01-06", periods=200, freq=freq, tz="UTC", unit="us").asi8
    grid = Grid(freq)
    moments = moments if grid.step is None else grid.moment(grid.number(moments))
    assert (np.diff(grid.number(moments)) == 1).all()
    assert np.array_equal(grid.moment(grid.number(moments)), moments)


@pytest.mark.parametrize(
    ("freq", "as_of", "last"),
    [
        ("h", "2024-03-05T12:00", "2024-03-05T11:00"),
        ("h", "2024-03-05T12:59:59.999999", "2024-03-05T11:00"),
        ("15min", "2024-03-05T12:14", "2024-03-05T11:45"),
        ("15min", "2024-03-05T12:15", "2024-03-05T12:00"),
        ("D", "2024-03-01T00:00", "2024-02-29"),
        ("D", "2024-03-01T23:59", "2024-02-29"),
        ("MS", "2024-03-01T00:00", "2024-02-01"),
        ("MS", "2024-03-31T23:59", "2024-02-01"),
        ("ME", "2024-03-30T23:59", "2024-02-29"),
        ("ME", "2024-03-31T23:59", "2024-02-29"),
        ("ME", "2024-04-01T00:00", "2024-03-31"),
        ("QE", "2024-04-01T00:00", "2024-03-31"),
        ("QE", "2024-03-31T12:00", "2023-12-31"),
        ("YE", "2024-12-31T12:00", "2023-12-31"),
        ("QS", "2024-03-31T12:00", "2023-10-01"),
        ("QS", "2024-04-01T00:00", "2024-01-01"),
        ("W-SUN", "2024-03-09T23:59", "2024-02-25"),
        ("W-SUN", "2024-03-10T00:00", "2024-03-03"),
        ("2h", "2024-03-05T03:59", "2024-03-05T00:00"),
        ("B", "2024-03-10T12:00", "2024-03-07"),
        ("W-MON", "2024-03-10T23:59", "2024-02-26"),
        ("W-MON", "2024-03-11T00:00", "2024-03-04"),
        ("B", "2024-03-08T12:00", "2024-03-07"),
        ("B", "2024-03-11T00:00", "2024-03-08"),
        ("h", "1969-12-31T23:30", "1969-12-31T22:00"),
    ],
)
def test_last_complete_step_is_over_at_as_of(freq, as_of, last):
    found = Grid(freq).last_complete(datetime.fromisoformat(f"{as_of}Z"))
    assert to_datetime(found) == datetime.fromisoformat(last).replace(tzinfo=UTC)


@settings(deadline=None)
@given(st.sampled_from(FREQS), MOMENTS)
def test_next_step_after_the_last_complete_one_is_not_over(freq, as_of):
    grid = Grid(freq)
    number = grid.number(np.array([grid.last_complete(as_of)]))
    now = to_microseconds(as_of)
    assert grid.end(number) <= now < grid.end(number + 1)


@settings(deadline=None)
@given(st.datetimes(timezones=st.just(UTC)))
def test_microseconds_are_exact_in_any_century(moment):
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=to_microseconds(moment)) == (
        moment
    )


def test_moment_of_another_zone_is_the_same_moment():
    assert to_microseconds(datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))) == 0


def test_calendar_step_outside_the_listed_years_is_refused_not_wrapped():
    grid = Grid("MS")
    with pytest.raises(DataError, match="before 1700"):
        grid.moment(np.array([-1]))
    with pytest.raises(DataError, match="2200"):
        grid.moment(grid.number(as_array(datetime(2199, 12, 1, tzinfo=UTC))) + 24)
    assert not grid.holds(as_array(datetime(1650, 1, 1, tzinfo=UTC))).any()


def test_step_below_a_microsecond_is_refused():
    with pytest.raises(SpecError, match="microseconds"):
        Grid("100ns")

"""Cycles of the calendar as points on a circle: one function and one line each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from seqmodel.errors import SpecError
from seqmodel.grid import Grid
from seqmodel.specs.steps import UNITS, read_step

Floats = NDArray[np.float64]


def measure_hour(wall: pa.Array) -> Floats:
    """Return the time of day as a share of 24 hours."""
    hour, minute, second = (np.asarray(read(wall)) for read in (pc.hour, pc.minute, pc.second))
    return (hour + minute / 60 + second / 3600) / 24


def measure_weekday(wall: pa.Array) -> Floats:
    """Return the day of the week as a share of 7 days, Monday 0."""
    return np.asarray(pc.day_of_week(wall)) / 7


def measure_day_of_year(wall: pa.Array) -> Floats:
    """Return the day of the year as a share of the mean year."""
    return (np.asarray(pc.day_of_year(wall)) - 1) / 365.25


def measure_month(wall: pa.Array) -> Floats:
    """Return the month as a share of 12 months."""
    return (np.asarray(pc.month(wall)) - 1) / 12


#: Name of the cycle -> shares of its period that have passed, T in [0, 1), at T of a wall's times.
CYCLES: dict[str, Callable[[pa.Array], Floats]] = {
    "hour": measure_hour,
    "weekday": measure_weekday,
    "day_of_year": measure_day_of_year,
    "month": measure_month,
}


#: Cycles that a grid of calendar steps can see, by the alias of its freq.
CYCLES_OF = {"B": ("weekday", "day_of_year"), "W": ("day_of_year",), "YS": (), "YE": ()}


def choose_cycles(grid: Grid) -> tuple[str, ...]:
    """Return the cycles that a grid can see."""
    if grid.step is None:
        return CYCLES_OF.get(read_step(grid.freq).rule, ("month",))
    if grid.step < UNITS["D"]:
        return ("hour", "weekday", "day_of_year")
    return ("weekday", "day_of_year") if grid.step < 7 * UNITS["D"] else ("day_of_year",)


def make_calendar(
    moments: NDArray[np.int64], cycles: tuple[str, ...], timezone: str | None
) -> Floats:
    """Return sine and cosine of each cycle.

    Args:
        moments: T moments (microseconds UTC).
        cycles: names in `CYCLES`.
        timezone: IANA zone whose clocks and calendar count, None for UTC.

    Returns:
        T x 2 * len(cycles).
    """
    wall = read_wall(moments, timezone)
    columns = []
    for name in cycles:
        angle = 2 * np.pi * CYCLES[name](wall)
        columns += [np.sin(angle), np.cos(angle)]
    return np.stack(columns, axis=1) if columns else np.empty((len(moments), 0))


def read_wall(moments: NDArray[np.int64], timezone: str | None) -> pa.Array:
    """Return what the clocks on the walls of a zone show.

    Args:
        moments: T moments (microseconds UTC).
        timezone: IANA zone, None for UTC.

    Returns:
        T times without a zone (microseconds).
    """
    if timezone is not None:
        import pandas as pd  # see seqmodel.specs.steps

        utc = pd.DatetimeIndex(moments.astype("datetime64[us]")).tz_localize("UTC")
        moments = utc.tz_convert(timezone).tz_localize(None).asi8
    return pa.array(moments, pa.timestamp("us"))


#: Names of the columns of `make_holidays`: today's, tomorrow's and yesterday's date is a holiday.
HOLIDAYS = ("holiday", "holiday_eve", "holiday_after")


def make_holidays(moments: NDArray[np.int64], region: str, timezone: str | None) -> Floats:
    """Return whether the local date, the next and the one before are public holidays.

    Args:
        moments: T moments (microseconds UTC).
        region: country, or country-region, as the package `holidays` names them.
        timezone: IANA zone whose dates count, None for UTC.

    Returns:
        T x 3, ones and zeros.

    Raises:
        SpecError: if the package is missing or knows no such region.
    """
    try:
        import holidays
    except ModuleNotFoundError:
        raise SpecError(
            f"found features.holidays {region!r} without the package holidays, needed it; install"
            " seqmodel[holidays] or take the knob out"
        ) from None
    import pandas as pd

    country, _, part = region.partition("-")
    dates = pd.DatetimeIndex(np.asarray(read_wall(moments, timezone))).normalize()
    years = range(dates.year.min() - 1, dates.year.max() + 2) if len(dates) else range(0)
    try:
        known = holidays.country_holidays(country, subdiv=part or None, years=[*years])
    except NotImplementedError:
        raise SpecError(
            f"found features.holidays {region!r}, needed a country or country-region that the"
            " package holidays knows, such as DE or US-NY; write one of these"
        ) from None
    days = pd.DatetimeIndex(sorted(known))
    shifts = (0, 1, -1)
    columns = [(dates + pd.Timedelta(days=shift)).isin(days) for shift in shifts]
    return np.stack(columns, axis=1).astype(np.float64)

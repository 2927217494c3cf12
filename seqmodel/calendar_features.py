"""Cycles of the calendar as points on a circle: one function and one line each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HOUR = 3_600_000_000  # microseconds


def measure_hour(local: pd.DatetimeIndex) -> Floats:
    """Return the time of day as a share of 24 hours."""
    return np.asarray(local.hour + local.minute / 60 + local.second / 3600) / 24


def measure_weekday(local: pd.DatetimeIndex) -> Floats:
    """Return the day of the week as a share of 7 days, Monday 0."""
    return np.asarray(local.day_of_week) / 7


def measure_day_of_year(local: pd.DatetimeIndex) -> Floats:
    """Return the day of the year as a share of the mean year."""
    return np.asarray(local.day_of_year - 1) / 365.25


def measure_month(local: pd.DatetimeIndex) -> Floats:
    """Return the month as a share of 12 months."""
    return np.asarray(local.month - 1) / 12


#: Name of the cycle -> share of its period that has passed, in [0, 1).
CYCLES: dict[str, Callable[[pd.DatetimeIndex], Floats]] = {
    "hour": measure_hour,
    "weekday": measure_weekday,
    "day_of_year": measure_day_of_year,
    "month": measure_month,
}


def choose_cycles(step: int | None) -> tuple[str, ...]:
    """Return the cycles that a grid can see.

    Args:
        step: length of a step (microseconds), None for calendar steps.
    """
    if step is None:
        return ("month",)
    if step < 24 * HOUR:
        return ("hour", "weekday", "day_of_year")
    return ("weekday", "day_of_year") if step < 7 * 24 * HOUR else ("day_of_year",)


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
    local = pd.DatetimeIndex(moments.astype("datetime64[us]")).tz_localize("UTC")
    local = local.tz_convert(timezone or "UTC")
    columns = []
    for name in cycles:
        angle = 2 * np.pi * CYCLES[name](local)
        columns += [np.sin(angle), np.cos(angle)]
    return np.stack(columns, axis=1) if columns else np.empty((len(moments), 0))

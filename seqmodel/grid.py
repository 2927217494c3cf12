"""The grid of a `freq`: every moment on it has a number, and neighbours differ by one.

number      n-1        n        n+1
moment   |---------|---------|---------|      a row at `moment` speaks of the step it begins,
         t-freq    t       t+freq             and is complete at moment + freq

Only aliases that name the end of a period (ME, QE, YE, BME, ...) look back: their moment is the
last day of the step it speaks of, which is complete when that day is over.

Events have no grid: under `none` a moment is its own number, in microseconds, and a panel numbers
the events of a series instead.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import final

import numpy as np
from numpy.typing import NDArray

from seqmodel.errors import DataError
from seqmodel.specs.source import NO_GRID
from seqmodel.specs.steps import UNITS, read_step

Integers = NDArray[np.int64]
MICROSECONDS_A_DAY = UNITS["D"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Calendar grids (weeks, months, business days) are listed between these days, and moments
#: outside them are taken for damage.
EARLIEST, LATEST = "1700-01-01", "2200-01-01"


@cache
def _list_moments(freq: str) -> Integers:
    import pandas as pd  # see seqmodel.specs.steps

    moments = pd.date_range(EARLIEST, LATEST, freq=freq, unit="us")
    return moments.asi8


@final
class Grid:
    """Moments as integers and back.

    Args:
        freq: pandas alias. Fixed steps (`15min`, `h`, `D`) count from 1970-01-01 UTC, so that an
            hourly grid holds full hours; calendar steps (`MS`, `W-MON`, `B`) follow pandas and
            are known from 1700 to 2200.

    Raises:
        SpecError: if it is no such alias, or no whole number of microseconds.
    """

    def __init__(self, freq: str) -> None:
        self.freq = freq
        said = read_step("us" if freq == NO_GRID else freq)
        #: Length of a fixed step (microseconds); None for calendar steps.
        self.step = said.length
        #: Whether a step is named by its last day and not by its beginning.
        self.names_ends = said.names_ends

    def number(self, moments: Integers) -> Integers:
        """Return the number of the step that holds each moment (microseconds UTC)."""
        if self.step is not None:
            return moments // self.step
        listed = _list_moments(self.freq)
        if self.names_ends:
            return np.searchsorted(listed, moments - MICROSECONDS_A_DAY, side="right")
        return np.searchsorted(listed, moments, side="right") - 1

    def locate(self, moment: datetime) -> int:
        """Return the number of the step that holds one moment."""
        return int(self.number(np.array([to_microseconds(moment)]))[0])

    def moment(self, numbers: Integers) -> Integers:
        """Return the moment (microseconds UTC) that names each numbered step: where it begins.

        Raises:
            DataError: if a calendar step is outside the years that are listed.
        """
        if self.step is not None:
            return numbers * self.step
        moments = _list_moments(self.freq)
        if ((numbers < 0) | (numbers >= len(moments))).any():
            raise DataError(
                f"found steps of freq {self.freq!r} before {EARLIEST} or after {LATEST}, needed"
                " them between; correct the timestamps or --as-of"
            )
        return moments[numbers]

    def end(self, numbers: Integers) -> Integers:
        """Return the moment (microseconds UTC) at which each numbered step is over."""
        if self.names_ends:
            return self.moment(numbers) + MICROSECONDS_A_DAY
        return self.moment(numbers + 1)

    def holds(self, moments: Integers) -> NDArray[np.bool_]:
        """Return which moments (microseconds UTC) are on the grid."""
        if self.step is not None:
            # A product is quicker than a remainder.
            return np.equal(moments // self.step * self.step, moments)
        return np.isin(moments, _list_moments(self.freq))

    def last_complete(self, as_of: datetime) -> int:
        """Return the last moment (microseconds UTC) whose step is over at `as_of`."""
        now = np.array([to_microseconds(as_of)], dtype=np.int64)
        return int(self.moment(self.number(now) - 1)[0])


def to_microseconds(moment: datetime) -> int:
    """Return an aware moment as microseconds since 1970-01-01 UTC."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def to_datetime(microseconds: int) -> datetime:
    """Return microseconds since 1970-01-01 UTC as an aware datetime in UTC."""
    return EPOCH + timedelta(microseconds=int(microseconds))

"""What a `freq` says: `15min` is fifteen minutes, `W-MON` a week that has no length of its own.

The common aliases are read here, all others by pandas: to load it takes a quarter of a second in
every process, and a forecast of an hourly grid needs it nowhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import final

from seqmodel.errors import SpecError

#: Length of one (microseconds) by its alias. Days of the grid are days of UTC, all of one length.
UNITS = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "min": 60_000_000,
    "h": 3_600_000_000,
    "D": 86_400_000_000,
}
PLAIN = re.compile(rf"([1-9]\d{{0,5}})?({'|'.join(UNITS)})")


@final
@dataclass(frozen=True)
class Step:
    """A step of a grid.

    Attributes:
        rule: alias of one, without what anchors it: `h`, `D`, `W`, `MS`.
        count: how many of them.
        length: of a step that always lasts as long (microseconds); None for calendar steps.
        names_ends: whether it is named by its last day and not by its beginning.
        counts_days: whether it is made of whole days, so that a timestamp names a day.
    """

    rule: str
    count: int
    length: int | None
    names_ends: bool
    counts_days: bool


@cache
def read_step(freq: str) -> Step:
    """Return what an alias of pandas says.

    Raises:
        SpecError: if it is none, or not a positive whole number of microseconds.
    """
    if plain := PLAIN.fullmatch(freq):
        return _make_fixed(plain[2], int(plain[1] or 1))
    from pandas.tseries import offsets
    from pandas.tseries.frequencies import to_offset

    try:
        offset = to_offset(freq)
    except ValueError:
        offset = None
    if offset is None or offset.n < 1:
        raise SpecError(
            f"found freq {freq!r}, needed a pandas alias of a positive step such as '15min', 'h',"
            " 'D' or 'MS'; write one of these"
        )
    rule = offset.rule_code.split("-")[0]
    if rule in UNITS:
        return _make_fixed(rule, offset.n)
    if isinstance(offset, offsets.Tick):
        raise SpecError(
            f"found freq {freq!r}, needed whole microseconds; choose a longer source.freq"
        )
    ends = (
        *(offsets.MonthEnd, offsets.QuarterEnd, offsets.YearEnd, offsets.SemiMonthEnd),
        *(offsets.BMonthEnd, offsets.BQuarterEnd, offsets.BYearEnd),
    )
    return Step(
        rule, offset.n, None, isinstance(offset, ends), not isinstance(offset, offsets.BusinessHour)
    )


def _make_fixed(rule: str, count: int) -> Step:
    length = count * UNITS[rule]
    return Step(rule, count, length, names_ends=False, counts_days=length % UNITS["D"] == 0)

"""Static covariates that change all the same, as they were known at each moment.

rows of a series   A A A B B C C          ends: where B and C begin
at a cutoff              ^ B              not C, which nobody knew then
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Integers = NDArray[np.int64]


@final
@dataclass(frozen=True)
class Earlier:
    """What a static covariate was before it changed: C values.

    Attributes:
        series: C numbers of the series, ascending.
        ends: C grid numbers at which the next value began, ascending within a series.
        values: C numbers or strings.
    """

    series: Integers
    ends: Integers
    values: NDArray[Any]

    def put(self, newest: NDArray[Any], number: int | Integers) -> NDArray[Any]:
        """Return the values of a number, or of S numbers, given the S newest ones."""
        later = np.flatnonzero(self.ends > np.broadcast_to(number, len(newest))[self.series])
        # The first value that was still to end is the one of that moment.
        series, places = np.unique(self.series[later], return_index=True)
        found = newest.copy()
        found[series] = self.values[later[places]]
        return found

    def take(self, series: Integers) -> Earlier:
        """Return the values of some series, ascending, by their new numbers."""
        kept = np.isin(self.series, series)
        places = np.searchsorted(series, self.series[kept])
        return Earlier(places, self.ends[kept], self.values[kept])


def find_changes(column: pa.ChunkedArray, codes: Integers, past: NDArray[np.bool_]) -> Integers:
    """Find the rows after which a series' value is another one.

    Args:
        column: R values, sorted by series and time.
        codes: R numbers of the series.
        past: R marks of the rows that count.
    """
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    before, after = column[:-1], column[1:]
    same = pc.fill_null(pc.equal(before, after), fill_value=False)
    same = pc.or_(same, pc.and_(pc.is_null(before), pc.is_null(after)))
    changed = ~same.to_numpy() & (codes[1:] == codes[:-1]) & past[1:]
    found: Integers = np.flatnonzero(changed)
    return found

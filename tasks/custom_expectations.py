"""Expectations of this project, registered with Great Expectations by being defined.

Each looks at one column of the frames that `tasks/expectations.py` describes, and can be named in
`quality.rules` like any other; its limit is `max_value`. Importing this module imports Great
Expectations, which takes seconds: do it inside a function.
"""

from __future__ import annotations

from typing import ClassVar

from great_expectations.expectations import ExpectColumnValuesToBeBetween


class OwnExpectation(ExpectColumnValuesToBeBetween):  # type: ignore[misc]
    """What the expectations below share."""

    #: The frame that holds the column.
    frame: ClassVar[str] = "series"


class ExpectSeriesStepToBeRegular(OwnExpectation):
    """No row of a series lies between the steps of the grid (rows)."""

    column: str = "off_grid"
    max_value: float = 0


class ExpectSeriesToBeCurrent(OwnExpectation):
    """A series reaches the table's newest step, or stays behind by at most `max_value` (steps)."""

    column: str = "behind"
    max_value: float = 0


class ExpectSeriesNotToBeFlat(OwnExpectation):
    """No target is repeated over a stretch of more than `max_value` rows."""

    column: str = "flat"
    max_value: float = 168


class ExpectSeriesToHaveFewOutliers(OwnExpectation):
    """At most a share of a series' targets lies beyond 5 robust spreads."""

    column: str = "outliers"
    max_value: float = 0.01


class ExpectSeriesLevelNotToShift(OwnExpectation):
    """A series' level is where the last accepted table had it (standard deviations)."""

    column: str = "level_shift"
    max_value: float = 3.0


class ExpectTableTargetNotToDrift(OwnExpectation):
    """Targets are distributed as in the last accepted table (population stability index)."""

    frame: ClassVar[str] = "table"
    column: str = "drift"
    max_value: float = 0.25


class ExpectTableSeriesToBeAsMany(OwnExpectation):
    """The number of series is that of the last accepted table, but for a share."""

    frame: ClassVar[str] = "table"
    column: str = "series_change"
    max_value: float = 0.2

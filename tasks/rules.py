"""What a quality rule is, and the Great Expectations that rules are made of.

The classes are imported inside the functions: importing Great Expectations takes seconds, and only
a run that judges should pay them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, final

import pandas as pd

from seqmodel.grid import Grid
from seqmodel.specs import PipelineSpec
from seqmodel.table.quality import Severity

On = Literal["columns", "series", "table"]
Expectations = list[Any]


@final
@dataclass(frozen=True)
class Asked:
    """What a table is judged for: a pipeline, at a moment, beside an earlier table or not."""

    spec: PipelineSpec
    as_of: datetime
    compared: bool = False

    @property
    def reserve(self) -> int:
        """Newest part of a series that the backtest keeps for itself (steps)."""
        backtest = self.spec.backtest
        return (backtest.cutoffs - 1) * backtest.step + self.spec.window.horizon

    @property
    def steps(self) -> int:
        """Length of a series that holds one window and the reserve (steps)."""
        if self.spec.source.irregular:
            # The backtest takes a share of the events; a sequence is a row.
            rows = 1 if self.spec.source.layout == "sequences" else 0
            return rows or self.spec.window.least_history + self.spec.window.horizon
        return self.spec.window.lookback + self.spec.window.horizon + self.reserve

    @property
    def newest(self) -> pd.Timestamp:
        """Last moment of the grid whose step is over at `as_of`."""
        moment = Grid(self.spec.source.freq).last_complete(self.as_of)
        return pd.Timestamp(moment, unit="us", tz="UTC")

    @property
    def when(self) -> str:
        """`as_of` in UTC, as sentences say it."""
        return f"{self.as_of.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"

    @property
    def long_enough(self) -> str:
        """Length of a series that is needed, and what for."""
        window = self.spec.window
        if self.spec.source.irregular:
            return f"{self.steps} events"
        return (
            f"{self.steps} steps (lookback {window.lookback} + horizon {window.horizon} +"
            f" {self.reserve} for the backtest)"
        )


@final
@dataclass(frozen=True)
class Rule:
    """One quality rule.

    Attributes:
        name: short and stable, for reports.
        severity: `critical` stops the run, `warning` reports, `info` notes.
        on: the frame it looks at.
        needs: completes "The table must have ...", with the limits.
        expects: the Great Expectations; none when there is nothing to check.
        finds: what is wrong, from the rows that break it (the one row of `table` in any case).
        cure: what to do about it.
    """

    name: str
    severity: Severity
    on: On
    needs: Callable[[Asked], str]
    expects: Callable[[Asked], Expectations]
    finds: Callable[[pd.DataFrame], str]
    cure: str


def between(column: str, low: Any = None, high: Any = None, *, mostly: float = 1) -> Any:
    """Expect `low` to `high` in a share of the rows that have a figure."""
    from great_expectations.expectations import ExpectColumnValuesToBeBetween

    return ExpectColumnValuesToBeBetween(
        column=column, min_value=low, max_value=high, mostly=mostly
    )


def own(kind: str, limit: float | None = None) -> Any:
    """Expect what one of the project's own expectations says, by its registered name."""
    from great_expectations.expectations.registry import get_expectation_impl

    import tasks.custom_expectations  # noqa: F401 - registers them

    return get_expectation_impl(kind)(**({} if limit is None else {"max_value": limit}))


def present(column: str) -> Any:
    """Expect no null."""
    from great_expectations.expectations import ExpectColumnValuesToNotBeNull

    return ExpectColumnValuesToNotBeNull(column=column)


def equal(left: str, right: str) -> Any:
    """Expect two columns to say the same in each row."""
    from great_expectations.expectations import ExpectColumnPairValuesToBeEqual

    return ExpectColumnPairValuesToBeEqual(column_A=left, column_B=right)


def above(left: str, right: str) -> Any:
    """Expect the left column above the right one, where both have a figure."""
    from great_expectations.expectations import ExpectColumnPairValuesAToBeGreaterThanB

    return ExpectColumnPairValuesAToBeGreaterThanB(
        column_A=left, column_B=right, ignore_row_if="either_value_is_missing"
    )

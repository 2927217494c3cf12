"""Where the rows come from, what they must satisfy."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from seqmodel.errors import SpecError
from seqmodel.specs.base import Address, Columns, OneOrMoreColumns, Share, Spec, check_order
from seqmodel.specs.steps import UNITS, read_step

#: Steps in the season that a reader of such data would name first, by the alias of `freq`.
SEASONS = {"D": 7, "B": 5, "W": 52, "MS": 12, "ME": 12, "QS": 4, "QE": 4, "YS": 1, "YE": 1}
#: `freq` of events.
NO_GRID = "none"


class SourceSpec(Spec):
    """Where the rows come from and what their columns mean."""

    uri: Address = Field(
        min_length=1,
        description="Parquet file, folder (also hive-partitioned) or glob, on disk or behind a URL"
        " such as s3://bucket/folder; a path is relative to the working folder",
    )
    layout: Literal["long", "wide", "sequences"] = Field(
        "long",
        description="long: a row a series and step; wide: a row a step and a column a series;"
        " sequences: a row a sequence, whose past columns are lists and whose target is its label",
    )
    series_id: OneOrMoreColumns = Field(
        ("series_id",),
        min_length=1,
        description="column that says which series (any type); the values of several are joined",
    )
    separator: str = Field(
        "|", min_length=1, max_length=3, description="what joins the values of several id columns"
    )
    timestamp: str = Field("timestamp", description="column that says when a step begins")
    target: str = Field("target", description="column to forecast (a number, or a class)")
    freq: str = Field(
        "h",
        description="step of the grid, a pandas alias: 15min, h, D, W-MON, MS; none for events,"
        " whose steps are the events themselves in the order of their timestamps",
    )
    timezone: str | None = Field(
        None,
        description="IANA zone of timestamps that carry none, and of the calendar features;"
        " without it naive timestamps are refused and calendar features are in UTC",
    )
    past: Columns = Field((), description="covariate columns known up to the cutoff")
    known: Columns = Field((), description="covariate columns known through the horizon")
    static: Columns = Field((), description="covariate columns that are constant for a series")
    categorical: Columns = Field(
        (),
        description="covariates that are categories though written as numbers (text always is);"
        " a target that output.kind calls a class is added by itself",
    )
    season_length: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="season of the baseline and of MASE (steps); by default one that suits freq",
    )
    duplicates: Literal["last", "first", "mean", "refuse"] = Field(
        "last",
        description="of rows with equal series and timestamp stays the last or first read, or the"
        " mean of their numbers; or the table is refused",
    )
    ambiguous: Literal["earliest", "latest", "quarantine"] = Field(
        "earliest", description="which moment a naive time means that autumn's clock shows twice"
    )
    nonexistent: Literal["forward", "quarantine"] = Field(
        "forward",
        description="what becomes of a naive time that spring's clock leaves out: the first moment"
        " after the gap, or quarantine",
    )

    @field_validator("freq")
    @classmethod
    def _check_freq(cls, freq: str) -> str:
        if freq != NO_GRID:
            try:
                read_step(freq)
            except SpecError as error:
                raise ValueError(str(error)) from None
        return freq

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, timezone: str | None) -> str | None:
        from zoneinfo import ZoneInfo

        if timezone is not None:
            try:
                ZoneInfo(timezone)
            except (KeyError, ValueError, OSError):
                raise ValueError(
                    f"found timezone {timezone!r}, needed an IANA name such as 'Europe/Berlin';"
                    " write one of these"
                ) from None
        return timezone

    @model_validator(mode="before")
    @classmethod
    def _choose_freq(cls, values: Any) -> Any:
        """Sequences have no grid: nobody need say so."""
        if isinstance(values, dict) and values.get("layout") == "sequences":
            return {"freq": NO_GRID, **values}
        return values

    @model_validator(mode="after")
    def _check_sequences(self) -> Self:
        if self.layout != "sequences":
            return self
        if self.freq != NO_GRID:
            raise ValueError(
                f"found freq {self.freq!r} with layout sequences, needed {NO_GRID}: the order in a"
                " list is its only grid; take it out"
            )
        if not self.past or self.known:
            raise ValueError(
                f"found {'known columns' if self.known else 'no past column'} with layout"
                " sequences, needed the lists among past and what is constant among static; move"
                " them there"
            )
        return self

    @model_validator(mode="after")
    def _check_leak(self) -> Self:
        if self.target in self.covariates:
            raise ValueError(
                f"found column {self.target!r} as target and as input of the same step, needed two"
                " columns: the network would read the answer; take it out of past, known and static"
                " (the target's own past is an input already)"
            )
        return self

    @model_validator(mode="after")
    def _check_roles(self) -> Self:
        roles = [*self.series_id, self.timestamp, self.target, *self.past, *self.known]
        doubled = sorted({name for name in roles if roles.count(name) > 1})
        if doubled:
            raise ValueError(
                f"found column {doubled[0]!r} in two roles, needed one role a column; name it once"
                " among series_id, timestamp, target, past, known and static"
            )
        return self

    @model_validator(mode="after")
    def _check_categorical(self) -> Self:
        other = sorted(set(self.categorical) - {*self.covariates, self.target})
        if other:
            raise ValueError(
                f"found {other[0]!r} in categorical, needed a covariate; name it among past, known"
                " or static too"
            )
        return self

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        taken = sorted({"series_id", "timestamp", "target"} & set(self.covariates))
        if taken:
            raise ValueError(
                f"found a covariate called {taken[0]!r}, needed another name: the canonical table"
                " has a column of that name; rename the column in the source"
            )
        return self

    @property
    def covariates(self) -> Columns:
        """All covariate columns: past, known, static."""
        return (*self.past, *self.known, *self.static)

    @property
    def of_classes(self) -> bool:
        """Whether the target is a class."""
        return self.target in self.categorical

    @property
    def irregular(self) -> bool:
        """Whether the rows are events without a grid."""
        return self.freq == NO_GRID

    @property
    def timed(self) -> bool:
        """Whether the rows are events of which each has its own moment."""
        return self.irregular and self.layout != "sequences"

    @property
    def season(self) -> int:
        """Season of the baseline and of MASE (steps)."""
        if self.season_length is not None or self.irregular:
            return self.season_length or 1
        step = read_step(self.freq)
        if step.length is not None and step.rule != "D":
            return max(1, round(UNITS["D"] / step.length))
        return max(1, SEASONS.get(step.rule, 1) // step.count)


class GridSpec(Spec):
    """How observed rows become one value a step."""

    resample: Literal["sum", "mean", "first", "last", "min", "max"] | None = Field(
        None,
        description="what becomes of rows finer than freq: one step of their sum, mean, ...;"
        " without it a row off the grid is refused",
    )
    fill: Literal["none", "forward", "interpolate", "zero", "seasonal"] = Field(
        "none", description="how missing targets are filled; none leaves them to the observed flag"
    )
    fill_limit: int = Field(
        3, ge=1, description="longest gap that is filled, longer ones stay missing (steps)"
    )


class RuleSpec(Spec):
    """One more quality rule, by the name of a Great Expectations expectation."""

    expectation: str = Field(
        pattern=r"^expect_[a-z0-9_]+$",
        description="name of an expectation, Great Expectations' own or one of this project",
    )
    on: Literal["rows", "series"] = Field(
        "rows", description="judge each row of the table, or each series' profile"
    )
    arguments: dict[str, Any] = Field(
        {}, description="arguments of the expectation, such as column and min_value"
    )
    mostly: float = Field(
        1.0, gt=0, le=1, description="share of rows or series that must satisfy it"
    )
    severity: Literal["critical", "warning", "info"] = Field(
        "critical", description="critical stops the run, warning reports, info notes"
    )


class QualitySpec(Spec):
    """What the table must satisfy before anything is trained on it."""

    minimum: float | None = Field(
        None, description="least plausible target (target's unit); rows below are quarantined"
    )
    maximum: float | None = Field(
        None, description="greatest plausible target (target's unit); rows above are quarantined"
    )
    max_quarantined: Share = Field(
        0.01, description="share of rows that may be quarantined before the table is refused"
    )
    max_missing: Share = Field(
        0.2, description="share of a series' steps that may lack a target before it counts as bad"
    )
    max_bad_series: Share = Field(
        0.1, description="share of series that may be bad before the table is refused"
    )
    max_age: int = Field(
        24, ge=0, description="age of the newest row at as_of before the table is stale (steps)"
    )

    shards: int = Field(
        1,
        ge=1,
        le=500,
        description="parts of the series that are profiled apart, each a task of its own; more than"
        " one is worth it on the machines of a cluster (shards)",
    )
    max_flat: int = Field(
        168, ge=2, description="longest run of one equal target that is not worth a warning (steps)"
    )
    max_outliers: Share = Field(
        0.01, description="share of a series' targets beyond 5 robust spreads before a warning"
    )
    max_level_shift: float = Field(
        3.0,
        gt=0,
        description="shift of a series' mean since the last accepted table before a warning"
        " (standard deviations)",
    )
    max_drift: float = Field(
        0.25,
        gt=0,
        description="population stability index of the target against the last accepted table"
        " before a warning (index)",
    )
    max_series_change: Share = Field(
        0.2,
        description="share by which the number of series may differ from the last accepted table's"
        " before a warning",
    )
    rules: tuple[RuleSpec, ...] = Field(
        (), description="further rules, as JSON on the command line"
    )

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        check_order(self.minimum, self.maximum)
        return self

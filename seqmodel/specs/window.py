"""How windows are cut, what is seen in them, and in which scale."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from seqmodel.specs.base import Columns, Spec

Scale = Literal["none", "standard", "robust", "mean_abs", "min_max", "last", "seasonal"]


class WindowSpec(Spec):
    """The cut of a window, and which windows count."""

    lookback: int = Field(168, ge=1, le=100_000, description="past in a window (steps)")
    horizon: int = Field(24, ge=1, le=10_000, description="future in a window (steps)")
    stride: int = Field(1, ge=1, description="distance between training windows (steps)")
    short: Literal["pad", "drop"] = Field(
        "pad",
        description="where a series is shorter than the lookback: pad the window on the left with"
        " steps flagged as not observed, or leave the window out",
    )
    minimum_history: int | None = Field(
        None,
        ge=1,
        description="past a series must have for a padded training window (steps); by default one"
        " horizon, at most the lookback",
    )
    missing: Literal["weight", "skip"] = Field(
        "weight",
        description="training windows with missing targets: give those steps no weight, or skip"
        " the whole window",
    )

    @property
    def least_history(self) -> int:
        """Past that a series must have for a training window (steps)."""
        if self.short == "drop":
            return self.lookback
        return min(self.minimum_history or self.horizon, self.lookback)

    @property
    def least_rows(self) -> int:
        """Past that a series must have to be forecast (steps)."""
        return self.lookback if self.short == "drop" else 1


class RollingSpec(Spec):
    """A statistic of the target's newest steps, as a past covariate."""

    statistic: Literal["mean", "std", "min", "max"] = Field("mean", description="which")
    steps: int = Field(24, ge=2, le=100_000, description="newest steps it is taken over (steps)")


class FeatureSpec(Spec):
    """Inputs made from the timestamp and from the target's own past, and what missing ones mean."""

    calendar: tuple[Literal["hour", "weekday", "day_of_year", "month"], ...] | None = Field(
        None, description="cycles of the calendar as sine and cosine; by default those freq can see"
    )
    holidays: str | None = Field(
        None,
        pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$",
        description="country, or country-region, whose public holidays are known covariates, such"
        " as DE or US-NY (needs the extra [holidays])",
    )
    minimum_count: int = Field(
        1,
        ge=1,
        description="training rows that a category, or a class of the target, must have to be told"
        " from what was never seen (rows)",
    )
    age: bool = Field(
        default=False, description="steps since a series began as a known covariate, logarithmic"
    )
    in_target_unit: Columns = Field(
        (),
        description="known covariates measured in the target's unit (a plan, a timetable, another"
        " forecast): scaled as the target is, so that they are comparable with it",
    )
    lags: tuple[int, ...] = Field(
        (), description="target this long ago as a known covariate (steps, at least the horizon)"
    )
    rolling: tuple[RollingSpec, ...] = Field(
        (), description="statistics of the target's newest steps as past covariates"
    )
    missing: Literal["mean", "forward", "refuse"] = Field(
        "mean",
        description="a covariate missing in history: its mean, its newest value of one lookback"
        " before, or refuse the data",
    )
    missing_known: Literal["refuse", "mean"] = Field(
        "refuse",
        description="a known covariate missing in the horizon of a forecast: refuse the data,"
        " naming it, or take its mean",
    )
    static_changes: Literal["newest", "refuse"] = Field(
        "newest",
        description="a static covariate with several values in one series: the newest known at a"
        " cutoff counts, or refuse the data",
    )

    @field_validator("rolling")
    @classmethod
    def _check_rolling(cls, rolling: tuple[RollingSpec, ...]) -> tuple[RollingSpec, ...]:
        doubled = [r for r in rolling if rolling.count(r) > 1]
        if doubled:
            raise ValueError(
                f"found rolling {doubled[0].statistic} of {doubled[0].steps} steps twice, needed"
                " each once; remove one of them"
            )
        return rolling


class ScalingSpec(Spec):
    """The scale in which the network sees numbers; every forecast is scaled back exactly."""

    transform: Literal["none", "log1p", "asinh", "auto"] = Field(
        "none",
        description="curve that bends the target before any scale: sign(y) log(1 + |y|) or asinh;"
        " auto: log1p where no target of the training rows is below 0, else none",
    )
    series: Scale = Field(
        "standard",
        description="scale of each series' target, measured on training rows: mean and standard"
        " deviation; median and quartiles; mean size; range; last value and standard deviation;"
        " mean and mean seasonal difference",
    )
    window: Scale = Field(
        "none",
        description="scale of each window on top of it, measured on its own lookback; last and"
        " seasonal subtract the newest value, or the value a season before",
    )
    covariates: Literal["none", "standard", "robust", "mean_abs", "min_max"] = Field(
        "standard", description="scale of each series' real covariates, measured on training rows"
    )

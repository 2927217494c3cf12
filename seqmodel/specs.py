"""Every knob of a pipeline, with its unit, bounds and default.

The models are frozen and refuse unknown names, so that a misspelt knob is an error with its path
and never a silent default. Field descriptions are the help text of the command line and of the
form in the Prefect UI.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Columns = tuple[str, ...]
Share = Annotated[float, Field(ge=0, le=1)]

#: Steps in the season that a reader of such data would name first, by the alias of `freq`.
SEASONS = {"D": 7, "B": 5, "W": 52, "MS": 12, "ME": 12, "QS": 4, "QE": 4, "YS": 1, "YE": 1}
SECONDS_A_DAY = 86_400
MEDIAN = 0.5


class Spec(BaseModel):
    """Base of all specs: frozen, and no unknown knobs."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _check_order(minimum: float | None, maximum: float | None) -> None:
    if minimum is not None and maximum is not None and minimum > maximum:
        raise ValueError(
            f"found minimum {minimum} above maximum {maximum}, needed the reverse; swap them"
        )


class SourceSpec(Spec):
    """Where the rows come from and what their columns mean."""

    uri: str = Field(
        min_length=1,
        description="Parquet file, folder or glob of Parquet files; relative to the working folder",
    )
    series_id: str = Field("series_id", description="column that says which series (any type)")
    timestamp: str = Field("timestamp", description="column that says when a step begins")
    target: str = Field("target", description="column to forecast (a number)")
    freq: str = Field("h", description="step of the grid, a pandas alias: 15min, h, D, W-MON, MS")
    timezone: str | None = Field(
        None,
        description="IANA zone of timestamps that carry none, and of the calendar features;"
        " without it naive timestamps are refused and calendar features are in UTC",
    )
    past: Columns = Field((), description="covariate columns known up to the cutoff")
    known: Columns = Field((), description="covariate columns known through the horizon")
    static: Columns = Field((), description="covariate columns that are constant for a series")
    season_length: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="season of the baseline and of MASE (steps); by default one that suits freq",
    )
    duplicates: Literal["last", "first", "refuse"] = Field(
        "last", description="which of two rows with equal series and timestamp stays"
    )

    @field_validator("freq")
    @classmethod
    def _check_freq(cls, freq: str) -> str:
        from pandas.tseries.frequencies import to_offset

        try:
            offset = to_offset(freq)
        except ValueError:
            offset = None
        if offset is None or offset.n < 1:
            raise ValueError(
                f"found freq {freq!r}, needed a pandas alias of a positive step such as '15min',"
                " 'h', 'D' or 'MS'; write one of these"
            )
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

    @model_validator(mode="after")
    def _check_roles(self) -> Self:
        roles = [self.series_id, self.timestamp, self.target, *self.covariates]
        doubled = sorted({name for name in roles if roles.count(name) > 1})
        if doubled:
            raise ValueError(
                f"found column {doubled[0]!r} in two roles, needed one role a column; name it once"
                " among series_id, timestamp, target, past, known and static"
            )
        return self

    @property
    def covariates(self) -> Columns:
        """All covariate columns: past, known, static."""
        return (*self.past, *self.known, *self.static)

    @property
    def season(self) -> int:
        """Season of the baseline and of MASE (steps)."""
        if self.season_length is not None:
            return self.season_length
        from pandas.tseries.frequencies import to_offset
        from pandas.tseries.offsets import Day, Tick

        offset = to_offset(self.freq)
        if isinstance(offset, Tick) and not isinstance(offset, Day):
            steps = SECONDS_A_DAY / (offset.nanos / 1e9)
            return max(1, round(steps))
        return max(1, SEASONS.get(offset.rule_code.split("-")[0], 1) // offset.n)


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

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        _check_order(self.minimum, self.maximum)
        return self


class WindowSpec(Spec):
    """The cut of a training window."""

    lookback: int = Field(168, ge=1, le=100_000, description="past in a window (steps)")
    horizon: int = Field(24, ge=1, le=10_000, description="future in a window (steps)")
    stride: int = Field(1, ge=1, description="distance between training windows (steps)")


class FeatureSpec(Spec):
    """Inputs made from the timestamp and from the target's own past."""

    calendar: tuple[Literal["hour", "weekday", "day_of_year", "month"], ...] | None = Field(
        None, description="cycles of the calendar as sine and cosine; by default those freq can see"
    )
    in_target_unit: Columns = Field(
        (),
        description="known covariates measured in the target's unit (a plan, a timetable, another"
        " forecast): scaled as the target is, so that they are comparable with it",
    )
    lags: tuple[int, ...] = Field(
        (), description="target this long ago as a known covariate (steps, at least the horizon)"
    )


class ModelSpec(Spec):
    """The network."""

    kind: Literal["gru", "lstm", "rnn"] = Field("gru", description="model of the registry")
    units: int = Field(64, ge=1, le=4096, description="width of a recurrent layer (cells)")
    layers: int = Field(1, ge=1, le=8, description="recurrent layers, one above the other (layers)")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of activations dropped in training")


class OutputSpec(Spec):
    """What the network says about the target."""

    kind: Literal["quantiles", "point"] = Field(
        "quantiles", description="quantiles by pinball loss, or one number by absolute error"
    )
    quantiles: tuple[float, ...] = Field(
        (0.1, 0.5, 0.9), min_length=1, description="quantiles forecast, ascending, with 0.5"
    )

    @field_validator("quantiles")
    @classmethod
    def _check_quantiles(cls, quantiles: tuple[float, ...]) -> tuple[float, ...]:
        inside = all(0 < q < 1 for q in quantiles)
        if not inside or list(quantiles) != sorted(set(quantiles)) or MEDIAN not in quantiles:
            raise ValueError(
                f"found quantiles {list(quantiles)}, needed ascending numbers between 0 and 1 with"
                " 0.5 among them; write them so, for instance [0.1, 0.5, 0.9]"
            )
        return quantiles

    @property
    def levels(self) -> tuple[float, ...]:
        """The quantile levels of the head, `(0.5,)` for a point forecast."""
        return self.quantiles if self.kind == "quantiles" else (0.5,)


class TrainSpec(Spec):
    """How the network is fitted."""

    epochs: int = Field(10, ge=1, le=10_000, description="passes at most (epochs)")
    batch_size: int = Field(
        256, ge=1, le=1_000_000, description="windows that a training step looks at (windows)"
    )
    learning_rate: float = Field(2e-3, gt=0, le=1, description="peak step size of Adam")
    windows_per_epoch: int | None = Field(
        None, ge=1, description="windows drawn for an epoch, all without it (windows)"
    )
    holdout: float = Field(
        0.1, gt=0, le=0.5, description="newest share of the training steps kept for early stopping"
    )
    patience: int = Field(
        3, ge=1, description="wait for a better holdout loss before the stop (epochs)"
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="seed of weights, dropout and shuffle")
    deadline: float = Field(
        3600, gt=0, description="time after which the training process is ended (seconds)"
    )


class BacktestSpec(Spec):
    """The rolling evaluation on the newest part of the table."""

    cutoffs: int = Field(8, ge=1, le=1000, description="forecasts made per series (cutoffs)")
    step: int = Field(24, ge=1, description="distance between cutoffs (steps)")
    deadline: float = Field(
        3600, gt=0, description="time after which the backtest's process is ended (seconds)"
    )


class PromotionSpec(Spec):
    """When the challenger replaces the champion."""

    metric: Literal["mase", "mae", "rmse", "wql"] = Field(
        "mase", description="score compared, lower is better"
    )
    margin: float = Field(
        0.0, ge=0, lt=1, description="share by which the challenger must be better"
    )


class ForecastSpec(Spec):
    """Limits on what is published."""

    minimum: float | None = Field(None, description="least forecast possible (target's unit)")
    maximum: float | None = Field(None, description="greatest forecast possible (target's unit)")

    deadline: float = Field(
        3600, gt=0, description="time after which the forecast's process is ended (seconds)"
    )
    whole: bool = Field(
        default=False,
        description="publish whole numbers: the target is a count, so are its quantiles",
    )

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        _check_order(self.minimum, self.maximum)
        return self


class PipelineSpec(Spec):
    """One pipeline: from its source to its forecasts."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
        description="name of the pipeline and of its folder (lowercase letters, digits, dashes)",
    )
    source: SourceSpec
    quality: QualitySpec = QualitySpec()
    window: WindowSpec = WindowSpec()
    features: FeatureSpec = FeatureSpec()
    model: ModelSpec = ModelSpec()
    output: OutputSpec = OutputSpec()
    train: TrainSpec = TrainSpec()
    backtest: BacktestSpec = BacktestSpec()
    promotion: PromotionSpec = PromotionSpec()
    forecast: ForecastSpec = ForecastSpec()

    @model_validator(mode="after")
    def _check_units(self) -> Self:
        other = sorted(set(self.features.in_target_unit) - set(self.source.known))
        if other:
            raise ValueError(
                f"found {other[0]!r} in features.in_target_unit, needed columns of source.known;"
                " declare it there or take it out"
            )
        return self

    @model_validator(mode="after")
    def _check_lags(self) -> Self:
        doubled = [lag for lag in self.features.lags if self.features.lags.count(lag) > 1]
        if doubled:
            raise ValueError(
                f"found features.lags {doubled[0]} twice, needed each lag once; remove one of them"
            )
        short = [lag for lag in self.features.lags if lag < self.window.horizon]
        if short:
            raise ValueError(
                f"found features.lags {short[0]} below window.horizon {self.window.horizon}, needed"
                " lags that are known through the whole horizon; raise the lag or shorten the"
                " horizon"
            )
        return self

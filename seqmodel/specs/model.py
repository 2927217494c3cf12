"""How windows are cut, what the network is, how it is fitted."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from seqmodel.specs.base import Columns, Spec

MEDIAN = 0.5


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

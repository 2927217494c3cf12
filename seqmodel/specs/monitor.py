"""What is watched after a forecast is out, and what follows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from seqmodel.specs.base import Spec


class MonitorSpec(Spec):
    """Live accuracy and drift, and their consequences."""

    nights: int = Field(
        28, ge=1, le=10_000, description="published forecasts looked back at (nights)"
    )
    days: int = Field(
        2,
        ge=1,
        description="forecasts in a row with an error above the baseline's before"
        " monitor.worse follows (forecasts)",
    )
    worse: Literal["note", "retrain", "roll_back", "baseline"] = Field(
        "note",
        description="what follows when the live error is worse than the baseline's: note it,"
        " retrain from scratch, roll back to the previous version (or the baseline without one),"
        " or let the baseline serve",
    )
    drift: Literal["note", "retrain"] = Field(
        "note", description="what follows drift: note it, or retrain from scratch"
    )
    max_psi: float = Field(
        0.25,
        gt=0,
        description="population stability index of a column against the champion's training rows"
        " from which on it has drifted (index)",
    )
    max_ks: float = Field(
        0.3,
        gt=0,
        le=1,
        description="largest distance of the two distributions (Kolmogorov-Smirnov) from which on a"
        " column has drifted, as a share",
    )
    max_unseen: float = Field(
        0.05,
        ge=0,
        le=1,
        description="share of rows with a category never seen in training from which on it has"
        " drifted",
    )
    max_error_rise: float = Field(
        0.5,
        gt=0,
        description="share by which the live error may be above what the backtest promised before"
        " it counts as drift",
    )
    window: int | None = Field(
        None,
        ge=1,
        description="newest rows of each series that are compared with training (steps); by default"
        " four seasons, of events all that came after training",
    )
    deadline: float = Field(
        600, gt=0, description="time after which the watching process is ended (seconds)"
    )

"""How models are compared."""

from __future__ import annotations

from pydantic import Field

from seqmodel.specs.base import Columns, Spec
from seqmodel.specs.classes import ClassBaseline
from seqmodel.specs.members import Baseline


class BacktestSpec(Spec):
    """The rolling evaluation on the newest part of the table."""

    cutoffs: int = Field(8, ge=1, le=1000, description="forecasts made per series (cutoffs)")
    step: int = Field(24, ge=1, description="distance between cutoffs (steps)")
    gap: int = Field(
        0,
        ge=0,
        description="left out between the targets of training, holdout and backtest (steps)",
    )
    share: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="newest share of the targets that is scored, of events without a grid; it is"
        " cut into as many periods as there are cutoffs, and each event is forecast from the one"
        " before",
    )
    baseline: Baseline | ClassBaseline | None = Field(
        None,
        description="what a model must beat, and what forecasts while no model serves; by default"
        " the seasonal naive; of classes markov, the class's frequency after the last class:"
        " majority takes the commonest, class_frequency knows no input, single_feature the one"
        " input that tells most on the training rows",
    )
    reference: str | None = Field(
        None,
        description="known covariate that is itself a forecast, such as a timetable or a plan:"
        " scored beside the models",
    )
    groups: Columns = Field(
        (), description="static covariates by whose values the scores are shown as well"
    )
    ablation: dict[str, Columns] = Field(
        {},
        description="what the flow `backtest` leaves out to measure its worth: name of a group ->"
        " its covariates, or calendar, holidays, age, lags, rolling",
    )
    refit: int | None = Field(
        None,
        ge=1,
        description="the flow `backtest` also trains anew for every so many cutoffs, on what was"
        " known by then, and scores that beside the one model of all cutoffs; 1 for always, without"
        " it never (cutoffs)",
    )
    shards: int | None = Field(
        None,
        ge=1,
        le=500,
        description="parts of the series whose windows are predicted apart, each a task that can be"
        " tried again alone; by default one for every two million rows of the table; classes and"
        " events are predicted in one go (shards)",
    )
    deadline: float = Field(
        3600, gt=0, description="time after which the backtest's process is ended (seconds)"
    )

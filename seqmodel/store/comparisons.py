"""Two candidates on the same windows, as it is stored and as the gate reads it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class GroupLoss(BaseModel):
    """The two on one group of series.

    Attributes:
        group: its label.
        series: series in it.
        loss: mean loss of the challenger.
        other: mean loss of the other one.
        chance: probability of so much higher a loss by chance, None where nobody can tell.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    group: str
    series: int
    loss: float
    other: float
    chance: float | None


class Paired(BaseModel):
    """The challenger beside another candidate, window by window.

    Attributes:
        test: name of the paired test.
        difference: mean loss of the challenger less the other's; below zero it is better.
        chance: probability of so low a difference by chance, None where nobody can tell.
        pairs: size of the sample.
        over: what it is a sample of.
        windows: windows compared.
        groups: the same for each group of series.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    test: str
    difference: float | None
    chance: float | None
    pairs: int
    over: Literal["cutoffs", "windows"]
    windows: int
    groups: tuple[GroupLoss, ...] = ()

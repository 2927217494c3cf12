"""How the network is fitted, and on which windows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from seqmodel.specs.base import Spec


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
    sampling: Literal["uniform", "balanced"] = Field(
        "uniform",
        description="uniform: every window equally often; balanced: every series equally often,"
        " however long it is",
    )
    half_life: int | None = Field(
        None,
        ge=1,
        description="age at which a training window counts half as much as the newest (steps);"
        " without it all count the same",
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

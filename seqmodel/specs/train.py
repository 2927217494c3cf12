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
    weigh: Literal["even", "naive", "mixed"] = Field(
        "even",
        description="even: errors of all windows count alike, in the scale of their series; naive:"
        " in the target's own unit, by errors that repeating the last season made within their own"
        " lookback, as in MASE; mixed: half of each",
    )
    schedule: Literal["constant", "cosine", "decay"] = Field(
        "cosine",
        description="course of the learning rate after its rise: constant; a cosine down to 1 %;"
        " or two epochs constant, then 0.8 of it each epoch",
    )
    warm_up: float = Field(
        0.05, ge=0, le=1, description="share of all steps over which the learning rate rises"
    )
    clip_norm: float = Field(
        1.0, gt=0, description="largest norm of a weight's gradient, longer ones are cut to it"
    )
    average: int = Field(
        1,
        ge=1,
        le=1_000_000,
        description="weights judged and stored are a moving mean over about this many of the newest"
        " training steps, exponentially weighed; 1 for the newest alone (steps)",
    )
    keep: Literal["best", "last"] = Field(
        "best",
        description="weights of the epoch with the best holdout loss, or, without an early stop,"
        " those at the end of the schedule",
    )
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = Field(
        "float32", description="precision of the layers; outputs and weights stay float32"
    )
    device: Literal["auto", "cpu", "gpu", "all_gpus"] = Field(
        "auto",
        description="what trains: a GPU where there is one, the CPU, a GPU or an error, or all GPUs"
        " of the machine at once",
    )
    warm_start: bool = Field(
        default=False,
        description="go on from the version that serves, where spec and features are its own",
    )
    warm_epochs: int = Field(1, ge=1, le=10_000, description="passes of a warm start (epochs)")
    warm_rate: float = Field(
        0.3, gt=0, le=1, description="peak step size of a warm start, as a share of learning_rate"
    )
    scratch_every: int = Field(
        7, ge=1, description="warm starts in a row before one from scratch (nights)"
    )
    tensorboard: bool = Field(
        default=False,
        description="write losses for TensorBoard to <pipeline>/tensorboard (needs tensorflow)",
    )
    memory_limit: int | None = Field(
        None, ge=256, description="memory at which the training process is ended (MiB)"
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

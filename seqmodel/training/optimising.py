"""How a network learns: rate, optimiser, precision, and the machine it runs on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import keras
from keras import ops

from seqmodel.errors import SpecError
from seqmodel.specs import TrainSpec

#: Share of the peak at which the rate begins.
BEGIN = 0.05
#: Share of the peak at which a cosine ends.
END = 0.01
#: Factor of the rate an epoch, and the epochs before it, of the schedule `decay` (SegRNN, arXiv
#: 2308.11200, its scripts).
DECAY, HELD = 0.8, 2


@keras.saving.register_keras_serializable("seqmodel")
class Rate(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Learning rate of each step: it rises to its peak, then follows the schedule.

    Args:
        peak: the highest rate.
        schedule: constant, cosine or decay.
        steps: training steps of an epoch (steps).
        epochs: at most (epochs).
        warm_up: steps over which the rate rises (steps).
    """

    def __init__(self, peak: float, schedule: str, steps: int, epochs: int, warm_up: int) -> None:
        super().__init__()
        self.peak, self.schedule = peak, schedule
        self.steps, self.epochs, self.warm_up = steps, epochs, warm_up

    def __call__(self, step: Any) -> Any:
        """Return the rate of a step, counted from 0."""
        done = ops.cast(step, "float32")
        begin = BEGIN if self.warm_up else 1.0
        rising = begin + (1 - begin) * ops.minimum(done / max(self.warm_up, 1), 1.0)
        if self.schedule == "cosine":
            left = max(self.steps * self.epochs - self.warm_up, 1)
            share = ops.clip((done - self.warm_up) / left, 0.0, 1.0)
            falling = END + (1 - END) * 0.5 * (1 + ops.cos(3.141592653589793 * share))
        elif self.schedule == "decay":
            over = ops.floor(done / self.steps) - (HELD - 1)
            falling = ops.power(DECAY, ops.maximum(over, 0.0))
        else:
            falling = ops.ones_like(done)
        return self.peak * rising * falling

    def get_config(self) -> dict[str, Any]:
        """Return what is needed to build the schedule again."""
        names = ("peak", "schedule", "steps", "epochs", "warm_up")
        return {name: getattr(self, name) for name in names}


def make_optimiser(train: TrainSpec, steps: int, *, epochs: int, peak: float) -> Any:
    """Return Adam with the spec's schedule, clipping and mean of weights.

    Args:
        train: schedule, warm_up, clip_norm and average count.
        steps: training steps of an epoch (steps).
        epochs: at most (epochs).
        peak: the highest rate.
    """
    warm_up = round(train.warm_up * steps * epochs)
    rate = Rate(peak, train.schedule, steps, epochs, warm_up)
    averaged = {"use_ema": True, "ema_momentum": 1 - 1 / train.average}
    return keras.optimizers.Adam(
        rate, clipnorm=train.clip_norm, **(averaged if train.average > 1 else {})
    )


@contextmanager
def use_average(model: Any) -> Iterator[None]:
    """Give a compiled network the mean of its newest weights for a `with` block.

    Nothing changes where its optimiser keeps no mean.
    """
    if not model.optimizer.use_ema:
        yield
        return
    newest = model.get_weights()
    model.optimizer.finalize_variable_values(model.trainable_variables)
    try:
        yield
    finally:
        model.set_weights(newest)


@contextmanager
def use_precision(precision: str) -> Iterator[None]:
    """Build layers of a precision for a `with` block."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def count_gpus() -> int:
    """Return how many GPUs the backend sees."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return len(tf.config.list_physical_devices("GPU"))
    if backend == "jax":
        import jax

        return sum(device.platform == "gpu" for device in jax.devices())
    import torch

    return int(torch.cuda.device_count())


@contextmanager
def use_device(train: TrainSpec) -> Iterator[bool]:
    """Build and train on the device of the spec for a `with` block; say whether XLA may be used.

    Raises:
        SpecError: if a GPU is demanded and none is there.
    """
    if train.device in {"gpu", "all_gpus"} and not count_gpus():
        raise SpecError(
            f"found no GPU for train.device {train.device}, needed one; install the extra [gpu] on"
            " a machine that has one, or set it to auto"
        )
    if train.device == "all_gpus":
        with _mirror().scope():
            # tf.distribute and XLA do not go together.
            yield False
    else:
        place = keras.device("cpu") if train.device == "cpu" else nullcontext()
        with place:
            # PyTorch compiles with another compiler, which no one here has measured.
            yield keras.backend.backend() != "torch"


def _mirror() -> Any:
    if keras.backend.backend() != "tensorflow":
        raise SpecError(
            f"found train.device all_gpus on the backend {keras.backend.backend()}, needed"
            " tensorflow; set KERAS_BACKEND or use one GPU"
        )
    import tensorflow as tf

    return tf.distribute.MirroredStrategy()

"""Location and scale of a normal distribution, and its likelihood."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from seqmodel.models.endings.safe import HALF_LOG_TWO_PI
from seqmodel.models.outputs.head import PACKAGE

#: A constant series would pull the scale to 0 and the likelihood to infinity (scaled units).
LEAST_SCALE = 1e-4
#: Beyond so many scales an error counts no more: its square still fits into float32.
FARTHEST = 1e9


def standardise(y_true: Any, loc: Any, scale: Any) -> Any:
    """Return the N x H errors in units of the scale."""
    return ops.clip((y_true - loc) / scale, -FARTHEST, FARTHEST)


def move_scale(parameters: Any, base: Any, spread: Any) -> list[Any]:
    """Return location and scale, N x H x 1 each, of a distribution moved and stretched."""
    location, scale = parameters[..., :1], parameters[..., 1:2]
    return [base + spread * location, ops.maximum(spread * scale, LEAST_SCALE)]


@keras.saving.register_keras_serializable(PACKAGE)
class LocationScale(keras.layers.Layer):  # type: ignore[misc]
    """Turns N x H x 2 raw numbers into location and scale > 0."""

    def call(self, inputs: Any) -> Any:
        """Return N x H x 2 parameters."""
        scale = LEAST_SCALE + ops.softplus(inputs[..., 1:])
        return ops.concatenate([inputs[..., :1], scale], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the outputs: that of the inputs."""
        return input_shape


@keras.saving.register_keras_serializable(PACKAGE)
class GaussianLoss(keras.losses.Loss):  # type: ignore[misc]
    """Negative log-likelihood of a normal distribution."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return N x H losses of N x H targets and N x H x 2 parameters."""
        scale = y_pred[..., 1]
        z = standardise(y_true, y_pred[..., 0], scale)
        return 0.5 * z * z + ops.log(scale) + HALF_LOG_TWO_PI

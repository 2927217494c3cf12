"""Parameters of Student's t-distribution, and its likelihood."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from seqmodel.models.endings.gaussian import LEAST_SCALE, standardise
from seqmodel.models.endings.safe import HALF_LOG_TWO_PI, stirling_error
from seqmodel.models.outputs.head import PACKAGE

#: With 2 degrees of freedom or fewer the variance is infinite.
LEAST_FREEDOM = 2.01
#: Raw 0 means about 10 degrees of freedom, halfway between a normal and a wild distribution.
START = 8.0


@keras.saving.register_keras_serializable(PACKAGE)
class LocationScaleFreedom(keras.layers.Layer):  # type: ignore[misc]
    """Turns N x H x 3 raw numbers into location, scale > 0 and degrees of freedom > 2."""

    def call(self, inputs: Any) -> Any:
        """Return N x H x 3 parameters."""
        scale = LEAST_SCALE + ops.softplus(inputs[..., 1:2])
        freedom = LEAST_FREEDOM + ops.softplus(START + inputs[..., 2:])
        return ops.concatenate([inputs[..., :1], scale, freedom], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the outputs: that of the inputs."""
        return input_shape


@keras.saving.register_keras_serializable(PACKAGE)
class StudentTLoss(keras.losses.Loss):  # type: ignore[misc]
    """Negative log-likelihood of Student's t-distribution."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return N x H losses of N x H targets and N x H x 3 parameters.

        With a half of the freedom, ln(gamma(a + 1/2) / gamma(a)) - ln(2 pi a) / 2 is
        a ln(1 + 1 / 2a) - 1/2 - ln(2 pi) / 2 and the difference of two Stirling errors: what
        grows with a has left the formula before it could lose digits.
        """
        # PyTorch multiplies no arrays with tensors.
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        scale, a = y_pred[..., 1], y_pred[..., 2] / 2
        z = standardise(y_true, y_pred[..., 0], scale)
        constant = a * ops.log1p(0.5 / a) - 0.5 - HALF_LOG_TWO_PI
        constant = constant + stirling_error(a + 0.5) - stirling_error(a)
        return ops.log(scale) - constant + (a + 0.5) * ops.log1p(z * z / (2 * a))

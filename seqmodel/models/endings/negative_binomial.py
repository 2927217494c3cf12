"""Parameters of a negative binomial distribution, and its likelihood."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from seqmodel.models.endings.safe import HALF_LOG_TWO_PI, SMALLEST, log_ratio, stirling_error
from seqmodel.models.outputs.head import PACKAGE

#: Below, a series of zeros would pull the logarithm of its mean to minus infinity.
LEAST_MEAN = 1e-6
#: Below, nobody can tell the distribution from Poisson's.
LEAST_DISPERSION = 1e-6
#: softplus of it is 1: raw 0 means a mean of one unit of the scale.
START = 0.5413248546


@keras.saving.register_keras_serializable(PACKAGE)
class MeanDispersion(keras.layers.Layer):  # type: ignore[misc]
    """Turns N x H x 2 raw numbers into mean > 0, in the target's unit, and dispersion > 0."""

    def call(self, inputs: Any, scale: Any) -> Any:
        """Return N x H x 2 parameters of raw numbers and the N x 1 scale."""
        mean = ops.softplus(START + inputs[..., :1]) * ops.expand_dims(scale, 1)
        dispersion = LEAST_DISPERSION + ops.softplus(inputs[..., 1:])
        return ops.concatenate([LEAST_MEAN + mean, dispersion], axis=-1)

    def compute_output_shape(
        self, inputs_shape: tuple[int | None, ...], scale_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Return the shape of the outputs: that of the raw numbers."""
        del scale_shape  # Keras passes the shapes of all arguments.
        return inputs_shape


@keras.saving.register_keras_serializable(PACKAGE)
class NegativeBinomialLoss(keras.losses.Loss):  # type: ignore[misc]
    """Negative log-likelihood of counts with a mean and a variance of mean + dispersion mean²."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return N x H losses of N x H counts and N x H x 2 parameters.

        With r = 1 / dispersion and lgamma written by Stirling's formula and its error, all that
        grows with counts or r cancels but for two logarithms of ratios, which are exact near 1:
        lgamma(y + r) - lgamma(r) would be the difference of two huge numbers.
        """
        # PyTorch multiplies no arrays with tensors.
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        y = ops.maximum(y_true, SMALLEST)  # A negative count has no likelihood at all.
        mean, r = y_pred[..., 0], 1.0 / y_pred[..., 1]
        error = (y - mean) / (mean + r)
        share, said = y / (y + r), mean / (mean + r)
        return (
            HALF_LOG_TWO_PI
            - r * log_ratio(y + r, mean + r, error)
            - y * log_ratio(said, share, -error * r / y)
            + 0.5 * (ops.log1p(y / r) + ops.log(y))
            + stirling_error(y)
            + stirling_error(r)
            - stirling_error(y + r)
        )

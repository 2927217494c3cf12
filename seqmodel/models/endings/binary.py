"""Binary cross-entropy."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from seqmodel.models.endings.safe import LEAST_PROBABILITY
from seqmodel.models.outputs.head import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class BinaryLoss(keras.losses.Loss):  # type: ignore[misc]
    """Negative logarithm of the probability of the class that came."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return N x H losses of N x H targets, 0 or 1, and N x H x 1 probabilities of 1."""
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        p = ops.clip(y_pred[..., 0], LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
        return -(y_true * ops.log(p) + (1 - y_true) * ops.log1p(-p))

"""Categorical cross-entropy."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from seqmodel.models.endings.safe import LEAST_PROBABILITY
from seqmodel.models.outputs.head import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class CategoricalLoss(keras.losses.Loss):  # type: ignore[misc]
    """Negative logarithm of the probability of the class that came."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return N x H losses of N x H classes from 0 and N x H x K probabilities."""
        y_pred = ops.convert_to_tensor(y_pred)
        chosen = ops.one_hot(ops.cast(y_true, "int32"), y_pred.shape[-1], dtype=y_pred.dtype)
        p = ops.sum(chosen * y_pred, axis=-1)
        return -ops.log(ops.maximum(p, LEAST_PROBABILITY))

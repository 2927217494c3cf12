"""The probability of the second of two classes a step, by a sigmoid and binary cross-entropy."""

from __future__ import annotations

from typing import Any, final

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from seqmodel.models.outputs.classes import LEAST, ClassHead
from seqmodel.models.outputs.head import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class BinaryLoss(keras.losses.Loss):  # type: ignore[misc]
    """Negative logarithm of the probability of the class that came."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return N x H losses of N x H targets, 0 or 1, and N x H x 1 probabilities of 1."""
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        p = ops.clip(y_pred[..., 0], LEAST, 1 - LEAST)
        return -(y_true * ops.log(p) + (1 - y_true) * ops.log1p(-p))


@final
class BinaryHead(ClassHead):
    """One probability, of the positive class."""

    width = 1

    def finish(self, raw: Any, scale: Any = None) -> Any:  # noqa: ARG002 - nothing is scaled
        """Return the N x H x 1 probabilities, in float32."""
        return keras.layers.Activation("sigmoid", dtype="float32")(raw)

    def loss(self) -> Any:
        """Return the binary cross-entropy."""
        return BinaryLoss()

    def probabilities(self, parameters: NDArray[Any]) -> NDArray[np.float64]:
        """Return N x H x 2 probabilities: negative, positive."""
        p = np.asarray(parameters, np.float64)
        return np.concatenate([1 - p, p], axis=-1)

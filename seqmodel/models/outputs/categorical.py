"""Probabilities of K classes a step, by a softmax and categorical cross-entropy."""

from __future__ import annotations

from typing import Any, final

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from seqmodel.models.outputs.classes import LEAST, ClassHead
from seqmodel.models.outputs.head import PACKAGE
from seqmodel.specs import OutputSpec


@keras.saving.register_keras_serializable(PACKAGE)
class CategoricalLoss(keras.losses.Loss):  # type: ignore[misc]
    """Negative logarithm of the probability of the class that came."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return N x H losses of N x H classes from 0 and N x H x K probabilities."""
        y_pred = ops.convert_to_tensor(y_pred)
        chosen = ops.one_hot(ops.cast(y_true, "int32"), y_pred.shape[-1], dtype=y_pred.dtype)
        p = ops.sum(chosen * y_pred, axis=-1)
        return -ops.log(ops.maximum(p, LEAST))


@final
class CategoricalHead(ClassHead):
    """A probability for each class."""

    def __init__(self, output: OutputSpec, classes: int) -> None:
        super().__init__(output, classes)
        self.width = classes

    def finish(self, raw: Any, scale: Any = None) -> Any:  # noqa: ARG002 - nothing is scaled
        """Return the N x H x K probabilities, in float32."""
        return keras.layers.Softmax(dtype="float32")(raw)

    def loss(self) -> Any:
        """Return the categorical cross-entropy."""
        return CategoricalLoss()

    def probabilities(self, parameters: NDArray[Any]) -> NDArray[np.float64]:
        """Return the probabilities, their sum exact in double precision."""
        p = np.asarray(parameters, np.float64)
        found: NDArray[np.float64] = p / p.sum(axis=-1, keepdims=True)
        return found

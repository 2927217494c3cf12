"""The error of one number a step: absolute, squared or Huber's."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from seqmodel.models.outputs.head import PACKAGE

#: From here on Huber's loss grows with the error, below with its square (scaled units).
DELTA = 1.0


def _measure_huber(size: Any) -> Any:
    return ops.where(size < DELTA, 0.5 * size * size, DELTA * (size - 0.5 * DELTA))


#: Of the size of an error.
ERRORS = {"mae": lambda size: size, "mse": ops.square, "huber": _measure_huber}


@keras.saving.register_keras_serializable(PACKAGE)
class PointLoss(keras.losses.Loss):  # type: ignore[misc]
    """Error of one number a step.

    Args:
        error: name in ERRORS. Keras's own losses would average over the horizon, and weights of
            single steps could no longer be applied.
    """

    def __init__(self, error: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.error = error

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return N x H losses of N x H targets and N x H x 1 forecasts."""
        return ERRORS[self.error](ops.abs(y_true - y_pred[..., 0]))

    def get_config(self) -> dict[str, Any]:
        """Return what is needed to build the loss again."""
        return {**super().get_config(), "error": self.error}

"""One number a step, by absolute, squared or Huber's error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from seqmodel.models.outputs.head import PACKAGE, Head
from seqmodel.specs import OutputSpec

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


@final
class PointHead(Head):
    """One number, published as the median whatever its loss."""

    width = 1

    def __init__(self, output: OutputSpec) -> None:
        super().__init__(output)
        self.error = output.loss

    def finish(self, raw: Any, scale: Any = None) -> Any:  # noqa: ARG002 - scaled already
        """Return the N x H x 1 raw numbers, in float32."""
        return keras.layers.Identity(dtype="float32")(raw)

    def loss(self) -> Any:
        """Return the loss that the spec names."""
        return PointLoss(self.error)

    def quantiles(
        self, parameters: NDArray[Any], levels: Sequence[float] | None = None
    ) -> NDArray[np.float64]:
        """Return the number."""
        return np.asarray(parameters, np.float64)[..., self._find_levels(levels)]

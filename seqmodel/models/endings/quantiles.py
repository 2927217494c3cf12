"""Quantiles that never cross, and pinball loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from seqmodel.models.outputs.head import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class AscendingQuantiles(keras.layers.Layer):  # type: ignore[misc]
    """Turns N x H x Q numbers into quantiles that never cross.

    The middle one is free; those above and below it are reached by positive steps.
    """

    def __init__(self, middle: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.middle = middle

    def call(self, inputs: Any) -> Any:
        """Return N x H x Q ascending values."""
        m = self.middle
        centre = inputs[..., m : m + 1]
        parts = [centre]
        if m > 0:
            # Steps down from the centre: the nearest first, so flip, sum up, flip back.
            down = ops.flip(ops.softplus(inputs[..., :m]), axis=-1)
            parts.insert(0, centre - ops.flip(ops.cumsum(down, axis=-1), axis=-1))
        if m + 1 < inputs.shape[-1]:
            parts.append(centre + ops.cumsum(ops.softplus(inputs[..., m + 1 :]), axis=-1))
        return ops.concatenate(parts, axis=-1) if len(parts) > 1 else centre

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the outputs: that of the inputs."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return what is needed to build the layer again."""
        return {**super().get_config(), "middle": self.middle}


@keras.saving.register_keras_serializable(PACKAGE)
class PinballLoss(keras.losses.Loss):  # type: ignore[misc]
    """Mean pinball loss of Q quantiles; for the level 0.5 alone, half the absolute error."""

    def __init__(self, levels: Sequence[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.levels = tuple(levels)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return N x H losses of N x H targets and N x H x Q quantiles."""
        levels = ops.convert_to_tensor(self.levels, dtype=y_pred.dtype)
        error = ops.expand_dims(y_true, -1) - y_pred
        return ops.mean(ops.maximum(levels * error, (levels - 1.0) * error), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return what is needed to build the loss again."""
        return {**super().get_config(), "levels": list(self.levels)}

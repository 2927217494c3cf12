"""One number a step, by absolute, squared or Huber's error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.models.outputs.head import Head
from seqmodel.specs import OutputSpec


@final
class PointHead(Head):
    """One number, published as the median whatever its loss."""

    width = 1

    def __init__(self, output: OutputSpec) -> None:
        super().__init__(output)
        self.error = output.loss

    def finish(self, raw: Any, scale: Any = None) -> Any:  # noqa: ARG002 - scaled already
        """Return the N x H x 1 raw numbers, in float32."""
        import keras

        return keras.layers.Identity(dtype="float32")(raw)

    def loss(self) -> Any:
        """Return the loss that the spec names."""
        from seqmodel.models.endings.point import PointLoss

        return PointLoss(self.error)

    def quantiles(
        self, parameters: NDArray[Any], levels: Sequence[float] | None = None
    ) -> NDArray[np.float64]:
        """Return the number."""
        return np.asarray(parameters, np.float64)[..., self._find_levels(levels)]

"""Quantiles that never cross, by pinball loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.models.outputs.head import Head
from seqmodel.specs import OutputSpec
from seqmodel.specs.model import MEDIAN


@final
class QuantileHead(Head):
    """Q quantiles; the raw number in the middle is the median."""

    def __init__(self, output: OutputSpec) -> None:
        super().__init__(output)
        self.width = len(self.levels)
        self.centre = self.levels.index(MEDIAN)

    def finish(self, raw: Any, scale: Any = None) -> Any:  # noqa: ARG002 - scaled already
        """Return N x H x Q ascending quantiles."""
        from seqmodel.models.endings.quantiles import AscendingQuantiles

        return AscendingQuantiles(self.centre, dtype="float32")(raw)

    def loss(self) -> Any:
        """Return the pinball loss."""
        from seqmodel.models.endings.quantiles import PinballLoss

        return PinballLoss(self.levels)

    def quantiles(
        self, parameters: NDArray[Any], levels: Sequence[float] | None = None
    ) -> NDArray[np.float64]:
        """Return the quantiles asked for, of those learned."""
        return np.asarray(parameters, np.float64)[..., self._find_levels(levels)]

"""A normal distribution a step, by its likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.models.outputs.head import Head


@final
class GaussianHead(Head):
    """Location and scale of a normal distribution."""

    width = 2

    def finish(self, raw: Any, scale: Any = None) -> Any:  # noqa: ARG002 - scaled already
        """Return N x H x 2: location, scale."""
        from seqmodel.models.endings.gaussian import LocationScale

        return LocationScale(dtype="float32")(raw)

    def rescale(self, parameters: Any, base: Any, spread: Any) -> Any:
        """Return N x H x 2 parameters, moved and stretched."""
        from keras import ops

        from seqmodel.models.endings.gaussian import move_scale

        return ops.concatenate(move_scale(parameters, base, spread), axis=-1)

    def loss(self) -> Any:
        """Return the negative log-likelihood."""
        from seqmodel.models.endings.gaussian import GaussianLoss

        return GaussianLoss()

    def quantiles(
        self, parameters: NDArray[Any], levels: Sequence[float] | None = None
    ) -> NDArray[np.float64]:
        """Return the distribution's quantiles."""
        from scipy.special import ndtri

        loc, scale = np.split(np.asarray(parameters, np.float64), 2, axis=-1)  # N x H x 1 each
        found: NDArray[np.float64] = loc + scale * ndtri(self._check_levels(levels))
        return found

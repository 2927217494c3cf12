"""Student's t-distribution a step: a normal one that forgives outliers, by its likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.models.outputs.head import Head


@final
class StudentTHead(Head):
    """Location, scale and degrees of freedom of Student's t-distribution."""

    width = 3

    def finish(self, raw: Any, scale: Any = None) -> Any:  # noqa: ARG002 - scaled already
        """Return N x H x 3: location, scale, degrees of freedom."""
        from seqmodel.models.endings.student_t import LocationScaleFreedom

        return LocationScaleFreedom(dtype="float32")(raw)

    def rescale(self, parameters: Any, base: Any, spread: Any) -> Any:
        """Return N x H x 3 parameters, moved and stretched; the freedom stays."""
        from keras import ops

        from seqmodel.models.endings.gaussian import move_scale

        moved = move_scale(parameters, base, spread)
        return ops.concatenate([*moved, parameters[..., 2:]], axis=-1)

    def loss(self) -> Any:
        """Return the negative log-likelihood."""
        from seqmodel.models.endings.student_t import StudentTLoss

        return StudentTLoss()

    def quantiles(
        self, parameters: NDArray[Any], levels: Sequence[float] | None = None
    ) -> NDArray[np.float64]:
        """Return the distribution's quantiles."""
        from scipy.special import stdtrit

        loc, scale, freedom = np.split(np.asarray(parameters, np.float64), 3, axis=-1)
        found: NDArray[np.float64] = loc + scale * stdtrit(freedom, self._check_levels(levels))
        return found

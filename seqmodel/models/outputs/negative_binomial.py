"""A negative binomial distribution a step, for counts, by its likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.errors import SpecError
from seqmodel.models.outputs.head import Head


@final
class NegativeBinomialHead(Head):
    """Mean and dispersion of a negative binomial distribution, in counts."""

    unit = "target"
    width = 2

    def finish(self, raw: Any, scale: Any = None) -> Any:
        """Return N x H x 2: mean, dispersion."""
        from seqmodel.models.endings.negative_binomial import MeanDispersion

        return MeanDispersion(dtype="float32")(raw, scale)

    def rescale(self, parameters: Any, base: Any, spread: Any) -> Any:
        """Refuse: counts moved or stretched are no counts."""
        del parameters, base, spread
        raise SpecError(
            "found output.kind 'negative_binomial' in a network that moves its forecast, needed"
            " one that does not; set model.normalise to none, or choose another output"
        )

    def loss(self) -> Any:
        """Return the negative log-likelihood."""
        from seqmodel.models.endings.negative_binomial import NegativeBinomialLoss

        return NegativeBinomialLoss()

    def quantiles(
        self, parameters: NDArray[Any], levels: Sequence[float] | None = None
    ) -> NDArray[np.float64]:
        """Return the distribution's quantiles: whole counts."""
        from scipy.stats import nbinom

        mean, dispersion = np.split(np.asarray(parameters, np.float64), 2, axis=-1)
        chance = 1 / (1 + dispersion * mean)
        found: NDArray[np.float64] = nbinom.ppf(
            np.asarray(self._check_levels(levels)), 1 / dispersion, chance
        )
        return found

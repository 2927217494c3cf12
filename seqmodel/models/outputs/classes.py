"""What the heads of binary and categorical targets share: probabilities instead of quantiles."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqmodel.errors import SpecError
from seqmodel.models.outputs.head import Head
from seqmodel.specs import OutputSpec


class ClassHead(Head):
    """Probabilities of K classes a step.

    Args:
        output: its kind counts.
        classes: K.
    """

    def __init__(self, output: OutputSpec, classes: int) -> None:
        super().__init__(output)
        self.columns = classes

    @abstractmethod
    def probabilities(self, parameters: NDArray[Any]) -> NDArray[np.float64]:
        """Return N x H x K probabilities that sum to 1."""

    def say(self, parameters: NDArray[Any]) -> NDArray[np.float64]:
        """Return the probabilities."""
        return self.probabilities(parameters)

    def rescale(self, parameters: Any, base: Any, spread: Any) -> Any:
        """Refuse: a probability moved or stretched is none."""
        del parameters, base, spread
        raise SpecError(
            "found classes in a network that moves its forecast, needed one that does not; set"
            " model.normalise to none"
        )

    def quantiles(
        self, parameters: NDArray[Any], levels: Sequence[float] | None = None
    ) -> NDArray[np.float64]:
        """Refuse: classes have no order."""
        del parameters, levels
        raise SpecError(
            "found quantiles asked of classes, needed probabilities; set output.kind to quantiles"
            " for a target that is a number"
        )

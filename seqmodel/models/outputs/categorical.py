"""Probabilities of K classes a step, by a softmax and categorical cross-entropy."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.models.outputs.classes import ClassHead
from seqmodel.specs import OutputSpec


@final
class CategoricalHead(ClassHead):
    """A probability for each class."""

    def __init__(self, output: OutputSpec, classes: int) -> None:
        super().__init__(output, classes)
        self.width = classes

    def finish(self, raw: Any, scale: Any = None) -> Any:  # noqa: ARG002 - nothing is scaled
        """Return the N x H x K probabilities, in float32."""
        import keras

        return keras.layers.Softmax(dtype="float32")(raw)

    def loss(self) -> Any:
        """Return the categorical cross-entropy."""
        from seqmodel.models.endings.categorical import CategoricalLoss

        return CategoricalLoss()

    def probabilities(self, parameters: NDArray[Any]) -> NDArray[np.float64]:
        """Return the probabilities, their sum exact in double precision."""
        p = np.asarray(parameters, np.float64)
        found: NDArray[np.float64] = p / p.sum(axis=-1, keepdims=True)
        return found

"""The probability of the second of two classes a step, by a sigmoid and binary cross-entropy."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.models.outputs.classes import ClassHead


@final
class BinaryHead(ClassHead):
    """One probability, of the positive class."""

    width = 1

    def finish(self, raw: Any, scale: Any = None) -> Any:  # noqa: ARG002 - nothing is scaled
        """Return the N x H x 1 probabilities, in float32."""
        import keras

        return keras.layers.Activation("sigmoid", dtype="float32")(raw)

    def loss(self) -> Any:
        """Return the binary cross-entropy."""
        from seqmodel.models.endings.binary import BinaryLoss

        return BinaryLoss()

    def probabilities(self, parameters: NDArray[Any]) -> NDArray[np.float64]:
        """Return N x H x 2 probabilities: negative, positive."""
        p = np.asarray(parameters, np.float64)
        return np.concatenate([1 - p, p], axis=-1)

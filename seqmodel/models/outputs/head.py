"""What a head is: from raw numbers to parameters, their loss and their quantiles."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from seqmodel.errors import SpecError
from seqmodel.specs import OutputSpec

#: Under which Keras finds our layers and losses again.
PACKAGE = "seqmodel"
#: Windows whose loss is computed at once, so that memory stays small.
WINDOWS_AT_ONCE = 16_384


class Head(ABC):
    """One kind of output: P numbers a step, whose meaning only the head knows.

    The network ends in a layer of `width` raw numbers; raw numbers around 0, as an untrained
    network gives, are sane parameters.

    Attributes:
        width: P.
        centre: which raw number moves the whole forecast up and down.
        unit: what the parameters, and the targets of the loss, are measured in: the network's
            scale or the target's own unit. With the latter alone `finish` reads the scale.
        columns: how many numbers a step are said in the end: quantiles, or probabilities.
    """

    unit: ClassVar[Literal["scaled", "target"]] = "scaled"
    width: int
    centre: int = 0
    columns: int

    def __init__(self, output: OutputSpec) -> None:
        self.levels = output.levels
        self.columns = len(self.levels)

    @abstractmethod
    def finish(self, raw: Any, scale: Any = None) -> Any:
        """Return N x H x P parameters (float32) of N x H x P raw numbers and the N x 1 scale."""

    def rescale(self, parameters: Any, base: Any, spread: Any) -> Any:
        """Return N x H x P parameters of a forecast stretched and then moved.

        Args:
            parameters: N x H x P, as `finish` returns them.
            base: N x H x 1, added to the forecast.
            spread: N x 1 x 1, above 0, by which it is multiplied before.
        """
        return base + spread * parameters

    @abstractmethod
    def loss(self) -> Any:
        """Return the Keras loss: call(N x H targets, N x H x P parameters) -> N x H."""

    @abstractmethod
    def quantiles(
        self, parameters: NDArray[Any], levels: Sequence[float] | None = None
    ) -> NDArray[np.float64]:
        """Return N x H x Q ascending quantiles of N x H x P parameters, in their unit.

        Args:
            parameters: what the network says.
            levels: of the quantiles, ascending; by default those of the spec.
        """

    def say(self, parameters: NDArray[Any]) -> NDArray[np.float64]:
        """Return what is published of N x H x P parameters, in their unit: the quantiles."""
        return self.quantiles(parameters)

    def measure(
        self, actual: NDArray[Any], parameters: NDArray[Any], weights: NDArray[Any]
    ) -> float:
        """Return the weighted mean loss, NaN where all weights are 0.

        Args:
            actual: N x H targets; they may be anything where the weight is 0.
            parameters: N x H x P.
            weights: N x H.
        """
        from keras import ops

        loss, total = self.loss(), 0.0
        for begin in range(0, len(actual), WINDOWS_AT_ONCE):
            part = slice(begin, begin + WINDOWS_AT_ONCE)
            weight = np.asarray(weights[part], np.float64)
            found = loss.call(
                ops.convert_to_tensor(np.where(weight > 0, actual[part], 0), "float32"),
                ops.convert_to_tensor(parameters[part], "float32"),
            )
            losses = np.asarray(ops.convert_to_numpy(found), np.float64)
            total += float(np.sum(np.where(weight > 0, losses * weight, 0)))
        weighed = float(np.sum(weights, dtype=np.float64))
        return total / weighed if weighed else float("nan")

    def _check_levels(self, levels: Sequence[float] | None) -> tuple[float, ...]:
        """Return the levels asked for, which only a distribution has all of."""
        return self.levels if levels is None else tuple(levels)

    def _find_levels(self, levels: Sequence[float] | None) -> list[int]:
        """Return the columns of the levels asked for, of a head that knows only its own."""
        asked = self._check_levels(levels)
        if not set(asked) <= set(self.levels):
            raise SpecError(
                f"found quantiles {list(asked)} asked of a network that knows {list(self.levels)},"
                " needed some of these; train with them in output.quantiles, or with a"
                " distribution as output.kind"
            )
        return [self.levels.index(level) for level in asked]

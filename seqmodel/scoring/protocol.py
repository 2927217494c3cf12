"""What scoring promises whatever the target is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.tallying import Parts

Floats = NDArray[np.float64]
#: Metrics of which more is better; of all others less is.
HIGHER = frozenset({"accuracy", "macro_f1", "roc_auc", "average_precision", "top_k"})


@final
@dataclass(frozen=True)
class Prediction:
    """What one candidate says about N windows.

    Attributes:
        values: N x H x P, quantiles in the target's unit or probabilities.
        names: what the P numbers are: levels of quantiles, or classes.
    """

    values: Floats
    names: tuple[str, ...]


class Scoring(Protocol):
    """Scores candidates on the same N windows.

    Attributes:
        main: metric by which series and cutoffs are scored, and by default the gate decides.
        by_step: metric by which steps of the horizon are scored.
    """

    main: str
    by_step: str

    @property
    def observed(self) -> bool:
        """Whether there is a target to score."""
        ...

    def part(self, said: Prediction) -> Parts:
        """Return what the metrics are made of that add up over series, steps, cutoffs, shards."""
        ...

    def measure(self, said: Prediction) -> dict[str, float]:
        """Return every metric over all windows and steps, NaN where it has no meaning."""
        ...

    def choose_part(self, metric: str | None) -> str:
        """Return the metric whose contributions stand for one: itself if it is a mean of them."""
        ...

    def contribute(self, said: Prediction, metric: str | None = None) -> Floats:
        """Return the N x H contributions to a metric, NaN where no target was observed.

        Args:
            said: what a candidate says.
            metric: whose, one that `choose_part` returns; by default the main one.
        """
        ...

    def measure_steps(self, said: Prediction) -> list[float]:
        """Return the metric `by_step` at each of the H steps."""
        ...

    def describe(
        self, said: Mapping[str, Prediction], ranking: Mapping[str, float | None]
    ) -> dict[str, Any]:
        """Return what the report draws, JSON-able.

        Args:
            said: candidate -> what it says.
            ranking: series -> main metric of the challenger.
        """
        ...


def is_better(metric: str, score: float, other: float) -> bool:
    """Return whether a score of a metric is better than another; NaN never is."""
    return score > other if metric in HIGHER else score < other

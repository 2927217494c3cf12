"""Quantiles of many groups of numbers at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def measure_quantiles(
    values: Floats, groups: NDArray[np.integer], count: int, levels: Floats
) -> Floats:
    """Return the quantiles of each group's values, 0 for a group without any.

    Linear between neighbours, as `numpy.quantile`; one sort does all groups.

    Args:
        values: R finite numbers.
        groups: R numbers of the group each belongs to.
        count: G groups.
        levels: Q levels.

    Returns:
        G x Q.
    """
    values = np.append(values[np.lexsort((values, groups))], 0.0)
    sizes = np.bincount(groups, minlength=count)
    begins = np.cumsum(sizes) - sizes
    last = np.maximum(sizes - 1, 0)[:, None]
    place = last * levels
    low = np.floor(place).astype(np.int64)
    below = values[begins[:, None] + low]
    above = values[begins[:, None] + np.minimum(low + 1, last)]
    return np.where(sizes[:, None] > 0, below + (above - below) * (place - low), 0.0)


def find_nominal(levels: Sequence[float]) -> float | None:
    """Return the share of targets that the widest interval of Q levels should cover."""
    share = levels[-1] - levels[0] if levels else 0
    return share if share > 0 else None

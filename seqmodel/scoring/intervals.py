"""How often intervals were met, and how wide they are: overall and step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
#: Two levels that are as far from the median as this belong together.
CLOSE = 1e-9


def pair_levels(levels: tuple[float, ...]) -> list[tuple[float, int, int]]:
    """Return the intervals that Q levels make: what each should cover, and its two positions."""
    count = range(len(levels))
    pairs = [(i, j) for i in count for j in count if i < j]
    return sorted(
        (round(levels[high] - levels[low], 9), low, high)
        for low, high in pairs
        if abs(levels[low] + levels[high] - 1) < CLOSE
    )


def measure_intervals(
    quantiles: Floats, actual: Floats, levels: tuple[float, ...]
) -> list[dict[str, Any]]:
    """Measure the central intervals of N windows.

    Args:
        quantiles: N x H x Q forecasts.
        actual: N x H, NaN where missing.
        levels: Q.

    Returns:
        For each interval what it should cover (`nominal`), its `coverage` and mean `width`
        (target's unit), and both for each of the H steps; None where nothing was observed.
    """
    seen = np.isfinite(actual)
    found = []
    for nominal, low, high in pair_levels(levels):
        below, above = quantiles[:, :, low], quantiles[:, :, high]
        inside = np.where(seen, (actual >= below) & (actual <= above), np.nan)
        width = np.where(seen, above - below, np.nan)
        found.append(
            {
                "nominal": nominal,
                "coverage": _mean(inside),
                "width": _mean(width),
                "coverage_by_step": [_mean(inside[:, h]) for h in range(actual.shape[1])],
                "width_by_step": [_mean(width[:, h]) for h in range(actual.shape[1])],
            }
        )
    return found


def _mean(values: Floats) -> float | None:
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size else None

"""Whether a forecast can be published: judged like the input, series by series.

not finite      a quantile is missing or infinite
not ascending   a quantile is below the one before
out of bounds   a quantile is too far from everything that was observed lately
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqmodel.panel import Panel
from seqmodel.windows import Windows

Floats = NDArray[np.float64]
NOT_FINITE, NOT_ASCENDING, OUT_OF_BOUNDS = "not finite", "not ascending", "out of bounds"


def measure_range(panel: Panel, windows: Windows) -> tuple[Floats, Floats]:
    """Return the least and greatest observed target of N windows' series, NaN without any."""
    target = panel.values["target"]
    begins = panel.offsets[:-1]
    with np.errstate(invalid="ignore"):
        low, high = np.fmin.reduceat(target, begins), np.fmax.reduceat(target, begins)
    return low[windows.series], high[windows.series]


def judge_forecast(
    quantiles: Floats, low: Floats, high: Floats, bound: float | None
) -> dict[str, NDArray[np.bool_]]:
    """Mark the windows whose forecast is not sane; each is marked once, by its first reason.

    Args:
        quantiles: N x H x Q (target's unit).
        low: N least observed targets, NaN without any.
        high: N greatest ones.
        bound: how far beyond these a forecast may lie, in multiples of the greatest size among
            them; any distance without it, or where all of them are 0.
    """
    with np.errstate(invalid="ignore"):
        lost = ~np.isfinite(quantiles).all(axis=(1, 2))
        crossed = (quantiles[:, :, 1:] < quantiles[:, :, :-1]).any(axis=(1, 2)) & ~lost
        found: dict[str, Any] = {NOT_FINITE: lost, NOT_ASCENDING: crossed}
        if bound is not None:
            size = np.maximum(np.abs(low), np.abs(high))
            far = (quantiles[:, :, 0].min(axis=1) < low - bound * size) | (
                quantiles[:, :, -1].max(axis=1) > high + bound * size
            )
            found[OUT_OF_BOUNDS] = far & (size > 0) & ~lost & ~crossed
    return found

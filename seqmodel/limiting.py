"""What is possible: forecasts kept within limits, and whole numbers for counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seqmodel.ensembling import keep_ascending
from seqmodel.specs import ForecastSpec
from seqmodel.specs.model import MEDIAN

Floats = NDArray[np.float64]


def limit_forecast(quantiles: Floats, limits: ForecastSpec, levels: tuple[float, ...]) -> Floats:
    """Keep forecasts within what is possible; all limits keep the quantiles' order.

    Args:
        quantiles: N x H x Q, ascending.
        limits: least and greatest forecast, and which quantiles are whole.
        levels: Q.
    """
    low, high = limits.minimum, limits.maximum
    if limits.whole != "none":
        # The limits too: rounded last, 0.4 above a least of 0.3 would be published as 0.
        low, high = low and np.ceil(low), high and np.floor(high)
    if limits.whole == "all":
        quantiles = np.rint(quantiles)
    elif limits.whole == "median":
        middle = levels.index(MEDIAN)
        quantiles = quantiles.copy()
        quantiles[:, :, middle] = np.rint(quantiles[:, :, middle])
        quantiles = keep_ascending(quantiles, levels)
    return quantiles if low is None and high is None else np.clip(quantiles, low, high)

"""Conformal quantiles: by how much a forecast quantile must move to be met as often as it says.

score of a window at step h and level q:   the least move, in units, with which the published
                                           quantile reaches what came
shift of the level at the step:            the q-quantile of these scores

(A. Gammerman, V. Vovk, V. Vapnik: Learning by transduction, UAI 1998; quantiles as in Y. Romano,
E. Patterson, E. Candes: Conformalized quantile regression, NeurIPS 2019, each level on its own.)
Where the windows to come are exchangeable with those measured, the shifted quantile of level q is
met with probability q, and at most 1/(n + 1) more.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seqmodel.specs.model import MEDIAN

Floats = NDArray[np.float64]
#: Scores wanted beyond a level: with fewer at one step its neighbours' are taken in.
TAIL = 10
#: Score of what a quantile reaches however far it is moved, as it stays on its side of the median.
FAR = 1e6


def measure_scores(
    quantiles: Floats,
    actual: Floats,
    unit: Floats,
    levels: tuple[float, ...],
    whole: Literal["none", "median", "all"] = "none",
) -> Floats:
    """Return how far each quantile is from what came, NaN where that is missing.

    A quantile below the median is published at most at the median, one above it at least there;
    rounded to whole numbers it reaches half a number further. Both count, so that what is
    published is calibrated, not what it is made of.

    Args:
        quantiles: N x H x Q forecasts (target's unit).
        actual: N x H.
        unit: N x H x Q, above 0 (target's unit).
        levels: Q.
        whole: which of the published quantiles are whole numbers.
    """
    middle = quantiles[:, :, levels.index(MEDIAN)]
    published = middle if whole == "none" else np.rint(middle)
    further = 0.5 if whole == "all" else 0.0
    found = np.zeros_like(quantiles)
    for q, level in enumerate(levels):
        if level < MEDIAN:
            score = (actual + further - quantiles[:, :, q]) / unit[:, :, q]
            found[:, :, q] = np.where(actual >= published, FAR, score)
        elif level > MEDIAN:
            score = (actual - further - quantiles[:, :, q]) / unit[:, :, q]
            found[:, :, q] = np.where(actual <= published, -FAR, score)
    return np.where(np.isfinite(actual)[:, :, None], np.clip(found, -FAR, FAR), np.nan)


def measure_shifts(scores: Floats, levels: tuple[float, ...], offsets: tuple[float, ...]) -> Floats:
    """Return the conformal quantiles of scores at each step.

    Args:
        scores: N x H x Q, NaN where missing.
        levels: Q.
        offsets: G distances from each level.

    Returns:
        H x Q x G, ascending along G; 0 for the median and where nothing was observed.
    """
    horizon = scores.shape[1]
    found = np.zeros((horizon, len(levels), len(offsets)))
    counts = np.isfinite(scores[:, :, 0]).sum(axis=0)
    for q, level in enumerate(levels):
        if level == MEDIAN:
            continue
        wanted = TAIL / min(level, 1 - level)
        for step in range(horizon):
            some = scores[:, _widen(counts, step, wanted), q].ravel()
            some = np.sort(some[np.isfinite(some)])
            if len(some):
                found[step, q] = find_conformal(some, level + np.array(offsets), level)
    return found


def find_conformal(ordered: Floats, levels: Floats, side: float) -> Floats:
    """Return conformal quantiles of n ordered numbers.

    Of n + 1 exchangeable numbers the last is at most this one with a probability of at least the
    level where `side` is above a half, and of at most the level where it is below: the interval
    between two such quantiles is not too narrow for being measured on few.

    Args:
        ordered: n numbers, ascending, one at least.
        levels: any number of levels.
        side: below or above a half.
    """
    place = (len(ordered) + 1) * levels
    rank = np.ceil(place - 1e-9) if side > MEDIAN else np.floor(place + 1e-9)
    found: Floats = ordered[np.clip(rank, 1, len(ordered)).astype(np.int64) - 1]
    return found


def _widen(counts: NDArray[np.int64], step: int, wanted: float) -> slice:
    """Return the steps around one that together have as many scores as are wanted."""
    width = 0
    while width < len(counts):
        if counts[max(step - width, 0) : step + width + 1].sum() >= wanted:
            break
        width += 1
    return slice(max(step - width, 0), step + width + 1)

"""Several forecasts made one: quantile by quantile, and with weights learned on the holdout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MEDIAN = 0.5
#: Members added one by one while weights are learned: each weight is a multiple of 1 / ROUNDS.
ROUNDS = 40
#: Numbers looked at in each of these steps; more would cost time and change no digit that counts.
LOOKED_AT = 1 << 20


def combine_forecasts(
    forecasts: Sequence[Floats],
    known: Sequence[tuple[float, ...]],
    levels: tuple[float, ...],
    how: Literal["median", "mean", "weights"],
    weights: Sequence[float] | None = None,
) -> Floats:
    """Combine M forecasts of the same windows, each quantile on its own.

    Args:
        forecasts: M arrays, each N x H x its own levels.
        known: the levels of each; a member counts where it knows the level.
        levels: Q wanted, each known by one member at least.
        how: median, mean, or weighted mean.
        weights: M numbers of 0 or more, for the weighted mean.

    Returns:
        N x H x Q, ascending.
    """
    shares = np.ones(len(forecasts)) if weights is None else np.asarray(weights, np.float64)
    found = np.empty((*forecasts[0].shape[:2], len(levels)))
    for i, level in enumerate(levels):
        members = [m for m, own in enumerate(known) if level in own and shares[m] > 0]
        parts = [forecasts[m][:, :, known[m].index(level)] for m in members]
        if how == "median":
            found[:, :, i] = np.median(parts, axis=0) if len(parts) > 1 else parts[0]
        else:
            share = shares[members] / shares[members].sum()
            found[:, :, i] = parts[0] if len(parts) == 1 else np.tensordot(share, parts, axes=1)
    return keep_ascending(found, levels)


def keep_ascending(quantiles: Floats, levels: tuple[float, ...]) -> Floats:
    """Move quantiles that cross onto their neighbour, from the median outwards.

    The median stays where it is: it is the point forecast.

    Args:
        quantiles: N x H x Q.
        levels: Q, ascending, 0.5 among them.
    """
    middle = levels.index(MEDIAN)
    found = quantiles.copy()
    found[:, :, middle:] = np.maximum.accumulate(quantiles[:, :, middle:], axis=-1)
    below = np.minimum.accumulate(quantiles[:, :, middle::-1], axis=-1)
    found[:, :, : middle + 1] = below[:, :, ::-1]
    return found


def learn_weights(
    forecasts: Sequence[Floats],
    known: Sequence[tuple[float, ...]],
    levels: tuple[float, ...],
    actual: Floats,
    unit: Floats,
) -> tuple[float, ...]:
    """Find the weights with the least mean pinball loss, by adding members one by one.

    Each step adds the member, again if need be, whose addition helps the mean most; the share of
    the steps is the weight (R. Caruana et al.: Ensemble selection from libraries of models, ICML
    2004). That holds back from fitting the holdout's noise, which solving for weights does not.

    Args:
        forecasts: M arrays of holdout windows, each N x H x its own levels (target's unit).
        known: the levels of each.
        levels: Q.
        actual: N x H targets, NaN where missing.
        unit: N, what the error of a window is measured in (target's unit).

    Returns:
        M numbers of 0 or more that sum to one.
    """
    size = len(levels) * len(forecasts) * max(actual.shape[1], 1)
    some = np.unique(np.linspace(0, len(actual) - 1, max(LOOKED_AT // size, 1)).astype(np.int64))
    seen = np.isfinite(actual[some])
    target = actual[some][seen]
    scale = np.repeat(unit[some][:, None], actual.shape[1], axis=1)[seen]
    tables = []  # a member's numbers, NaN at levels that it does not know
    for forecast, own in zip(forecasts, known, strict=True):
        table = np.full((len(target), len(levels)), np.nan)
        for i, level in enumerate(levels):
            if level in own:
                table[:, i] = forecast[some][:, :, own.index(level)][seen]
        tables.append(table)
    return _select(np.stack(tables), target, scale, np.array(levels))


def _select(tables: Floats, target: Floats, scale: Floats, levels: Floats) -> tuple[float, ...]:
    """Return the shares of the members of M x R x Q in the best mean found greedily."""
    counts = np.zeros(len(tables), np.int64)
    knows: NDArray[np.bool_] = np.asarray(~np.isnan(tables).all(axis=1))  # M x Q
    total, times = np.zeros(tables.shape[1:]), np.zeros(len(levels), np.int64)
    best, kept = np.inf, counts
    for _ in range(ROUNDS):
        losses = []
        for table, own in zip(tables, knows, strict=True):
            if not (times + own).all():
                losses.append(np.inf)  # a level would be left without a forecast
                continue
            mean = (total + np.nan_to_num(table)) / (times + own)
            error = target[:, None] - mean
            loss = np.maximum(levels * error, (levels - 1) * error).sum(axis=1) / scale
            losses.append(float(loss.mean()) if len(loss) else 0.0)
        chosen = int(np.argmin(losses))
        counts = counts + np.eye(len(tables), dtype=np.int64)[chosen]
        total, times = total + np.nan_to_num(tables[chosen]), times + knows[chosen]
        if losses[chosen] < best:
            best, kept = losses[chosen], counts
    return tuple((kept / max(kept.sum(), 1)).tolist()) if kept.sum() else _even(len(tables))


def _even(count: int) -> tuple[float, ...]:
    return (1 / count,) * count

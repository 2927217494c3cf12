"""Scores of probabilities: one function and one line each; missing targets are left out.

Unlike the scores of numbers most are no means over windows: an area or an F-score is of all at
once. What can be added up, the log loss, is also given for each window and step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
#: Below, a probability counts as this much: one that was called impossible costs 13.8, not all.
LEAST = 1e-6
#: Equal intervals of probability of the calibration error (Guo et al. 2017, arXiv 1706.04599).
BINS = 15


@final
@dataclass(frozen=True)
class Told:
    """Probabilities beside what came, M of them.

    Attributes:
        actual: M numbers of classes.
        probabilities: M x K.
        top_k: classes that the score `top_k` looks among.
        binary: whether the last of two classes is the one to be found.
    """

    actual: Integers
    probabilities: Floats
    top_k: int = 5
    binary: bool = False

    @property
    def said(self) -> Integers:
        """M most probable classes, the first of equals."""
        found: Integers = self.probabilities.argmax(axis=1)
        return found

    @property
    def own(self) -> Floats:
        """M probabilities of the class that came."""
        return self.probabilities[np.arange(len(self.actual)), self.actual]


def log_loss(t: Told) -> float:
    """Mean negative logarithm of the probability of the class that came."""
    return float(-np.log(np.maximum(t.own, LEAST)).mean())


def accuracy(t: Told) -> float:
    """Share told right."""
    return float((t.said == t.actual).mean())


def top_k(t: Told) -> float:
    """Share whose class is among the k most probable; equal ones count against it."""
    above = (t.probabilities >= t.own[:, None]).sum(axis=1)
    return float((above <= t.top_k).mean())


def macro_f1(t: Told) -> float:
    """Mean F1 of the classes that came or were said; 0 of one that was never told right."""
    count = t.probabilities.shape[1]
    hits = np.bincount(t.actual[t.said == t.actual], minlength=count)
    came = np.bincount(t.actual, minlength=count)
    said = np.bincount(t.said, minlength=count)
    there = came + said > 0
    return float((2 * hits[there] / (came + said)[there]).mean())


def roc_auc(t: Told) -> float:
    """Share of pairs of a positive and a negative that are ranked right, ties half.

    It is the area under the curve of true against false positives (Mann and Whitney's U).
    """
    positive = t.actual == 1
    ranks = rank(t.probabilities[:, 1])
    found, others = int(positive.sum()), int((~positive).sum())
    if not found or not others:
        return float("nan")
    return float((ranks[positive].sum() - found * (found + 1) / 2) / (found * others))


def average_precision(t: Told) -> float:
    """Mean precision at each positive found, over thresholds from the highest probability down."""
    score, positive = t.probabilities[:, 1], t.actual == 1
    if not positive.any():
        return float("nan")
    order = np.argsort(-score, kind="stable")
    # Of equal probabilities none can be told from the others: they are found together.
    last = np.append(np.diff(score[order]) != 0, True)
    found, looked = np.cumsum(positive[order])[last], np.flatnonzero(last) + 1
    steps = np.diff(found, prepend=0) / positive.sum()
    return float((steps * found / looked).sum())


def calibration_error(t: Told) -> float:
    """Mean distance of what was said from what came, over intervals of probability.

    Of two classes it is the probability of the positive one, of more that of the class said.
    """
    bins = bin_reliability(t)
    total = sum(count for _, _, count in bins)
    return float(sum(abs(said - came) * count for said, came, count in bins) / total)


def bin_reliability(t: Told) -> list[tuple[float, float, int]]:
    """Return mean probability, share that came, and count of each interval that has any."""
    if t.binary:
        said, came = t.probabilities[:, 1], t.actual == 1
    else:
        said, came = t.probabilities.max(axis=1), t.said == t.actual
    places = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(places, minlength=BINS)
    some = np.flatnonzero(counts)
    means = np.bincount(places, said, BINS)[some] / counts[some]
    shares = np.bincount(places, came, BINS)[some] / counts[some]
    return list(zip(means.tolist(), shares.tolist(), counts[some].tolist(), strict=True))


def draw_roc(t: Told, points: int = 100) -> list[tuple[float, float]]:
    """Return the curve of true against false positive rates, thinned to some points."""
    score, positive = t.probabilities[:, 1], t.actual == 1
    if not positive.any() or positive.all():
        return []
    order = np.argsort(-score, kind="stable")
    last = np.append(np.diff(score[order]) != 0, True)
    right = np.cumsum(positive[order])[last] / positive.sum()
    wrong = np.cumsum(~positive[order])[last] / (~positive).sum()
    curve = [(0.0, 0.0), *zip(wrong.tolist(), right.tolist(), strict=True)]
    kept = np.unique(np.linspace(0, len(curve) - 1, points).round().astype(int))
    return [curve[i] for i in kept]


def rank(values: Floats) -> Floats:
    """Return ranks from 1, the mean rank for equals."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    found: Floats = (ends - (counts - 1) / 2)[inverse]
    return found


#: Metric -> its figure; what two classes have, what more have, and what both have.
EVERY: dict[str, Callable[[Told], float]] = {
    "log_loss": log_loss,
    "accuracy": accuracy,
    "macro_f1": macro_f1,
}
BINARY: dict[str, Callable[[Told], float]] = {
    "roc_auc": roc_auc,
    "average_precision": average_precision,
}
CATEGORICAL: dict[str, Callable[[Told], float]] = {"top_k": top_k}
LAST: dict[str, Callable[[Told], float]] = {"calibration_error": calibration_error}


def score_classes(t: Told) -> dict[str, float]:
    """Return every metric; all are NaN if one probability is not a number."""
    own = BINARY if t.binary else CATEGORICAL
    functions = {**EVERY, **own, **LAST}
    if not len(t.actual) or not np.isfinite(t.probabilities).all():
        return dict.fromkeys(functions, float("nan"))
    return {name: function(t) for name, function in functions.items()}

"""Scores of probabilities against slow loops over their definitions."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel.scoring.class_metrics import (
    BINS,
    LEAST,
    Told,
    average_precision,
    bin_reliability,
    draw_roc,
    rank,
    roc_auc,
    score_classes,
)


def draw(seed, count=60, classes=3, binary=False):
    """Probabilities with many ties, and classes that they know something of."""
    rng = np.random.default_rng(seed)
    raw = rng.integers(1, 5, (count, classes)).astype(float)
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    actual = np.array([rng.choice(classes, p=row) for row in probabilities])
    return Told(actual, probabilities, top_k=2, binary=binary)


def loop_f1(t):
    said = [max(range(len(row)), key=lambda k: (row[k], -k)) for row in t.probabilities]
    found = []
    for k in range(t.probabilities.shape[1]):
        right = sum(s == k and a == k for s, a in zip(said, t.actual, strict=True))
        wrong = sum(s == k and a != k for s, a in zip(said, t.actual, strict=True))
        missed = sum(s != k and a == k for s, a in zip(said, t.actual, strict=True))
        if right + wrong + missed:
            found.append(2 * right / (2 * right + wrong + missed))
    return sum(found) / len(found)


def loop_auc(t):
    score = t.probabilities[:, 1]
    pairs = [
        1.0 if score[i] > score[j] else 0.5 if score[i] == score[j] else 0.0
        for i, j in product(range(len(score)), repeat=2)
        if t.actual[i] == 1 and t.actual[j] == 0
    ]
    return sum(pairs) / len(pairs)


def loop_precision(t):
    score, total = t.probabilities[:, 1], 0.0
    before = 0.0
    for threshold in sorted(set(score), reverse=True):
        found = [a for s, a in zip(score, t.actual, strict=True) if s >= threshold]
        recall = sum(found) / sum(t.actual)
        total += (recall - before) * sum(found) / len(found)
        before = recall
    return total


def loop_calibration(t):
    said = t.probabilities[:, 1] if t.binary else t.probabilities.max(axis=1)
    came = t.actual == 1 if t.binary else t.said == t.actual
    total = 0.0
    for b in range(BINS):
        inside = [
            i
            for i, p in enumerate(said)
            if b / BINS <= p < (b + 1) / BINS or (b == BINS - 1 and p == 1)
        ]
        if inside:
            gap = abs(np.mean([said[i] for i in inside]) - np.mean([came[i] for i in inside]))
            total += gap * len(inside) / len(said)
    return total


def loop_top(t):
    hits = 0
    for row, a in zip(t.probabilities, t.actual, strict=True):
        hits += sum(p >= row[a] for p in row) <= t.top_k
    return hits / len(t.actual)


LOOPS = {
    "log_loss": lambda t: (
        -np.mean([np.log(max(r[a], LEAST)) for r, a in zip(t.probabilities, t.actual, strict=True)])
    ),
    "accuracy": lambda t: np.mean(
        [int(np.argmax(r)) == a for r, a in zip(t.probabilities, t.actual, strict=True)]
    ),
    "macro_f1": loop_f1,
    "roc_auc": loop_auc,
    "average_precision": loop_precision,
    "top_k": loop_top,
    "calibration_error": loop_calibration,
}


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), binary=st.booleans())
def test_every_metric_is_what_a_slow_loop_finds(seed, binary):
    told = draw(seed, classes=2 if binary else 4, binary=binary)
    found = score_classes(told)
    wanted = {"top_k"} if not binary else {"roc_auc", "average_precision"}
    assert set(found) == {"log_loss", "accuracy", "macro_f1", "calibration_error"} | wanted
    for name, value in found.items():
        assert value == pytest.approx(LOOPS[name](told), abs=1e-12), name


def test_perfect_probabilities_score_best():
    actual = np.array([0, 1, 1, 0])
    found = score_classes(Told(actual, np.eye(2)[actual], binary=True))
    assert found["log_loss"] == found["calibration_error"] == 0
    assert {found[n] for n in ("accuracy", "macro_f1", "roc_auc", "average_precision")} == {1.0}


def test_what_was_called_impossible_costs_a_finite_loss():
    found = score_classes(Told(np.array([0]), np.array([[0.0, 1.0]]), binary=True))
    assert found["log_loss"] == pytest.approx(-np.log(LEAST))


def test_without_one_of_both_classes_there_is_no_area():
    told = Told(np.array([0, 0]), np.array([[0.4, 0.6], [0.5, 0.5]]), binary=True)
    assert np.isnan(roc_auc(told))
    assert np.isnan(average_precision(told))
    assert draw_roc(told) == []


def test_one_probability_that_is_no_number_leaves_no_score():
    told = Told(np.array([0, 1]), np.array([[0.4, np.nan], [0.5, 0.5]]), binary=True)
    assert all(np.isnan(value) for value in score_classes(told).values())


def test_equal_values_share_their_ranks():
    np.testing.assert_array_equal(rank(np.array([3.0, 1.0, 3.0, 2.0])), [3.5, 1, 3.5, 2])


def test_the_curve_encloses_the_area():
    told = draw(5, count=200, classes=2, binary=True)
    x, y = np.array(draw_roc(told, points=10_000)).T
    assert np.trapezoid(y, x) == pytest.approx(roc_auc(told), abs=1e-12)
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)


def test_reliability_counts_every_target_once():
    told = draw(3, classes=4)
    assert sum(count for _, _, count in bin_reliability(told)) == len(told.actual)

"""Plots of classes say in words what they show, and count no miss as a hit."""

import numpy as np
import pytest

from seqmodel.reporting.class_plots import draw_confusion, draw_reliability, draw_roc
from seqmodel.reporting.night import Confusion
from seqmodel.scoring.classes import OTHERS


def read_label(svg):
    return svg.split('aria-label="', 1)[1].split('"', 1)[0]


def test_a_confusion_matrix_says_how_many_were_told_right():
    svg = draw_confusion(Confusion(labels=("no", "yes"), counts=((5, 1), (2, 4))))
    assert read_label(svg) == "Confusion matrix of 2 classes: 9 of their 12 on the diagonal."


def test_others_taken_for_others_are_not_counted_as_right():
    counts = ((5, 1, 0), (2, 4, 3), (1, 1, 900))
    svg = draw_confusion(Confusion(labels=("a", "b", OTHERS), counts=counts))
    said = "Confusion matrix of the 2 commonest classes: 9 of their 15 on the diagonal."
    assert read_label(svg) == said


@pytest.mark.parametrize("count", [2, 13])
def test_labels_that_are_markup_stay_text(count):
    labels = ("<b>$x$</b>", *(f"class {i}" for i in range(count - 1)))
    svg = draw_confusion(Confusion(labels=labels, counts=np.eye(count, dtype=int).tolist()))
    assert "<b>" not in svg


def test_curves_of_both_candidates_are_drawn_and_named():
    curves = {"challenger": [(0.0, 0.0), (0.2, 0.9), (1.0, 1.0)], "baseline": [(0, 0), (1, 1)]}
    svg = draw_roc(curves, {"challenger": "gru 1"})
    assert read_label(svg) == "ROC curves of challenger, baseline."
    bins = {name: [(x, y, 5) for x, y in curve] for name, curve in curves.items()}
    assert read_label(draw_reliability(bins, {})) == "Reliability of challenger, baseline."

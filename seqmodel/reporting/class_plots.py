"""Plots of targets that are classes, in the manner of the others: confusion, ROC, reliability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seqmodel.reporting.night import Confusion
from seqmodel.reporting.plots import (
    COLOURS,
    LINES,
    OTHER_LINE,
    encode_svg,
    place_legend,
    styled,
)
from seqmodel.reporting.wording import order_candidates
from seqmodel.scoring.classes import OTHERS

Curves = Mapping[str, Sequence[tuple[float, float]]]
#: Classes from which on a cell is too small for its figure.
MANY = 8
#: Letters of a class on an axis.
LETTERS = 10


def draw_confusion(confusion: Confusion) -> str:
    """Draw what came against what was said.

    Args:
        confusion: C x C counts.

    Returns:
        An `<svg>` element that says in words what it shows.
    """
    counts, labels = confusion.counts, confusion.labels
    names = [label if len(label) <= LETTERS else f"{label[: LETTERS - 1]}…" for label in labels]
    with styled(confusion.model_dump_json()) as figure:
        axes = figure.add_subplot()
        for row, came in enumerate(counts):
            for column, count in enumerate(came):
                _fill_cell(axes, (column, row), count, sum(came), few=len(labels) <= MANY)
        axes.set_xlim(-0.5, len(labels) - 0.5)
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.set_xticks(range(len(labels)), names, rotation=0 if len(labels) <= MANY else 90)
        axes.set_yticks(range(len(labels)), names)
        for text in (*axes.get_xticklabels(), *axes.get_yticklabels()):
            text.set_parse_math(False)
        axes.grid(visible=False)
        axes.set_xlabel("said")
        axes.set_ylabel("came")
        return encode_svg(figure, _describe_confusion(confusion))


def _describe_confusion(confusion: Confusion) -> str:
    # One of the others that is taken for another of them is on the diagonal, and wrong.
    shown = [i for i, label in enumerate(confusion.labels) if label != OTHERS]
    rest = len(confusion.labels) - len(shown)
    right = sum(confusion.counts[i][i] for i in shown)
    came = sum(sum(confusion.counts[i]) for i in shown)
    which = f"the {len(shown)} commonest classes" if rest else f"{len(shown)} classes"
    return f"Confusion matrix of {which}: {right:,} of their {came:,} on the diagonal."


def _fill_cell(axes: Any, place: tuple[int, int], count: int, came: int, *, few: bool) -> None:
    from matplotlib.patches import Rectangle

    share = count / came if came else 0.0
    corner = (place[0] - 0.5, place[1] - 0.5)
    axes.add_patch(
        Rectangle(corner, 1, 1, facecolor=COLOURS["blue"], alpha=0.06 + 0.6 * share, linewidth=0)
    )
    if few:
        axes.text(*place, f"{count:,}", ha="center", va="center", color=COLOURS["ink"])


def draw_roc(curves: Curves, labels: Mapping[str, str]) -> str:
    """Draw true against false positive rates.

    Args:
        curves: candidate -> points of its curve.
        labels: candidate -> what to call it.
    """
    with styled(repr((curves, labels))) as figure:
        axes = figure.add_subplot()
        _draw_curves(axes, curves, labels, marker=False)
        axes.set_xlabel("false positive rate")
        axes.set_ylabel("true positive rate")
        place_legend(figure, columns=1)
        return encode_svg(figure, f"ROC curves of {', '.join(order_candidates(curves))}.")


def draw_reliability(
    bins: Mapping[str, Sequence[tuple[float, float, int]]], labels: Mapping[str, str]
) -> str:
    """Draw the share that came against the probability said.

    Args:
        bins: candidate -> (mean probability, share that came, count) of each interval.
        labels: candidate -> what to call it.
    """
    with styled(repr((bins, labels))) as figure:
        axes = figure.add_subplot()
        curves = {name: [(p, share) for p, share, _ in points] for name, points in bins.items()}
        _draw_curves(axes, curves, labels, marker=True)
        axes.set_xlabel("probability said")
        axes.set_ylabel("share that came")
        place_legend(figure, columns=1)
        return encode_svg(figure, f"Reliability of {', '.join(order_candidates(curves))}.")


def _draw_curves(axes: Any, curves: Curves, labels: Mapping[str, str], *, marker: bool) -> None:
    axes.plot([0, 1], [0, 1], color=COLOURS["mute"], linestyle=":", linewidth=1)
    for name in order_candidates(curves):
        line = dict(LINES.get(name, OTHER_LINE))
        if not marker:
            line.pop("marker")
        title = f"{name}: {labels[name]}" if name in labels else name
        axes.plot([x for x, _ in curves[name]], [y for _, y in curves[name]], label=title, **line)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)

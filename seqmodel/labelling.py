"""Vocabularies: which categories and classes are told apart, measured on training rows.

code 0     missing, never seen in training, rarer than features.minimum_count, or padding
code 1...  the categories in the order of the vocabulary, which travels in the model bundle
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seqmodel.errors import DataError
from seqmodel.panel import Labels
from seqmodel.specs import PipelineSpec

Integers = NDArray[np.int64]


def list_categories(labels: Labels, rows: NDArray[np.bool_], least: int = 1) -> tuple[str, ...]:
    """Return the categories of a column that are told apart, ascending.

    Args:
        labels: R codes and their names.
        rows: which of the R rows count.
        least: rows that a category must have.
    """
    codes = labels.codes[rows]
    counts = np.bincount(codes[codes >= 0], minlength=len(labels.names))
    return tuple(name for name, count in zip(labels.names, counts, strict=True) if count >= least)


def order_classes(names: tuple[str, ...], spec: PipelineSpec) -> tuple[str, ...]:
    """Return the classes of a target, ascending, the positive one of a binary target last.

    Raises:
        DataError: if there are fewer than two, or the positive one is not among them.
    """
    if len(names) < 2:  # noqa: PLR2004 - two classes make a question
        raise DataError(
            f"found {names[0] if names else 'no class'!r} alone in the training rows of target"
            f" {spec.source.target!r}, needed two classes with features.minimum_count"
            f" {spec.features.minimum_count} rows each; bring a longer history, or score a smaller"
            " part of it (backtest.share, backtest.cutoffs)"
        )
    positive = spec.output.positive
    if positive is None:
        return names
    if positive not in names:
        raise DataError(
            f"found no class {positive!r} in the training rows of target {spec.source.target!r},"
            " needed output.positive to be one of them; correct it or bring a longer history"
        )
    return (*(name for name in names if name != positive), positive)


def weigh_classes(
    labels: Labels, rows: NDArray[np.bool_], names: tuple[str, ...], policy: str
) -> tuple[float, ...]:
    """Return the weight of each class in the loss; their mean over the training rows is 1.

    Args:
        labels: R codes of the target.
        rows: which of the R rows count.
        names: K classes.
        policy: name in `output.class_weight`.
    """
    codes = encode_labels(labels, names)[rows]
    counts = np.bincount(codes[codes >= 0], minlength=len(names)).astype(np.float64)
    if policy == "none":
        return (1.0,) * len(names)
    return tuple((counts.sum() / (len(names) * counts)).tolist())


def encode_labels(labels: Labels, names: tuple[str, ...]) -> Integers:
    """Return R positions in a vocabulary, -1 where missing or not in it."""
    places = {name: i for i, name in enumerate(names)}
    # The last place stands for what is missing: code -1.
    found = np.array([*(places.get(name, -1) for name in labels.names), -1], dtype=np.int64)
    codes: Integers = found[labels.codes]
    return codes

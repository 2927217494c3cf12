"""Class frequencies: the baselines of targets that are classes, and the forecast without a model.

majority           the commonest class, for certain
class_frequency    the frequency of each class
markov             its frequency after the class at the cutoff (first order)
single_feature     its frequency given the one input that tells most

All are counted on rows up to a border and know no other input. What is seldom met is drawn towards
the frequency of each class as if this had been met PRIOR times more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.labelling import encode_labels
from seqmodel.panel import Labels, Panel
from seqmodel.windows import Windows, index_windows

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
#: Rows that the frequency of all classes counts for beside the rows of one value.
PRIOR = 5.0
#: Values that a number is divided into, equally often each.
BINS = 10
#: Below, a probability counts as this much where inputs are compared.
LEAST = 1e-6
PAUSE: Final = "the time since the event before"
LAST: Final = "the last class"


@final
@dataclass(frozen=True)
class Frequencies:
    """What a baseline says, and by which input.

    Attributes:
        values: N x H x K probabilities.
        feature: input that it reads, empty for none.
    """

    values: Floats
    feature: str = ""


def predict_frequencies(
    baseline: str,
    panel: Panel,
    index: Windows,
    lookback: int,
    horizon: int,
    names: tuple[str, ...],
    known: tuple[str, ...],
    until: int | Integers,
) -> Frequencies:
    """Predict the classes of some windows by a baseline.

    Args:
        baseline: majority, class_frequency, markov or single_feature.
        panel: rows of S series.
        index: N windows.
        lookback: L (steps).
        horizon: H (steps).
        names: K classes.
        known: inputs known through the horizon; the others are read at the cutoff.
        until: number of the last row that is counted, or S numbers.
    """
    taught = index_windows(
        panel.first,
        panel.offsets,
        lookback,
        horizon,
        after=int(panel.first.min()),
        until=until,
        least=1,
    ).all()
    classes = encode_labels(panel.labels["target"], names)
    steps = lookback + np.arange(horizon)
    actual = classes[taught.starts[:, None] + steps]  # M x H
    base = _count_classes(actual, len(names))  # H x K
    features = {}
    if baseline in {"markov", "single_feature"}:
        features[LAST] = classes
    if baseline == "single_feature":
        features |= dict(_list_features(panel, taught.starts + lookback - 1))
    if not features:
        values = np.broadcast_to(base, (len(index), *base.shape)).copy()
        if baseline == "majority":
            values = np.eye(len(names))[values.argmax(axis=-1)]
        return Frequencies(values)
    cut, asked = taught.starts + lookback - 1, index.starts + lookback - 1
    tables = {
        name: _Table.count(_read(codes, cut, horizon, ahead=name in known), actual, base)
        for name, codes in features.items()
    }
    chosen = min(tables, key=lambda name: tables[name].loss)
    keys = _read(features[chosen], asked, horizon, ahead=chosen in known)
    return Frequencies(tables[chosen].look_up(keys), chosen)


@final
@dataclass(frozen=True)
class _Table:
    """Frequencies of K classes given one of V values, for each of H steps.

    Attributes:
        counts: H x (V + 1) x K; the last value stands for all that were never met.
        base: H x K frequencies.
        loss: mean log loss of the counted rows, each told by the others (leave one out).
    """

    counts: Floats
    base: Floats
    loss: float

    @classmethod
    def count(cls, keys: Integers, actual: Integers, base: Floats) -> _Table:
        """Count M x H values, -1 where missing, beside M x H classes, -1 where missing."""
        size = int(keys.max(initial=-1)) + 1
        counts = np.zeros((base.shape[0], size + 1, base.shape[1]))
        losses = []
        for h in range(base.shape[0]):
            key, told = keys[:, h], actual[:, h]
            seen = told >= 0
            key, told = np.where(key[seen] < 0, size, key[seen]), told[seen]
            np.add.at(counts[h], (key, told), 1.0)
            alone = counts[h][key, told] - 1 + PRIOR * base[h][told]
            share = alone / (counts[h][key].sum(axis=1) - 1 + PRIOR)
            losses.append(-np.log(np.maximum(share, LEAST)))
        loss = np.concatenate(losses)
        return cls(counts, base, float(loss.mean()) if len(loss) else np.inf)

    def look_up(self, keys: Integers) -> Floats:
        """Return N x H x K probabilities of N x H values."""
        size = self.counts.shape[1] - 1
        found = np.empty((*keys.shape, self.counts.shape[2]))
        for h in range(keys.shape[1]):
            key = np.where((keys[:, h] < 0) | (keys[:, h] >= size), size, keys[:, h])
            counted = self.counts[h][key] + PRIOR * self.base[h]
            found[:, h] = counted / counted.sum(axis=1, keepdims=True)
        return found


def _count_classes(actual: Integers, classes: int) -> Floats:
    """Return H x K frequencies, each class met once at least."""
    counts = np.stack([np.bincount(a[a >= 0], minlength=classes) for a in actual.T]) + 1e-3
    shares: Floats = counts / counts.sum(axis=1, keepdims=True)
    return shares


def _list_features(panel: Panel, cut: Integers) -> Iterator[tuple[str, Integers]]:
    """Yield each input as R whole values, -1 where missing; of numbers the tenth they lie in."""
    for name, labels in panel.labels.items():
        if name != "target":
            yield name, labels.codes.astype(np.int64)
    for name, values in panel.values.items():
        yield name, _divide(values, values[cut])
    series = panel.series_of_row
    if panel.moments is not None:
        pause = np.diff(panel.moments, prepend=panel.moments[:1]).astype(np.float64)
        pause[panel.offsets[:-1]] = np.nan
        yield PAUSE, _divide(pause, pause[cut])
    for name, static in panel.static.items():
        if static.dtype == object:
            known = sorted({str(v) for v in static if v is not None})
            labels = Labels(
                np.array([known.index(str(v)) if v is not None else -1 for v in static], np.int32),
                tuple(known),
            )
            yield name, labels.codes.astype(np.int64)[series]
        else:
            numbers = static.astype(np.float64)[series]
            yield name, _divide(numbers, numbers[cut])


def _divide(values: Floats, taught: Floats) -> Integers:
    """Return which tenth of the counted values each lies in, -1 where missing."""
    seen = taught[np.isfinite(taught)]
    if not len(seen):
        return np.full(len(values), -1, dtype=np.int64)
    edges = np.unique(np.quantile(seen, np.arange(1, BINS) / BINS))
    found: Integers = np.searchsorted(edges, values, side="right")
    return np.where(np.isfinite(values), found, -1)


def _read(codes: Integers, cut: Integers, horizon: int, *, ahead: bool) -> Integers:
    """Return M x H values: at the cutoff, or at the step itself where it is known ahead."""
    rows = cut[:, None] + (np.arange(1, horizon + 1) if ahead else np.zeros(horizon, np.int64))
    found: Integers = codes[rows]
    return found

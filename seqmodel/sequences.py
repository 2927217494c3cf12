"""Classes of sequences in memory: fit, evaluate, predict, by what the nightly pipeline runs on.

>>> model = SequenceClassifier(kind="lstm", units=8, epochs=1)
>>> model.fit([[1, 2, 3], [4, 5], [6], [1, 2]], ["low", "high", "high", "low"]).classes
('high', 'low')
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Self, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqmodel.encoding import encode_panel
from seqmodel.errors import DataError
from seqmodel.gathering import WindowReader
from seqmodel.panel import Panel
from seqmodel.panelling import build_panel
from seqmodel.scoring.class_metrics import Told, score_classes
from seqmodel.specs import PipelineSpec
from seqmodel.windowing import StoredWindows, cut_windows
from seqmodel.windows import Windows, index_cutoffs

Floats = NDArray[np.float64]
#: Sequences of a training step at most, and steps of an epoch at least, where nobody chose.
MOST_IN_BATCH, LEAST_STEPS = 64, 8
#: Plain types that the elements of all sequences have, one of them.
KINDS = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "str": pa.string()}


@final
class SequenceClassifier:
    """Tells classes of sequences apart: lists of ids, of words, or of numbers, of unequal length.

    Whole numbers and strings are names, negative ones too, and are embedded; numbers with a
    fraction are scaled. What was not in the training sequences, an id or a label, counts as never
    seen: such a label is a miss. Sequences longer than `lookback` keep their newest elements;
    `truncated` says how many were in the last call. A small share, `train.holdout`, of the
    training sequences decides when to stop.

    Args:
        lookback: longest sequence that is read whole (elements).
        epochs: passes at most (epochs).
        learning_rate: peak step size of Adam.
        batch_size: sequences that a training step looks at (sequences); by default 64, fewer where
            an epoch would have less than eight steps.
        class_weight: none, or balanced for rare classes.
        minimum_count: training sequences' elements that an id must have to be told from others.
        seed: of weights, dropout, shuffle and holdout.
        knobs: of `ModelSpec`: kind, units, layers, dropout, spatial_dropout, category_width,
            bidirectional, recurrent_dropout, ...
    """

    def __init__(
        self,
        *,
        lookback: int = 100,
        epochs: int = 10,
        learning_rate: float = 2e-3,
        batch_size: int | None = None,
        class_weight: str = "none",
        minimum_count: int = 1,
        seed: int = 0,
        **knobs: Any,
    ) -> None:
        self.truncated = 0
        self._knobs: dict[str, Any] = {
            "name": "memory",
            "source": {"uri": "memory", "layout": "sequences", "past": ["element"]},
            "window": {"lookback": lookback, "horizon": 1},
            "features": {"minimum_count": minimum_count},
            "model": {"kind": "lstm", **knobs},
            "output": {"kind": "categorical", "class_weight": class_weight},
            "train": {
                "epochs": epochs,
                "learning_rate": learning_rate,
                "batch_size": batch_size or MOST_IN_BATCH,
                "seed": seed,
            },
        }
        self._batch_size = batch_size
        # A wrong knob is refused here, not after the data were read.
        self._spec = PipelineSpec.model_validate(self._knobs)
        self._labels: dict[str, Any] = {}
        self._fitted: tuple[Any, StoredWindows] | None = None
        self.history: list[tuple[float, float]] = []

    @property
    def classes(self) -> tuple[Any, ...]:
        """The K labels told apart, in the order of `predict_proba`'s columns."""
        return tuple(self._labels[name] for name in self._find()[1].fitted.classes)

    def fit(self, sequences: Sequence[Sequence[Any]], labels: Sequence[Hashable]) -> Self:
        """Train on labelled sequences, from scratch.

        Args:
            sequences: N of them; all elements are of one type.
            labels: N; numbers, strings or booleans.

        Raises:
            DataError: if a sequence is empty or of mixed types, or there is a single class.
        """
        from seqmodel.training.fitting import fit_model

        names = _read_labels(sequences, labels)
        self._labels = {str(name): label for name, label in zip(names, labels, strict=True)}
        if len(self._labels) < 2:  # noqa: PLR2004 - two classes make a question
            raise DataError(
                f"found the single class {labels[0]!r} in all labels, needed two at least to tell"
                " apart; bring sequences of another"
            )
        order, held = _hold_out(names, self._spec.train.holdout, self._spec.train.seed)
        kind = "binary" if len(self._labels) == 2 else "categorical"  # noqa: PLR2004
        self._spec = PipelineSpec.model_validate(
            {
                **self._knobs,
                "output": {**self._knobs["output"], "kind": kind},
                "train": {
                    **self._knobs["train"],
                    "holdout": held / len(order),
                    "batch_size": self._batch_size or _choose_batch(len(order) - held),
                },
            }
        )
        late = np.arange(len(order)) >= len(order) - held
        chosen = [sequences[i] for i in order]
        panel = self._lay_out(chosen, [names[i] for i in order], late.astype(np.int64))
        stored = cut_windows(panel, self._spec, scored=False)
        found = fit_model(stored, self._spec, lambda _: None)
        self._fitted, self.history = (found.model, stored), found.history
        return self

    def predict_proba(self, sequences: Sequence[Sequence[Any]]) -> Floats:
        """Return N x K probabilities, columns in the order of `classes`."""
        from seqmodel.models.outputs import choose_head
        from seqmodel.predicting import predict_windows

        model, stored = self._find()
        fitted, spec = stored.fitted, self._spec
        panel = self._lay_out(sequences, [None] * len(sequences), np.zeros(len(sequences), int))
        windows: Windows = index_cutoffs(
            panel.first, panel.offsets, spec.window.lookback, np.array([panel.cutoff])
        )
        head = choose_head(spec.output, len(fitted.classes))
        reader = WindowReader(encode_panel(fitted, panel, until=panel.cutoff), fitted.cut(spec))
        return predict_windows(model, head, reader, windows, spec.train.batch_size)[:, 0]

    def predict(self, sequences: Sequence[Sequence[Any]]) -> list[Any]:
        """Return the N most probable labels."""
        classes = self.classes
        return [classes[i] for i in self.predict_proba(sequences).argmax(axis=1)]

    def evaluate(
        self, sequences: Sequence[Sequence[Any]], labels: Sequence[Hashable]
    ) -> dict[str, float]:
        """Return loss (mean negative log-likelihood), accuracy and further scores."""
        names = _read_labels(sequences, labels)
        known = list(self._find()[1].fitted.classes)
        all_names = [*known, *sorted(set(names) - set(known))]
        said = self.predict_proba(sequences)
        spread = np.zeros((len(said), len(all_names)))
        spread[:, : len(known)] = said
        actual = np.array([all_names.index(name) for name in names])
        binary = self._spec.output.kind == "binary" and len(all_names) == len(known)
        scores = score_classes(Told(actual, spread, self._spec.output.top_k, binary))
        return {"loss": scores.pop("log_loss"), **scores}

    def _find(self) -> tuple[Any, StoredWindows]:
        if self._fitted is None:
            raise DataError("found a classifier that was not fitted, needed one; call fit first")
        return self._fitted

    def _lay_out(
        self, sequences: Sequence[Sequence[Any]], names: Sequence[str | None], late: Any
    ) -> Panel:
        """Return the panel of some sequences, in their order."""
        elements = read_sequences(sequences)
        lengths = np.array([len(sequence) for sequence in sequences])
        self.truncated = int((lengths > self._spec.window.lookback).sum())
        rows = pa.table(
            {
                "series_id": pa.array([f"{i:012d}" for i in range(len(sequences))]),
                "timestamp": pa.array(late).cast(pa.timestamp("us", tz="UTC")),
                "target": pa.array(names, pa.string()),
                "element": elements,
            }
        )
        return build_panel(rows, None, self._spec.source, cutoff=int(late.max()), horizon=1)


def read_sequences(sequences: Sequence[Sequence[Any]]) -> pa.Array:
    """Return sequences as lists of names, or of numbers where they have a fraction.

    Raises:
        DataError: naming the sequence that is empty, of mixed types, or of a type that is none.
    """
    first: str | None = None
    plain = []
    for number, sequence in enumerate(sequences):
        values = [v.item() if isinstance(v, np.generic) else v for v in sequence]
        kinds = {type(value).__name__ for value in values}
        if not values:
            raise DataError(
                f"found sequence {number} empty, needed one element at least; leave it out"
            )
        first = first or min(kinds)
        if kinds != {first} or first not in KINDS:
            found = " and ".join(sorted(kinds | ({first} if first in KINDS else set())))
            raise DataError(
                f"found {found} in sequence {number}, needed elements of one type in all sequences:"
                " int or str for names, float for numbers; convert them"
            )
        plain.append(values)
    if not plain:
        raise DataError("found no sequence, needed one at least; bring some")
    found = pa.array(plain, pa.list_(KINDS[first or "int"]))
    return found if first == "float" else found.cast(pa.list_(pa.string()))


def _read_labels(sequences: Sequence[Any], labels: Sequence[Hashable]) -> list[str]:
    if len(sequences) != len(labels):
        raise DataError(
            f"found {len(sequences)} sequences and {len(labels)} labels, needed one label each;"
            " bring as many"
        )
    if not len(labels):
        raise DataError("found no sequence, needed one at least; bring some")
    if any(label is None for label in labels):
        raise DataError(
            f"found sequence {list(labels).index(None)} without a label, needed one each; leave it"
            " out"
        )
    names: dict[str, Hashable] = {}
    for label in labels:
        if (other := names.setdefault(str(label), label)) != label:
            raise DataError(
                f"found the labels {other!r} and {label!r}, which read alike, needed one type of"
                " label; convert them"
            )
    return [str(label) for label in labels]


def _choose_batch(count: int) -> int:
    return max(1, min(MOST_IN_BATCH, count // LEAST_STEPS))


def _hold_out(names: list[str], share: float, seed: int) -> tuple[list[int], int]:
    """Return the order in which sequences are laid out, and how many at its end are held out.

    Each class keeps one sequence to learn from. Where no class has two, one is held out that is
    also learned from: better than to refuse five sequences in a notebook.
    """
    order = np.random.default_rng(seed).permutation(len(names)).tolist()
    wanted = max(1, round(share * len(names)))
    left = {name: names.count(name) for name in set(names)}
    held: list[int] = []
    for place in order:
        if len(held) < wanted and left[names[place]] > 1:
            left[names[place]] -= 1
            held.append(place)
    if not held:
        return [*order, order[0]], 1
    return [*(place for place in order if place not in set(held)), *held], len(held)

"""Targets that are classes: probabilities against the class that came.

Candidates may know different classes: each was taught by its own training rows. A class that a
candidate does not know has probability 0 with it, and one that none knows is a miss for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.labelling import encode_labels
from seqmodel.panel import Panel
from seqmodel.scoring.class_metrics import (
    LEAST,
    Told,
    bin_reliability,
    draw_roc,
    score_classes,
)
from seqmodel.scoring.protocol import Prediction
from seqmodel.specs import PipelineSpec
from seqmodel.tallying import Parts
from seqmodel.windows import Windows

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
#: Classes that a confusion matrix shows, the commonest; the others are one more.
SHOWN = 12
OTHERS = "others"
#: Scores of classes that add up.
CLASS_METRICS = ("log_loss", "accuracy")


@final
class ClassScoring:
    """Scores probabilities.

    Args:
        spec: the pipeline.
        panel: rows of S series.
        index: N windows.
    """

    main = "log_loss"
    by_step = "log_loss"

    def __init__(self, spec: PipelineSpec, panel: Panel, index: Windows) -> None:
        self.spec = spec
        labels = panel.labels["target"]
        rows = index.starts[:, None] + spec.window.lookback + np.arange(spec.window.horizon)
        codes = encode_labels(labels, labels.names)[rows]
        came = np.unique(codes[codes >= 0])
        self.came = tuple(labels.names[code] for code in came)
        places = np.full(len(labels.names) + 1, -1)
        places[came] = np.arange(len(came))
        #: N x H positions in `came`, -1 where missing.
        self.actual: Integers = places[codes]

    @property
    def observed(self) -> bool:
        """Whether there is a target to score."""
        return bool((self.actual >= 0).any())

    def part(self, said: Prediction) -> Parts:
        """Return what those metrics are made of that add up over series, cutoffs and nights."""
        observed = self.actual >= 0
        sums = {name: self.contribute(said, name) for name in CLASS_METRICS}
        # A probability that is no number leaves no score, the accuracy's either.
        broken = observed & ~np.isfinite(said.values).all(axis=-1)
        kept = {n: np.where(broken, np.nan, np.where(observed, s, 0.0)) for n, s in sums.items()}
        return Parts(observed, kept, dict.fromkeys(CLASS_METRICS, observed.astype(np.float64)))

    def measure(self, said: Prediction) -> dict[str, float]:
        """Return every metric."""
        return score_classes(self._tell(said))

    def choose_part(self, metric: str | None) -> str:
        """Return the metric itself if it is a share of hits, else the log loss."""
        return metric if metric in ("accuracy", "top_k") else self.main

    def contribute(self, said: Prediction, metric: str | None = None) -> Floats:
        """Return the N x H log losses, or hits, NaN where no target was observed."""
        names = self._unite(said)
        spread = self._spread(said, names)
        actual = self._recode(names)
        own = np.take_along_axis(spread, np.maximum(actual, 0)[:, :, None], axis=-1)[:, :, 0]
        if metric in ("accuracy", "top_k"):
            hits = (
                spread.argmax(axis=-1) == actual
                if metric == "accuracy"
                else (spread >= own[:, :, None]).sum(axis=-1) <= self.spec.output.top_k
            )
            parts: Floats = hits.astype(np.float64)
        else:
            parts = -np.log(np.maximum(own, LEAST))
        return np.where(self.actual >= 0, parts, np.nan)

    def measure_steps(self, said: Prediction) -> list[float]:
        """Return the log loss at each step."""
        losses = self.contribute(said)
        return [
            float(np.nanmean(step)) if np.isfinite(step).any() else float("nan")
            for step in losses.T
        ]

    def describe(
        self,
        said: Mapping[str, Prediction],
        ranking: Mapping[str, float | None],  # noqa: ARG002 - numbers show single series
    ) -> dict[str, Any]:
        """Return confusion matrix, ROC curves and reliability."""
        told = {name: self._tell(one) for name, one in said.items()}
        known = set(said["challenger"].names)
        actual = self.actual[self.actual >= 0]
        unseen = [name not in known for name in self.came]
        return {
            "fans": [],
            "classes": {
                "confusion": self._confuse(said["challenger"]),
                "roc": {n: draw_roc(t) for n, t in told.items()} if self._binary else {},
                "reliability": {name: bin_reliability(t) for name, t in told.items()},
                "targets": len(actual),
                "unseen": int(np.array(unseen)[actual].sum()),
            },
        }

    @property
    def _binary(self) -> bool:
        return self.spec.output.kind == "binary"

    def _unite(self, said: Prediction) -> tuple[str, ...]:
        """Return the classes said, then those that came and nobody said."""
        return (*said.names, *(name for name in self.came if name not in said.names))

    def _recode(self, names: tuple[str, ...]) -> Integers:
        """Return N x H positions of what came among some names, -1 where missing."""
        places = np.array([*(names.index(name) for name in self.came), -1])
        found: Integers = places[self.actual]
        return found

    def _spread(self, said: Prediction, names: tuple[str, ...]) -> Floats:
        found = np.zeros((*said.values.shape[:2], len(names)))
        found[:, :, : len(said.names)] = said.values
        return found

    def _tell(self, said: Prediction) -> Told:
        names = self._unite(said)
        seen = self.actual >= 0
        return Told(
            actual=self._recode(names)[seen],
            probabilities=self._spread(said, names)[seen],
            top_k=self.spec.output.top_k,
            binary=self._binary,
        )

    def _confuse(self, said: Prediction) -> dict[str, Any]:
        """Return counts of what came (rows) by what was said (columns)."""
        names, told = self._unite(said), self._tell(said)
        common = np.argsort(-np.bincount(told.actual, minlength=len(names)), kind="stable")
        shown = np.sort(common[:SHOWN]) if len(names) > SHOWN + 1 else np.arange(len(names))
        places = np.full(len(names), len(shown))
        places[shown] = np.arange(len(shown))
        labels = [names[i] for i in shown] + ([OTHERS] if len(shown) < len(names) else [])
        counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
        np.add.at(counts, (places[told.actual], places[told.said]), 1)
        return {"labels": labels, "counts": counts.tolist()}

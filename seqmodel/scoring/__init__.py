"""How forecasts are scored, by the kind of target: one file a kind behind one Protocol.

Backtesting and promotion know the Protocol only: which windows, which candidates, and which of two
figures of a metric is the better one.
"""

from __future__ import annotations

from seqmodel.panel import Panel
from seqmodel.scoring.classes import ClassScoring
from seqmodel.scoring.protocol import HIGHER, Prediction, Scoring, is_better
from seqmodel.scoring.real import RealScoring
from seqmodel.specs import PipelineSpec
from seqmodel.splitting import Parts
from seqmodel.windows import Windows

__all__ = [
    "HIGHER",
    "ClassScoring",
    "Prediction",
    "RealScoring",
    "Scoring",
    "choose_scoring",
    "is_better",
]


def choose_scoring(spec: PipelineSpec, panel: Panel, index: Windows, split: Parts) -> Scoring:
    """Return what scores the forecasts of some windows.

    Args:
        spec: the pipeline; its output says which kind of target it has.
        panel: rows of S series.
        index: N windows.
        split: where training ends, for what is measured on training rows.
    """
    if spec.output.of_classes:
        return ClassScoring(spec, panel, index)
    return RealScoring(spec, panel, index, split)

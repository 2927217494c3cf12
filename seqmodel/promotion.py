"""The gate: is the challenger better than what serves, and than the baseline?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from seqmodel.scoring.protocol import HIGHER, is_better
from seqmodel.specs import PromotionSpec
from seqmodel.store.champion import Champion, read_champion, swap_champion
from seqmodel.store.refs import BacktestRef, DecisionRef, ModelRef, RunRef
from seqmodel.store.store import Store

Scores = dict[str, dict[str, float]]


@final
@dataclass(frozen=True)
class Decision:
    """Whether the challenger is promoted, and why, in one sentence."""

    promoted: bool
    reason: str


def decide(scores: Scores, spec: PromotionSpec, default: str = "mase") -> Decision:
    """Compare the candidates' scores on the same windows.

    Args:
        scores: `challenger`, `baseline` and, if one serves, `champion` -> metric -> score.
        spec: metric and margin.
        default: metric where the spec names none.
    """
    metric = spec.metric or default
    # A candidate without a score forecasts what is not a number: anything is better.
    worst = -math.inf if metric in HIGHER else math.inf
    mine = scores["challenger"].get(metric, math.nan)
    base = scores["baseline"].get(metric, worst)
    side = "above" if metric in HIGHER else "below"
    if not math.isfinite(mine):
        reason = f"kept: the challenger has no {metric} on the backtest"
        return Decision(promoted=False, reason=reason)
    if not is_better(metric, mine, base):
        reason = (
            f"kept: the challenger's {metric} {mine:.3f} is not {side} the baseline's {base:.3f}"
        )
        return Decision(promoted=False, reason=reason)
    if "champion" not in scores:
        reason = f"promoted: the first model, {metric} {mine:.3f} against the baseline's {base:.3f}"
        return Decision(promoted=True, reason=reason)
    best = scores["champion"].get(metric, worst)
    needed = best * (1 + spec.margin if metric in HIGHER else 1 - spec.margin)
    if is_better(metric, mine, needed):
        reason = (
            f"promoted: {metric} {mine:.3f} against the champion's {best:.3f} and the baseline's"
            f" {base:.3f}"
        )
        return Decision(promoted=True, reason=reason)
    word = "and" if metric in HIGHER else "less"
    reason = (
        f"kept: the challenger's {metric} {mine:.3f} is not {side} {needed:.3f} (the champion's"
        f" {best:.3f} {word} a margin of {spec.margin:.1%})"
    )
    return Decision(promoted=False, reason=reason)


def promote_challenger(
    store: Store, run: RunRef, challenger: ModelRef, scores: BacktestRef, spec: PromotionSpec
) -> DecisionRef:
    """Decide on the backtest's scores, move the pointer, and write down why.

    Raises:
        StoreError: if another run moved the pointer meanwhile.
    """
    decision = decide(scores.scores, spec, scores.metric)
    pointer = read_champion(store, run.pipeline)
    newer = pointer is not None and pointer.promoted_at > run.as_of
    reason = decision.reason
    if decision.promoted and pointer and newer:
        reason = (
            f"kept: the challenger won, but champion {pointer.version} is of a later night; the"
            " challenger serves this forecast only"
        )
    elif decision.promoted and (pointer is None or pointer.version != challenger.version):
        previous = pointer.version if pointer else None
        new = Champion(
            version=challenger.version,
            previous=previous,
            reason=decision.reason,
            promoted_at=run.as_of,
        )
        swap_champion(store, run.pipeline, new, expected=previous)
    ref = DecisionRef(
        key=f"{run.key}/promotion.json",
        promoted=decision.promoted and not newer,
        serves=challenger.version if decision.promoted else None,
        reason=reason,
    )
    store.write_json(ref.key, {**ref.model_dump(mode="json"), "scores": scores.scores})
    return ref

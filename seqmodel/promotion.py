"""The gate: is the challenger better than what serves, and than the baseline?

challenger  has a score, and a better one than the baseline            or kept
            better than the champion (none: the baseline) by a margin  or kept
            and not by chance: a paired test over the same windows     or kept
            no guard-rail broken: coverage, bias, groups of series     or kept
            a person agrees, where the spec says so                    or held
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import pyarrow as pa

from seqmodel.guarding import find_objections
from seqmodel.scoring.protocol import HIGHER, is_better
from seqmodel.specs import PromotionSpec
from seqmodel.store.champion import Champion, list_rejected, read_champion, swap_champion
from seqmodel.store.histories import write_history
from seqmodel.store.refs import BacktestRef, DecisionRef, ModelRef, RunRef
from seqmodel.store.store import Store


@final
@dataclass(frozen=True)
class Decision:
    """Whether the challenger is promoted, and why, in one sentence."""

    promoted: bool
    reason: str


def decide(tested: BacktestRef, spec: PromotionSpec) -> Decision:
    """Compare the candidates on the same windows.

    Args:
        tested: scores of `challenger`, `baseline` and, if one serves, `champion`.
        spec: metric, margin, test and guard-rails.
    """
    rival = "champion" if "champion" in tested.scores else "baseline"
    obstacle = (
        _lack_score(tested, spec)
        or tested.obstacle
        or _lack_gain(tested, spec, rival)
        or _lack_proof(tested, spec, rival)
        or "; ".join(find_objections(tested, rival, spec))
    )
    if obstacle:
        return Decision(promoted=False, reason=f"kept: {obstacle}")
    metric, mine, best = _read(tested, spec, rival)
    *_, base = _read(tested, spec, "baseline")
    proof = describe_test(tested, rival) if spec.test != "none" else ""
    against = f"against the champion's {best:.3f} and the baseline's {base:.3f}"
    if rival == "baseline":
        against = f"against the baseline's {base:.3f}"
    first = "the first model, " if rival == "baseline" else ""
    return Decision(promoted=True, reason=f"promoted: {first}{metric} {mine:.3f} {against}{proof}")


def _read(tested: BacktestRef, spec: PromotionSpec, rival: str) -> tuple[str, float, float]:
    """Return the metric, the challenger's score and a rival's."""
    metric = spec.metric or tested.metric
    # A candidate without a score forecasts what is not a number: anything is better.
    worst = -math.inf if metric in HIGHER else math.inf
    mine = tested.scores["challenger"].get(metric, math.nan)
    return metric, mine, tested.scores[rival].get(metric, worst)


def _lack_score(tested: BacktestRef, spec: PromotionSpec) -> str:
    metric, mine, base = _read(tested, spec, "baseline")
    if not math.isfinite(mine):
        return f"the challenger has no {metric} on the backtest"
    side = "above" if metric in HIGHER else "below"
    if not is_better(metric, mine, base):
        return f"the challenger's {metric} {mine:.3f} is not {side} the baseline's {base:.3f}"
    return ""


def _lack_gain(tested: BacktestRef, spec: PromotionSpec, rival: str) -> str:
    metric, mine, best = _read(tested, spec, rival)
    needed = best * (1 + spec.margin if metric in HIGHER else 1 - spec.margin)
    if is_better(metric, mine, needed):
        return ""
    side, word = ("above", "and") if metric in HIGHER else ("below", "less")
    return (
        f"the challenger's {metric} {mine:.3f} is not {side} {needed:.3f} (the {rival}'s"
        f" {best:.3f} {word} a margin of {spec.margin:.1%})"
    )


def _lack_proof(tested: BacktestRef, spec: PromotionSpec, rival: str) -> str:
    paired = tested.paired.get(rival)
    if spec.test == "none" or paired is None or not math.isfinite(_read(tested, spec, rival)[2]):
        return ""
    if paired.chance is None:
        return (
            f"{paired.pairs} pair of forecasts cannot tell a gain from chance; raise"
            " backtest.cutoffs"
        )
    level = spec.first_level if rival == "baseline" else spec.level
    if paired.chance <= level:
        return ""
    metric, mine, best = _read(tested, spec, rival)
    return (
        f"the challenger's {metric} {mine:.3f} against the {rival}'s {best:.3f} may be chance"
        f"{describe_test(tested, rival)}, needed p at most {level:g}"
    )


def describe_test(tested: BacktestRef, rival: str) -> str:
    """Return what the paired test found, in brackets; nothing where there was none."""
    paired = tested.paired.get(rival)
    if paired is None or paired.chance is None:
        return ""
    return f" (p {paired.chance:.2g} over {paired.pairs} {paired.over})"


def promote_challenger(
    store: Store,
    run: RunRef,
    challenger: ModelRef,
    scores: BacktestRef,
    spec: PromotionSpec,
    *,
    agreed: bool = False,
) -> DecisionRef:
    """Decide on the backtest's scores, move the pointer, and write down why.

    Args:
        store: the data root.
        run: which run asks.
        challenger: the new version.
        scores: the backtest.
        spec: the gate.
        agreed: a person has agreed where the spec asks for one.

    Raises:
        StoreError: if another run moved the pointer meanwhile.
    """
    decision = decide(scores, spec)
    pointer = read_champion(store, run.pipeline)
    newer = pointer is not None and pointer.promoted_at > run.as_of
    won, reason, held = decision.promoted, decision.reason, False
    if won and challenger.version in list_rejected(store, run.pipeline):
        won, reason = False, f"kept: {challenger.version} won, but it was rolled back before"
    elif won and pointer and newer:
        reason = (
            f"kept: the challenger won, but champion {pointer.version} is of a later night; the"
            " challenger serves this forecast only"
        )
    elif won and spec.approval and not agreed:
        held, reason = True, f"held for approval: {reason.removeprefix('promoted: ')}"
    elif won and (pointer is None or pointer.version != challenger.version):
        _swap(store, run, challenger, pointer, reason)
    ref = DecisionRef(
        key=f"{run.key}/promotion.json",
        promoted=won and not newer and not held,
        serves=challenger.version if won and not held else None,
        reason=reason,
        held=held,
    )
    figures = scores.model_dump(mode="json", include={"scores", "paired", "nominal", "notes"})
    gate = spec.model_dump(mode="json")
    store.write_json(ref.key, {**ref.model_dump(mode="json"), **figures, "gate": gate})
    rival = pointer and pointer.version
    if pointer and rival == challenger.version:  # a run killed after the swap has moved it already
        rival = pointer.previous
    versions = {"challenger": challenger.version, "champion": rival}
    rows = [
        {"candidate": name, "version": versions.get(name), **row}
        for name, row in scores.scores.items()
    ]
    facts = {"as_of": run.as_of.isoformat(), "promoted": ref.promoted, "reason": reason}
    write_history(store, run.pipeline, "scores", run.run, pa.Table.from_pylist(rows), facts)
    return ref


def _swap(
    store: Store, run: RunRef, challenger: ModelRef, pointer: Champion | None, reason: str
) -> None:
    previous = pointer.version if pointer else None
    new = Champion(
        version=challenger.version, previous=previous, reason=reason, promoted_at=run.as_of
    )
    swap_champion(store, run.pipeline, new, expected=previous)

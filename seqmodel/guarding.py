"""Guard-rails of the gate: what forbids a promotion although the score is better."""

from __future__ import annotations

import math
from collections.abc import Iterator

from seqmodel.specs import PromotionSpec
from seqmodel.store.refs import BacktestRef


def find_objections(tested: BacktestRef, rival: str, spec: PromotionSpec) -> list[str]:
    """Return what speaks against the challenger; nothing if nothing does.

    Args:
        tested: the backtest.
        rival: what would be replaced: `champion` or `baseline`.
        spec: the limits.
    """
    return [
        *_judge_coverage(tested, rival, spec),
        *_judge_bias(tested, rival, spec),
        *_judge_groups(tested, rival, spec),
    ]


def _judge_coverage(tested: BacktestRef, rival: str, spec: PromotionSpec) -> Iterator[str]:
    mine, others = (tested.scores[name].get("coverage", math.nan) for name in ("challenger", rival))
    if tested.nominal is None:
        return
    rise = abs(mine - tested.nominal) - abs(others - tested.nominal)
    if rise > spec.coverage_loss:
        yield (
            f"its interval covers {mine:.0%} where the {rival}'s covers {others:.0%} and"
            f" {tested.nominal:.0%} are due"
        )


def _judge_bias(tested: BacktestRef, rival: str, spec: PromotionSpec) -> Iterator[str]:
    mine, others = (tested.scores[name].get("bias", math.nan) for name in ("challenger", rival))
    unit = tested.scores["baseline"].get("mae", math.nan)
    if abs(mine) - abs(others) > spec.bias_rise * unit:
        yield f"its bias is {mine:+.3g}, the {rival}'s {others:+.3g}"


def _judge_groups(tested: BacktestRef, rival: str, spec: PromotionSpec) -> Iterator[str]:
    for one in tested.paired[rival].groups if rival in tested.paired else ():
        by_chance = one.chance is None or one.chance > spec.level
        # Losses of what is the better the more are negative.
        rises = one.loss - one.other
        if rises > abs(one.other) * spec.group_loss and not by_chance:
            rise = f"{rises / abs(one.other):.0%} " if one.other else ""
            yield f"the {one.series} series of group {one.group} are {rise}worse"

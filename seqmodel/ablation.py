"""What an input is worth: the same pipeline without it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from seqmodel.specs import PipelineSpec

#: How the model that lacks a group is called among the scores.
WITHOUT = "without "


def leave_out(spec: PipelineSpec, names: Collection[str]) -> PipelineSpec:
    """Return the pipeline whose model does not see some inputs.

    Args:
        spec: the pipeline.
        names: covariates, or `calendar`, `holidays`, `age`, `lags`, `rolling`.

    Raises:
        pydantic.ValidationError: a knob still needs an input that is left out.
    """
    source, features = spec.source, spec.features
    roles = ("past", "known", "static", "categorical")
    kept = {role: tuple(n for n in getattr(source, role) if n not in names) for role in roles}
    made: dict[str, Any] = {
        "in_target_unit": tuple(n for n in features.in_target_unit if n not in names)
    }
    shown = spec.backtest.model_copy(
        update={
            "ablation": {},
            "reference": None if spec.backtest.reference in names else spec.backtest.reference,
            "groups": tuple(n for n in spec.backtest.groups if n not in names),
        }
    )
    group = spec.promotion.group_by
    gate = spec.promotion.model_copy(update={"group_by": None if group in names else group})
    nothing = {"calendar": (), "holidays": None, "age": False, "lags": (), "rolling": ()}
    made |= {name: empty for name, empty in nothing.items() if name in names}
    left = spec.model_copy(
        update={
            "source": source.model_copy(update=kept),
            "features": features.model_copy(update=made),
            "backtest": shown,
            "promotion": gate,
        }
    )
    # A copy is not checked: what still names an input that is gone is found here, not in a task.
    return PipelineSpec.model_validate(left.model_dump())


def measure_gain(
    whole: Mapping[str, float | None], without: Mapping[str, float | None]
) -> tuple[float, float]:
    """Return by how much an input lowers the error, and the standard error of that.

    Both are shares of the error without the input. Cutoffs are the sample: the series of one
    cutoff share its weather and its holidays.

    Args:
        whole: cutoff -> error with the input.
        without: cutoff -> error without it.
    """
    pairs = [
        (float(without[c] or 0.0), float(error))
        for c, error in whole.items()
        if error is not None and without.get(c) is not None
    ]
    level = sum(a for a, _ in pairs)
    if not pairs or not level:
        return math.nan, math.nan
    gains = [a - b for a, b in pairs]
    mean, count = sum(gains) / len(gains), len(gains)
    spread = math.sqrt(sum((g - mean) ** 2 for g in gains) / max(count - 1, 1))
    return mean * count / level, spread * math.sqrt(count) / level

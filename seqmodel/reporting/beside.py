"""What stands beside the scores: other baselines, the reference, intervals, groups of series."""

from __future__ import annotations

from typing import Any

from seqmodel.reporting.night import Grouped, Interval

#: Whose intervals and groups are shown, where they are there.
SHOWN = ("challenger", "champion", "baseline", "reference")
BASELINES = ("baseline", "seasonal_naive", "naive", "drift")


def name_best(
    scores: dict[str, dict[str, float]], metric: str, baseline: str
) -> tuple[str, float] | None:
    """Return which baseline has the least error and what it is, None where none was scored.

    Args:
        scores: candidate -> metric -> score.
        metric: by which error.
        baseline: what the declared one is.
    """
    found = {
        (baseline if name == "baseline" else name): scores[name][metric]
        for name in BASELINES
        if metric in scores.get(name, {})
    }
    if not found:
        return None
    best = min(found, key=lambda name: found[name])
    return best, found[best]


def gather_intervals(details: dict[str, Any]) -> tuple[Interval, ...]:
    """Return coverage and width of each candidate's intervals, as the backtest wrote them."""
    found = []
    for name, intervals in details.get("intervals", {}).items():
        for one in intervals if name in SHOWN and name != "reference" else ():
            steps = [c for c in one["coverage_by_step"] if c is not None]
            if one["coverage"] is not None and steps:
                found.append(
                    Interval(
                        candidate=name,
                        nominal=one["nominal"],
                        coverage=one["coverage"],
                        least=min(steps),
                        most=max(steps),
                        width=one["width"],
                    )
                )
    return tuple(found)


def gather_groups(details: dict[str, Any]) -> tuple[Grouped, ...]:
    """Return the main metric of each group of series, a candidate a column."""
    found = []
    for column, candidates in details.get("by_group", {}).items():
        shown = {name: values for name, values in candidates.items() if name in SHOWN}
        for value in next(iter(shown.values()), {}):
            scores = {name: values.get(value) for name, values in shown.items()}
            found.append(Grouped(column=column, value=value, scores=scores))
    return tuple(found)

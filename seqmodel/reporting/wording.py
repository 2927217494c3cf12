"""How figures, moments and comparisons are written, the same in every rendering of a run."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from seqmodel.reporting.night import Interval, Night, Tried
from seqmodel.store.ledgers import Ledger

CANDIDATES: Final = ("challenger", "champion", "baseline")
TONES: Final = {"good": ("✓", "Good"), "warn": ("!", "Attention"), "bad": ("✗", "Problem")}
STYLES: Final = {"good": "bold green", "warn": "bold yellow", "bad": "bold red"}
# Skill compares scores whose best value is 0: a coverage or a bias has no such thing.
ERRORS: Final = frozenset(
    {
        *(
            "brier",
            "crps",
            "log_loss",
            "calibration_error",
            "mae",
            "mape",
            "mase",
            "mdae",
            "mse",
            "msis",
            "nmae",
        ),
        *("nrmse", "owa", "pinball", "rmse", "rmsse", "smape", "wape", "wmape", "wql"),
    }
)
ABSENT: Final = "n/a"
EXACT: Final = 1000  # from here on the decimals of a figure say nothing
TINY: Final = 1e-3
WIDEST: Final = 10_000  # columns of a terminal
MOMENTS: Final = ("cutoff", "timestamp")


def format_figure(value: object) -> str:
    """Write a figure with as many digits as a person reads: `0.7353`, `12.35`, `18,000`."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return ABSENT if value is None else str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return ABSENT
    if abs(value) >= EXACT:
        return f"{value:,.0f}"
    if value != 0 and abs(value) < TINY:
        return f"{value:.2e}"
    return f"{value:.{4 if abs(value) < 1 else 3 if abs(value) < 10 else 2}f}"  # noqa: PLR2004


def format_moment(moment: datetime, *, zone: bool = True) -> str:
    """Write a moment in UTC; a moment without a zone is taken for UTC, as in the tables."""
    at = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return f"{at:%Y-%m-%d %H:%M}{':' + format(at, '%S') if at.second else ''}{' UTC' * zone}"


def format_seconds(seconds: float) -> str:
    """Write a duration: `0.42 s`, `12.3 s`, `3 min 20 s`."""
    if seconds < 10:  # noqa: PLR2004
        return f"{seconds:.2f} s"
    if seconds < 120:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    return f"{round(seconds) // 60:,} min {round(seconds) % 60} s"


def name_metric(metric: str) -> str:
    """Write an error metric as the field does: `mase` -> `MASE`; anything else in words."""
    words = {"smape": "sMAPE", "roc_auc": "ROC AUC", "macro_f1": "macro F1"}
    plain = metric.replace("_", " ")
    return words.get(metric, metric.upper() if metric in ERRORS and plain == metric else plain)


def order_candidates(names: Mapping[str, object]) -> tuple[str, ...]:
    """Put challenger, champion and baseline first, whatever else there is after them."""
    known = tuple(n for n in CANDIDATES if n in names)
    return known + tuple(n for n in names if n not in CANDIDATES)


def list_metrics(scores: dict[str, dict[str, float]]) -> tuple[str, ...]:
    """List every metric of any candidate, in the order of first appearance."""
    return tuple(dict.fromkeys(m for c in order_candidates(scores) for m in scores[c]))


def measure_skill(scores: dict[str, dict[str, float]], candidate: str, metric: str) -> float | None:
    """Measure how much better than the baseline a candidate is: 1 - score/baseline (%).

    Args:
        scores: candidate -> metric -> score.
        candidate: whose skill.
        metric: by which error.

    Returns:
        Percent, negative when worse; None where a ratio to the baseline has no meaning.
    """
    score = scores.get(candidate, {}).get(metric)
    base = scores.get("baseline", {}).get(metric)
    if candidate == "baseline" or not ERRORS & {metric, re.split(r"[^a-z]", metric.lower())[0]}:
        return None
    if score is None or base is None or base <= 0 or not math.isfinite(score / base):
        return None
    return 100 * (1 - score / base)


def format_skill(skill: float) -> str:
    """Write a skill with its sign: `+26.5 %`."""
    return f"{skill:+.1f} %"


def format_ledger(ledger: Ledger) -> str:
    """Write the ledger as the sum that it is."""
    total = (
        f"read {ledger.read:,} = kept {ledger.kept:,} + quarantined {ledger.quarantined:,}"
        f" + duplicates {ledger.duplicates:,} + after as_of {ledger.after_as_of:,}"
    )
    if ledger.truncated:
        total += f" ({ledger.truncated:,} of those kept are longer than the lookback: truncated)"
    if ledger.balances:
        return total
    parts = ("kept", "quarantined", "duplicates", "after_as_of")
    missing = ledger.read - sum(getattr(ledger, name) for name in parts)
    return f"{total}: DOES NOT ADD UP, {missing:+,} rows unaccounted for"


def format_best(night: Night) -> str:
    """Write which of the baselines is best, and how far the challenger is ahead of it."""
    if night.best_baseline is None:
        return ""
    name, score = night.best_baseline
    metric = list_metrics(night.scores)[0]
    mine = night.scores.get("challenger", {}).get(metric)
    known = mine is not None and score > 0 and metric in ERRORS
    ahead = f", the challenger {format_skill(100 * (1 - mine / score))}" if known and mine else ""
    return f"best baseline: {name.replace('_', ' ')}, {metric} {format_figure(score)}{ahead}"


def format_interval(one: Interval) -> tuple[str, str, str, str, str]:
    """Write an interval: what it should cover, whose it is, coverage, that by step, width."""
    return (
        f"{one.nominal:.0%}",
        one.candidate,
        f"{one.coverage:.1%}",
        f"{one.least:.0%} to {one.most:.0%}",
        format_figure(one.width),
    )


def tabulate_groups(night: Night) -> list[tuple[str, tuple[str, ...], list[list[str]]]]:
    """Return a table for each column of groups: its name, the candidates, the rows."""
    found = []
    for column in dict.fromkeys(one.column for one in night.groups):
        rows = [one for one in night.groups if one.column == column]
        names = order_candidates({name: 0 for one in rows for name in one.scores})
        cells = [[one.value, *(format_figure(one.scores.get(n)) for n in names)] for one in rows]
        found.append((column, names, cells))
    return found


def format_trial(one: Tried) -> tuple[str, str, str, str, str]:
    """Write a trial of a tuning: number, knobs, score, seconds, state."""
    state = f"{one.state}, best" if one.best else one.state
    return str(one.number), one.knobs, format_figure(one.score), f"{one.seconds:.1f}", state


def format_gain(gain: float, error: float) -> str:
    """Write a gain and its standard error, both shares, in per cent."""
    return f"{100 * gain:+.1f} % ± {100 * error:.1f}"


def split_forecast_head(
    rows: tuple[dict[str, object], ...],
) -> tuple[dict[str, str], tuple[str, ...], list[list[str]]]:
    """Separate what all first rows share from what differs, so that they fit 80 columns.

    Args:
        rows: first rows of a forecast.

    Returns:
        The shared `cutoff` and `model_version`, the other columns, and their cells as text.
    """
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    shared: dict[str, str] = {
        name: _format_cell(rows[0].get(name), name)
        for name in ("cutoff", "model_version")
        if name in columns and len({_format_cell(row.get(name), name) for row in rows}) == 1
    }
    rest = tuple(name for name in columns if name not in shared)
    return shared, rest, [[_format_cell(row.get(n), n) for n in rest] for row in rows]


def _format_cell(value: object, column: str) -> str:
    if column in MOMENTS and isinstance(value, str):
        value = _read_moment(value)  # a head that went through JSON
    if isinstance(value, datetime):
        return format_moment(value, zone=False)
    # An id or a step is a name, not a quantity: no separators, no rounding.
    return str(value) if column in {"series_id", "step", "model_version"} else format_figure(value)


def _read_moment(text: str) -> datetime | str:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text

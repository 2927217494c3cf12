"""Have target and covariates moved away from what the serving version was trained on?

What training saw is kept in the bundle, `distribution.json`: of a number 401 quantiles, of a
category the share of each name. Later rows are compared with that, never with another table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqmodel.panel import Panel
from seqmodel.specs import MonitorSpec
from seqmodel.table.drift import BINS, compare_shares, find_edges, share_bins

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
#: Quantiles kept of a number.
KEPT = 401
#: Rows looked at of a column at most: every so many-th, evenly spaced.
MOST = 200_000
#: Observed values below which nothing is said: ten a bin, so that none is empty by chance.
FEW = 100
#: Share of samples of equal distributions that may pass for drift.
RARE = 1e-3


@final
@dataclass(frozen=True)
class Moved:
    """How far one column has moved; NaN where a figure has no meaning.

    Attributes:
        column: its name.
        rows: values observed lately.
        psi: population stability index.
        ks: largest distance of the two distributions (Kolmogorov-Smirnov).
        unseen: share of rows with a category never seen in training.
        drifted: which limits were passed; nothing if none was.
    """

    column: str
    rows: int
    psi: float
    ks: float
    unseen: float
    drifted: str = ""


def measure_distribution(
    panel: Panel, until: int | Integers, after: int | Integers | None = None
) -> dict[str, dict[str, Any]]:
    """Describe target and covariates of some rows, JSON-able.

    Args:
        panel: rows of S series.
        until: number of the last row that counts, or S numbers.
        after: number before the first one, or S numbers; by default all from the beginning.

    Returns:
        Column -> `{"values": [...], "rows": n}` of a number, `{"shares": {...}, "rows": n}` of a
        category.
    """
    marks = panel.until(until)
    if after is not None:
        marks &= ~panel.until(after)
    chosen = np.flatnonzero(marks)
    chosen = chosen[:: -(-len(chosen) // MOST)] if len(chosen) else chosen
    found: dict[str, dict[str, Any]] = {}
    for name, values in panel.values.items():
        found[name] = _describe_numbers(values[chosen])
    for name, labels in panel.labels.items():
        found[name] = _describe_names(list(labels.names), labels.codes[chosen])
    for name, static in panel.static.items():
        if static.dtype == object:
            shown = np.array([str(v) for v in static if v is not None], dtype=str)
            names, places = np.unique(shown, return_inverse=True)
            found[name] = _describe_names(names.tolist(), places)
        else:
            found[name] = _describe_numbers(static.astype(np.float64))
    return found


def _describe_numbers(values: Floats) -> dict[str, Any]:
    seen = values[np.isfinite(values)]
    kept = np.quantile(seen, np.linspace(0, 1, KEPT)).tolist() if len(seen) else []
    return {"values": kept, "rows": len(seen)}


def _describe_names(names: list[str], codes: NDArray[Any]) -> dict[str, Any]:
    seen = codes[codes >= 0]
    counts = np.bincount(seen, minlength=len(names)) if len(seen) else np.zeros(len(names))
    shares = {n: c / max(len(seen), 1) for n, c in zip(names, counts.tolist(), strict=True) if c}
    return {"shares": shares, "rows": len(seen)}


def measure_drift(
    then: dict[str, dict[str, Any]], now: dict[str, dict[str, Any]], spec: MonitorSpec
) -> list[Moved]:
    """Compare what training saw with what came lately, column by column.

    Args:
        then: of the bundle.
        now: of the newest rows.
        spec: the limits.
    """
    return [_compare(name, then[name], now[name], spec) for name in then if name in now]


def _compare(name: str, then: dict[str, Any], now: dict[str, Any], spec: MonitorSpec) -> Moved:
    rows = int(now["rows"])
    psi = ks = unseen = float("nan")
    if min(rows, int(then["rows"])) >= FEW:
        if "shares" in then and "shares" in now:
            names = sorted({*then["shares"], *now["shares"]})
            before, after = (
                np.array([one["shares"].get(n, 0.0) for n in names]) for one in (then, now)
            )
            psi = compare_shares(after, before)
            unseen = float(after[before == 0].sum())
        elif "values" in then and "values" in now:
            before, after = np.array(then["values"]), np.array(now["values"])
            edges = find_edges(before)
            psi = compare_shares(share_bins(after, edges), share_bins(before, edges))
            ks = measure_distance(before, after)
    chance = _find_chance(rows, int(then["rows"]), len(then.get("shares", ())) or BINS)
    limits = {
        f"PSI {psi:.2f}": psi > max(spec.max_psi, chance[0]),
        f"KS {ks:.2f}": ks > max(spec.max_ks, chance[1]),
        f"{unseen:.0%} never seen": unseen > spec.max_unseen,
    }
    return Moved(
        name, rows, psi, ks, unseen, ", ".join(w for w, passed in limits.items() if passed)
    )


def _find_chance(now: int, then: int, bins: int) -> tuple[float, float]:
    """Return what both figures of equal distributions stay below in 999 of 1,000 samples.

    The index times the harmonic size is about chi-squared (B. Yurdakul: Statistical Properties of
    Population Stability Index, 2018); the distance follows Kolmogorov's law.
    """
    from scipy import stats

    if not now or not then:
        return float("inf"), float("inf")
    size = 1 / now + 1 / then
    index = float(stats.chi2.ppf(1 - RARE, max(bins - 1, 1))) * size
    return index, float(stats.kstwobign.ppf(1 - RARE)) * float(np.sqrt(size))


def measure_distance(one: Floats, other: Floats) -> float:
    """Return the two-sample Kolmogorov-Smirnov statistic of two samples."""
    points = np.concatenate([one, other])
    shares = [np.searchsorted(np.sort(s), points, side="right") / len(s) for s in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


def tabulate_drift(moved: list[Moved]) -> pa.Table:
    """Return the columns as rows of the history."""
    names = ("column", "rows", "psi", "ks", "unseen", "drifted")
    return pa.table({name: [getattr(one, name) for one in moved] for name in names})

"""Groups of series: a mean over all may hide one that got worse."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seqmodel.panel import Panel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def group_panel(panel: Panel, by: str | None, until: int | Integers) -> tuple[str, ...]:
    """Return the group of each of the S series of a panel; none where there are too few.

    Args:
        panel: rows of S series.
        by: a static covariate, None to group by size.
        until: number of the last row that counts for the size, or S numbers.
    """
    return group_series(panel.static[by] if by else None, _measure_sizes(panel, until))


def _measure_sizes(panel: Panel, until: int | Integers) -> Floats:
    """Return the mean absolute target of each series, NaN without any; of classes their number."""
    seen = panel.seen & panel.until(until)
    count = np.bincount(panel.series_of_row[seen], minlength=len(panel.ids))
    if "target" in panel.labels:
        return count.astype(np.float64)
    size = np.abs(panel.values["target"])
    total = np.bincount(panel.series_of_row[seen], size[seen], len(panel.ids))
    found: Floats = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return found


def group_series(labels: Floats | NDArray[np.object_] | None, sizes: Floats) -> tuple[str, ...]:
    """Return the group of each of S series.

    Args:
        labels: S values of a static covariate, None to group by size.
        sizes: S mean absolute targets, NaN where unknown.

    Returns:
        S labels; none where fewer than three series would be grouped by their size.
    """
    if labels is not None:
        return tuple("missing" if v is None or v != v else f"{v}" for v in labels)  # noqa: PLR0124
    names = ("small", "medium", "large")
    if len(sizes) < len(names):
        return ()
    known = np.where(np.isfinite(sizes), sizes, -np.inf)
    ranks = np.empty(len(sizes), dtype=np.int64)
    ranks[np.argsort(known, kind="stable")] = np.arange(len(sizes))
    return tuple(names[3 * rank // len(sizes)] for rank in ranks)

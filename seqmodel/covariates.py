"""What is demanded of covariates before they are used: present, constant, of one kind."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from seqmodel.errors import DataError
from seqmodel.grid import to_datetime
from seqmodel.panel import NO_MOMENT, Panel
from seqmodel.specs import FeatureSpec, SourceSpec


def _find_holes(panel: Panel, name: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    if name in panel.labels:
        return panel.labels[name].codes < 0
    return np.isnan(panel.values[name])


def demand_kinds(panel: Panel, source: SourceSpec, categorical: set[str]) -> None:
    """Refuse covariates that are categories where training saw numbers, or the reverse.

    Args:
        panel: rows of S series.
        source: the covariates.
        categorical: those that were categories in training.

    Raises:
        DataError: naming the covariate.
    """
    found = set(panel.labels) | {n for n, v in panel.static.items() if v.dtype == object}
    for name in source.covariates:
        if (name in found) != (name in categorical):
            kinds = ("categories", "numbers")
            seen, wanted = kinds if name in found else reversed(kinds)
            raise DataError(
                f"found {seen} in covariate {name!r}, needed {wanted} as in training; mend the"
                " source or train again"
            )


def demand_known(panel: Panel, source: SourceSpec, features: FeatureSpec) -> None:
    """Refuse a forecast whose known covariates do not reach through the horizon.

    Args:
        panel: rows of S series, its horizon included.
        source: which covariates are known.
        features: its policy `missing_known` decides.

    Raises:
        DataError: naming the covariates, a series and a step.
    """
    if features.missing_known != "refuse" or not source.known:
        return
    ahead = panel.number_of_row > panel.cutoff
    ahead &= panel.spread(panel.first <= panel.cutoff)
    found = []
    for name in source.known:
        holes = np.flatnonzero(ahead & _find_holes(panel, name))
        if len(holes):
            series = panel.series_of_row[holes]
            moment = int(panel.when(holes[:1])[0])
            when = "" if moment == NO_MOMENT else f" at {to_datetime(moment).isoformat()}"
            found.append(
                f"{name!r} at {len(holes)} steps of {len(np.unique(series))} series (the first"
                f" {panel.ids[series[0]]!r}{when})"
            )
    if found:
        raise DataError(
            f"found the known covariates {', '.join(found)} missing in the horizon, needed them for"
            " every step to forecast; deliver them, or set features.missing_known to mean"
        )


def refuse_holes(panel: Panel, source: SourceSpec, features: FeatureSpec) -> None:
    """Refuse covariates missing in history, where the policy `missing` says so.

    Raises:
        DataError: naming the covariate, a series and a step.
    """
    if features.missing != "refuse":
        return
    history = panel.number_of_row <= panel.cutoff
    for name in (*source.past, *source.known):
        holes = np.flatnonzero(history & _find_holes(panel, name))
        if len(holes):
            series = panel.ids[panel.series_of_row[holes[0]]]
            moment = to_datetime(int(panel.when(holes[:1])[0]))
            raise DataError(
                f"found covariate {name!r} missing at {len(holes)} steps, the first of series"
                f" {series!r} at {moment.isoformat()}, needed every step under features.missing"
                " refuse; mend the source or choose mean or forward"
            )


def refuse_changes(rows: pa.Table, source: SourceSpec, features: FeatureSpec) -> None:
    """Refuse static covariates with several values in one series, where the policy says so.

    Raises:
        DataError: naming the covariate and a series.
    """
    if features.static_changes != "refuse" or not source.static:
        return
    counted = rows.group_by("series_id").aggregate(
        [(name, "count_distinct") for name in source.static]
    )
    for name in source.static:
        counts = counted[f"{name}_count_distinct"].to_numpy()
        if (counts > 1).any():
            worst = int(np.argmax(counts))
            raise DataError(
                f"found {counts[worst]} values of static covariate {name!r} in series"
                f" {counted['series_id'][worst].as_py()!r}, needed one; declare it past or known,"
                " or set features.static_changes to newest"
            )

"""What came of the forecasts that are out, as the report of a night shows it."""

from __future__ import annotations

import math
from typing import Any

from seqmodel.monitoring.accuracy import BASELINE, FORECAST, choose_metric, list_live
from seqmodel.reporting.night import Compared, Drifted, LiveNight, Promise
from seqmodel.specs import PipelineSpec
from seqmodel.store.histories import read_history
from seqmodel.store.refs import BacktestRef, RunRef
from seqmodel.store.store import Store
from seqmodel.store.watched import WatchRef
from seqmodel.tallying import Tally, measure_skill

#: Figures set beside the backtest's promise, in this order.
SHOWN = ("mase", "mae", "wql", "bias", "coverage", "width", "log_loss", "accuracy")


def gather_live(
    store: Store, run: RunRef, watched: WatchRef | None, spec: PipelineSpec
) -> dict[str, Any]:
    """Return skill and coverage over the nights, live figures beside the promise, and drift."""
    if watched is None:
        return {}
    rows = read_history(store, spec.name, "drift", until=run.run)
    moved = [table for name, table, _ in rows if name == run.run]
    return {
        "live": _list_nights(list_live(store, spec, run.as_of), choose_metric(spec)),
        "live_metric": choose_metric(spec),
        "promises": tuple(
            Promise(
                metric=name,
                live=watched.live[name],
                baseline=watched.baseline.get(name),
                promised=watched.promised.get(name),
            )
            for name in SHOWN
            if name in watched.live
        ),
        "drift": tuple(
            Drifted(**{k: _blank(v) for k, v in row.items()})
            for table in moved
            for row in table.to_pylist()
        ),
        "consequence": watched.action,
    }


def _list_nights(live: Tally, metric: str) -> tuple[LiveNight, ...]:
    """Return a night a cutoff, of those of which something has come."""
    if not live.table.num_rows:
        return ()
    versions = dict(
        zip(live.table["cutoff"].to_pylist(), live.table["model_version"].to_pylist(), strict=True)
    )
    rows: dict[Any, dict[str, dict[str, Any]]] = {}
    for row in live.by("cutoff", "candidate").measure().to_pylist():
        rows.setdefault(row["cutoff"], {})[row["candidate"]] = row
    found = []
    for cutoff, pair in sorted(rows.items()):
        mine, base = pair[FORECAST], pair[BASELINE]
        if mine["observed"]:
            found.append(
                LiveNight(
                    cutoff=cutoff,
                    version=versions[cutoff],
                    skill=_blank(measure_skill(mine, base, metric)),
                    coverage=_blank(mine.get("coverage")),
                    share=mine["observed"] / mine["expected"],
                )
            )
    return tuple(found)


def gather_compared(scores: BacktestRef | None) -> tuple[Compared, ...]:
    """Return what the gate's paired tests found."""
    return tuple(
        Compared(rival=rival, **one.model_dump(exclude={"groups"}), groups=one.groups)
        for rival, one in (scores.paired if scores else {}).items()
    )


def _blank(value: Any) -> Any:
    """Turn what is no figure into None, as JSON has it."""
    return None if isinstance(value, float) and not math.isfinite(value) else value

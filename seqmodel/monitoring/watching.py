"""The watch of one night: live accuracy, drift, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from seqmodel.grid import to_microseconds
from seqmodel.metrics import METRICS
from seqmodel.monitoring.accuracy import ANY, BASELINE, FORECAST, choose_metric, sum_live
from seqmodel.monitoring.drifting import Moved, measure_distribution, measure_drift, tabulate_drift
from seqmodel.monitoring.live import score_published
from seqmodel.panel import Panel
from seqmodel.scoring.classes import CLASS_METRICS
from seqmodel.specs import PipelineSpec
from seqmodel.store.bundles import read_distribution
from seqmodel.store.champion import list_rejected, read_champion, read_journal
from seqmodel.store.histories import read_history, write_history
from seqmodel.store.refs import ModelRef, RunRef, TableRef
from seqmodel.store.store import Store
from seqmodel.store.watched import Action, WatchRef
from seqmodel.tallying import Tally
from seqmodel.windowing import load_panel

Integers = NDArray[np.int64]
#: Consequences, the strongest first.
ORDER: tuple[Action, ...] = ("baseline", "roll_back", "retrain", "note", "none")
#: Promises that are kept or broken live.
KEPT = frozenset({*METRICS, *CLASS_METRICS})
#: Seasons that are compared with training where the spec names no window.
SEASONS = 4


def watch(
    store: Store, run: RunRef, table: TableRef, model: ModelRef | None, spec: PipelineSpec
) -> WatchRef:
    """Score the forecasts that are out, measure drift, and say what follows.

    Args:
        store: the data root.
        run: which run asks.
        table: tonight's judged table.
        model: the version that serves, None for the baseline.
        spec: the pipeline; `monitor` has the limits and the consequences.

    Returns:
        What was found; `monitor.json` says the same.
    """
    panel = load_panel(store, table, spec)
    scored, notes = score_published(store, panel, spec)
    moved: list[Moved] = []
    if model:
        moved = _measure_moves(store, panel, model, spec)
        if not moved:
            notes.append(f"version {model.version} does not say what it was trained on")
    facts = {"version": model.version if model else None, "as_of": run.as_of.isoformat()}
    if moved:
        write_history(store, spec.name, "drift", run.run, tabulate_drift(moved), facts)
    version = model.version if model else None
    live = sum_live(store, spec, version, run.as_of)
    mine, base = (read_total(live, candidate) for candidate in (FORECAST, BASELINE))
    promised = find_promise(store, spec, version, run.run)
    metric = choose_metric(spec)
    worse = 0
    # The days of the versions before it count too, unless its own newest one is better: where each
    # night promotes another version, none of them has days enough of its own.
    if count_worse(live, metric):
        worse = count_worse(_sum_since_rollback(store, spec, model, run.as_of), metric)
    lately = read_total(take_newest(live, spec.monitor.days), FORECAST)
    reasons = list(_reason(spec, worse, moved, lately, promised))
    action: Action = min((a for a, _ in reasons), key=ORDER.index, default="none")
    ref = WatchRef(
        key=f"{run.key}/monitor.json",
        version=version,
        scored=tuple(scored),
        worse=worse,
        live=_plain(mine),
        baseline=_plain(base),
        promised=_plain(promised),
        drifted=tuple(f"{one.column}: {one.drifted}" for one in moved if one.drifted),
        action=_soften(store, spec, action),
        reasons=tuple(why for _, why in reasons),
        notes=tuple(notes),
    )
    store.write_json(ref.key, ref.model_dump(mode="json"))
    return ref


def _measure_moves(store: Store, panel: Panel, model: ModelRef, spec: PipelineSpec) -> list[Moved]:
    then = read_distribution(store, model.key)
    if then is None:
        return []
    now = measure_distribution(panel, panel.cutoff, _find_border(panel, model, spec))
    return measure_drift(then, now, spec.monitor)


def _find_border(panel: Panel, model: ModelRef, spec: PipelineSpec) -> int | Integers:
    """Return the number, or S of them, after which rows are compared with training.

    Of events it is those after what the version has learned from: the newest of a series may be of
    long ago.
    """
    window = spec.monitor.window
    if panel.moments is None:
        return panel.cutoff - (window or SEASONS * spec.source.season)
    learned = panel.number_at(to_microseconds(model.seen_until))
    return learned if window is None else np.maximum(learned, panel.cutoff - window)


def _sum_since_rollback(
    store: Store, spec: PipelineSpec, model: ModelRef | None, as_of: datetime
) -> Tally:
    """Return the sums of what all models forecast since the last rollback; of the baseline its.

    What a rollback left must not count against what serves instead.
    """
    if model is None:
        return sum_live(store, spec, None, as_of)
    live = sum_live(store, spec, ANY, as_of)
    if not live.table.num_rows:
        return live
    rejected = pa.array(sorted(list_rejected(store, spec.name)), pa.string())
    kept = live.table.filter(pc.invert(pc.is_in(live.table["model_version"], rejected)))
    moves = read_journal(store, spec.name)
    left = [m.moved_at for m in moves if m.kind == "rolled back" and m.moved_at <= as_of]
    if left:
        # That night's own forecast, made after it, is the newest of before.
        cutoffs = live.table["cutoff"]
        moved = pa.scalar(max(left), cutoffs.type)
        begin = pc.max(cutoffs.filter(pc.less_equal(cutoffs, moved)))
        if begin.is_valid:
            kept = kept.filter(pc.greater_equal(kept["cutoff"], begin))
    return Tally(live.keys, kept)


def read_total(live: Tally, candidate: str) -> dict[str, float]:
    """Return the figures of the forecast or of the baseline over everything."""
    if not live.table.num_rows:
        return {}
    chosen = live.table.filter(pc.equal(live.table["candidate"], candidate))
    return Tally(live.keys, chosen).total()


def add_days(live: Tally) -> Tally:
    """Add the date of the cutoff (UTC) to the keys."""
    days = pc.cast(live.table["cutoff"], pa.date32())
    return Tally((*live.keys, "day"), live.table.append_column("day", days))


def count_worse(live: Tally, metric: str) -> int:
    """Return on how many of the newest days in a row the forecast was worse than the baseline.

    A day is the date of the cutoff (UTC); days of which nothing has come yet do not count.
    """
    if not live.table.num_rows:
        return 0
    daily: dict[Any, dict[str, float]] = {}
    for row in add_days(live).by("day", "candidate").measure().to_pylist():
        if math.isfinite(row[metric]):
            daily.setdefault(row["day"], {})[row["candidate"]] = row[metric]
    count = 0
    for _, pair in sorted(daily.items(), reverse=True):
        if not pair.get(FORECAST, math.nan) > pair.get(BASELINE, math.nan):
            break
        count += 1
    return count


def take_newest(live: Tally, days: int) -> Tally:
    """Return the sums of the newest days of which something has come."""
    if not live.table.num_rows:
        return live
    tally = add_days(live)
    seen = tally.table.filter(pc.greater(tally.table["observed"], 0))
    newest = sorted(seen["day"].unique().to_pylist())[-days:]
    chosen = pc.is_in(tally.table["day"], value_set=pa.array(newest, pa.date32()))
    return Tally(live.keys, tally.table.filter(chosen).drop_columns(["day"]))


def find_promise(
    store: Store, spec: PipelineSpec, version: str | None, run: str
) -> dict[str, float]:
    """Return what the last backtest of a version promised."""
    found: dict[str, float] = {}
    for _, rows, _ in read_history(store, spec.name, "scores", until=run):
        for row in rows.filter(pc.equal(rows["version"], version)).to_pylist():
            found = {n: v for n, v in row.items() if n in KEPT and v is not None}
    return found


def _reason(
    spec: PipelineSpec,
    worse: int,
    moved: list[Moved],
    live: dict[str, float],
    promised: dict[str, float],
) -> Iterator[tuple[Action, str]]:
    """Yield what follows, and why, one sentence each."""
    watch, metric = spec.monitor, choose_metric(spec)
    if worse >= watch.days:
        yield watch.worse, f"live {metric} worse than the baseline's on {worse} days in a row"
    for one in moved:
        if one.drifted:
            yield watch.drift, f"{one.column} has drifted from training: {one.drifted}"
    mine, due = live.get(metric, math.nan), promised.get(metric, math.nan)
    if mine > due * (1 + watch.max_error_rise):
        yield (
            watch.drift,
            f"live {metric} {mine:.3f} where the backtest promised {due:.3f}",
        )


def _soften(store: Store, spec: PipelineSpec, action: Action) -> Action:
    """Without a previous version to roll back to, the baseline it is."""
    if action != "roll_back":
        return action
    pointer = read_champion(store, spec.name)
    return "baseline" if pointer is None or pointer.previous is None else action


def _plain(figures: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if math.isfinite(value)}

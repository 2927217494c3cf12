"""One shard of a forecast: its newest rows, chunk by chunk, to a staged part file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from seqmodel.calibrating import Calibrated
from seqmodel.covariates import demand_known, refuse_changes
from seqmodel.grid import Grid
from seqmodel.limiting import limit_forecast
from seqmodel.models.naive import BASELINES
from seqmodel.panel import Panel
from seqmodel.panelling import build_panel
from seqmodel.predictors import Predictor
from seqmodel.sanity import NOT_FINITE, judge_forecast, measure_range
from seqmodel.specs import PipelineSpec
from seqmodel.store.champion import BASELINE
from seqmodel.store.newest import KEY, read_future_of, read_newest, read_series
from seqmodel.store.parts import FAILED_SHOWN, Counts, Shard
from seqmodel.store.refs import TableRef
from seqmodel.store.store import Store
from seqmodel.windows import Windows, index_cutoffs

Floats = NDArray[np.float64]


@final
@dataclass
class Tally:
    """What became of a shard's series, counted while its rows are written.

    Attributes:
        seen: series with a row among the newest.
        series: series forecast.
        rows: forecast rows.
        first: first series id forecast.
        last: last series id forecast.
        counts: series that the model did not forecast.
        head: the first rows.
    """

    seen: int = 0
    series: int = 0
    rows: int = 0
    first: str | None = None
    last: str | None = None
    counts: Counts = field(default_factory=Counts)
    head: pa.Table | None = None

    def add(self, panel: Panel, windows: Windows, rows: pa.Table) -> None:
        """Count the rows of some windows, one at least."""
        self.rows += rows.num_rows
        self.series += len(windows)
        self.head = rows if self.head is None else self.head
        self.first = self.first or panel.ids[windows.series[0]]
        self.last = panel.ids[windows.series[-1]]

    def fail(self, reason: str, panel: Panel, windows: Windows) -> None:
        """Count series whose forecast is not sane."""
        if len(windows):
            ids = tuple(panel.ids[s] for s in windows.series[:FAILED_SHOWN])
            self.counts += Counts(failed={reason: len(windows)}, failed_ids=ids)


@final
@dataclass(frozen=True)
class Teller:
    """What forecasts a table, loaded once for any number of its shards.

    Attributes:
        predictor: the version that serves, None for the baseline.
        version: its name.
        folder: of the table.
        cutoff: grid number of the table's newest step.
        births: series -> grid number of its first observed step in training.
        spec: the pipeline.
    """

    predictor: Predictor | None
    version: str
    folder: Path
    cutoff: int
    births: dict[str, int]
    spec: PipelineSpec

    @classmethod
    def open(
        cls,
        store: Store,
        table: TableRef,
        predictor: Predictor | None,
        version: str,
        spec: PipelineSpec,
    ) -> Teller:
        """Make a predictor ready for the shards of a table."""
        folder = store.find(table.key)
        cutoff = Grid(spec.source.freq).locate(table.cutoff)
        births = predictor.births if predictor else {}
        found = cls(predictor, version, folder, cutoff, births, spec)
        return found._settle() if isinstance(predictor, Calibrated) else found

    def _settle(self) -> Teller:
        """Let levels that learn from the newest cutoffs do so once, for the whole table."""
        predictor = self.predictor
        if not isinstance(predictor, Calibrated) or not predictor.learns:
            return self
        rows = read_series(self.folder, self.columns, predictor.teachers, self.begin_at)
        ids = rows[KEY].unique().to_pylist()
        future = read_future_of(self.folder, None, None)
        panel = self._lay_out(rows, future, ids)
        least = self.spec.window.least_rows
        settled = predictor.settle(panel, np.array([self.cutoff]), least)
        return Teller(settled, self.version, self.folder, self.cutoff, self.births, self.spec)

    @property
    def columns(self) -> list[str]:
        """Columns of the table that are read."""
        return [KEY, "timestamp", "target", *self.spec.source.covariates]

    @property
    def begin(self) -> int | None:
        """Grid number of the first row read; None for the baseline, which measures them all."""
        return None if self.predictor is None else self.cutoff - self.predictor.history + 1

    @property
    def begin_at(self) -> int | None:
        """Moment of the first row read (microseconds UTC)."""
        grid = Grid(self.spec.source.freq)
        return None if self.begin is None else int(grid.moment(np.array([self.begin]))[0])

    @property
    def schema(self) -> pa.Schema:
        """Columns of the forecast's rows."""
        moment = pa.timestamp("us", tz="UTC")
        return pa.schema(
            [
                (KEY, pa.string()),
                ("cutoff", moment),
                ("timestamp", moment),
                ("step", pa.int32()),
                *((f"q{level:g}", pa.float64()) for level in self.spec.output.levels),
                ("model_version", pa.string()),
            ]
        )

    def tell(self, shard: Shard, tally: Tally) -> Iterator[pa.Table]:
        """Yield the forecast rows of a shard, and count.

        Args:
            shard: which series.
            tally: is added to.

        Raises:
            DataError: if the rows are not what was declared, or known covariates are missing.
        """
        levels = self.spec.output.levels
        future = read_future_of(self.folder, shard.start, shard.end)
        for rows in read_newest(self.folder, shard, self.columns, self.begin_at):
            ids = _list_ids(rows[KEY])
            panel = self._lay_out(rows, _cut_future(future, ids), ids)
            stale = find_stale(panel, self.spec.forecast.stale)
            fresh = panel.take(np.flatnonzero(~stale)) if stale.any() else panel
            windows, quantiles = self._predict(fresh)
            failed = self._mend(fresh, windows, quantiles, tally)
            short = len(fresh.ids) - len(windows)
            tally.seen += len(panel.ids)
            tally.counts += Counts(stale=int(stale.sum()), short=short)
            if len(windows):
                told = arrange_rows(fresh, windows, quantiles, levels, self.version, failed)
                tally.add(fresh, windows, told)
                yield told

    def _lay_out(self, rows: pa.Table, future: pa.Table | None, ids: list[str]) -> Panel:
        source, begin = self.spec.source, self.begin
        refuse_changes(rows, source, self.spec.features)
        # A series that is older than what was read begins there, though its row may be missing.
        old = [] if begin is None else [i for i in ids if self.births.get(i, begin) < begin]
        return build_panel(
            rows,
            future,
            source,
            cutoff=self.cutoff,
            horizon=self.spec.window.horizon,
            begins=dict.fromkeys(old, begin or 0),
        )

    def _predict(self, panel: Panel) -> tuple[Windows, Floats]:
        """Forecast a panel: N windows and N x H x Q, within the limits of the spec."""
        spec = self.spec
        if self.predictor is None:
            return predict_baseline(panel, spec)
        demand_known(panel, spec.source, spec.features)
        cutoffs, least = np.array([self.cutoff]), spec.window.least_rows
        windows, quantiles = self.predictor.predict(panel, cutoffs, least)
        return windows, limit_forecast(quantiles, spec.forecast, spec.output.levels)

    def _mend(
        self, panel: Panel, windows: Windows, quantiles: Floats, tally: Tally
    ) -> NDArray[np.bool_]:
        """Put the baseline's forecast where the model's is not sane; return N marks of these."""
        judged = self.spec.forecast
        reasons = judge_forecast(quantiles, *measure_range(panel, windows), judged.bound)
        failed = np.zeros(len(windows), dtype=bool)
        if self.predictor is None:
            return failed
        for reason, marks in reasons.items():
            tally.fail(reason, panel, windows.take(np.flatnonzero(marks)))
            if judged.sanity != "info" or reason == NOT_FINITE:
                failed |= marks
        if failed.any():
            ids = [panel.ids[s] for s in windows.series[failed]]
            rows = read_series(self.folder, self.columns, ids)
            future = read_future_of(self.folder, None, None)
            whole = Teller(None, self.version, self.folder, self.cutoff, {}, self.spec)
            quantiles[failed] = predict_baseline(whole._lay_out(rows, future, ids), self.spec)[1]
        return failed


def predict_baseline(panel: Panel, spec: PipelineSpec) -> tuple[Windows, Floats]:
    """Forecast a panel of whole histories by the pipeline's baseline, within the limits."""
    window, levels = spec.window, spec.output.levels
    cutoffs = np.array([panel.cutoff])
    windows = index_cutoffs(panel.first, panel.offsets, window.lookback, cutoffs, window.least_rows)
    quantiles = BASELINES[spec.baseline](
        panel, windows, window.lookback, window.horizon, spec.source.season, levels, panel.cutoff
    )
    return windows, limit_forecast(quantiles, spec.forecast, levels)


def find_stale(panel: Panel, most: int | None) -> NDArray[np.bool_]:
    """Mark those of S series whose newest observed target is older than `most` steps."""
    if most is None:
        return np.zeros(len(panel.ids), dtype=bool)
    newest = np.full(len(panel.ids), np.iinfo(np.int64).min // 2)
    rows = np.flatnonzero(panel.seen)
    newest[panel.series_of_row[rows]] = panel.number_of_row[rows]  # the last one stays
    return np.asarray(panel.cutoff - newest > most)


def arrange_rows(
    panel: Panel,
    windows: Windows,
    quantiles: Floats,
    levels: tuple[float, ...],
    version: str,
    fallen_back: NDArray[np.bool_] | None = None,
) -> pa.Table:
    """Lay forecasts from the panel's cutoff out as rows, a row a series and step.

    Args:
        panel: rows of S series.
        windows: N windows.
        quantiles: N x H x Q (target's unit).
        levels: Q.
        version: that made them.
        fallen_back: N marks of those that the baseline made.

    Returns:
        `series_id, cutoff, timestamp, step, q...,` and `model_version`.
    """
    count, horizon, _ = quantiles.shape
    moment = pa.timestamp("us", tz="UTC")
    moments = panel.grid.moment(panel.cutoff + np.arange(horizon + 1))
    names = pa.array([version, BASELINE], pa.string())
    by = np.zeros(count, dtype=np.int8) if fallen_back is None else fallen_back.astype(np.int8)
    columns: dict[str, pa.Array] = {
        KEY: pa.array(panel.ids, pa.string()).take(pa.array(np.repeat(windows.series, horizon))),
        "cutoff": pa.array(np.full(count * horizon, moments[0])).cast(moment),
        "timestamp": pa.array(np.tile(moments[1:], count)).cast(moment),
        "step": pa.array(np.tile(np.arange(1, horizon + 1, dtype=np.int32), count)),
    }
    for i, level in enumerate(levels):
        columns[f"q{level:g}"] = pa.array(quantiles[:, :, i].ravel())
    columns["model_version"] = names.take(pa.array(np.repeat(by, horizon)))
    return pa.table(columns)


def _list_ids(column: pa.ChunkedArray) -> list[str]:
    """Return the ids that the one dictionary of a chunk's pieces names; some may have no row."""
    found: list[str] = column.chunk(0).dictionary.to_pylist()
    return found


def _cut_future(future: pa.Table | None, ids: list[str]) -> pa.Table | None:
    """Return the rows of a stretch of ids."""
    if future is None:
        return None
    column = future[KEY]
    inside = pc.and_(pc.greater_equal(column, ids[0]), pc.less_equal(column, ids[-1]))
    return future.filter(inside)

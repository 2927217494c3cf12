"""What the versions in a backtest say: of a whole table in one go, or of its shards apart.

table ── plan ──► shard 0 ── rows, panel, predict by each version ──► staged predictions ──┐
             ├──► shard 1 ──────────────────────────────────────────► staged predictions ──┤
             └──► ...                                                          score ◄─────┘

Shards know nothing of each other: each can be predicted again alone, and gives the same bytes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqmodel.calibrating import Calibrated
from seqmodel.covariates import refuse_changes
from seqmodel.errors import StoreError
from seqmodel.forecasting import load_predictor
from seqmodel.freshness import Fresh, choose_fresh
from seqmodel.grid import Grid
from seqmodel.panel import Panel
from seqmodel.panelling import build_panel
from seqmodel.predictors import Predictor
from seqmodel.refitting import REFITTED, predict_refitted
from seqmodel.specs import PipelineSpec
from seqmodel.splitting import list_cutoffs
from seqmodel.store.newest import KEY, read_future_of, read_newest, read_series
from seqmodel.store.parts import PredictionsRef, Shard
from seqmodel.store.refs import ModelRef, RunRef, TableRef
from seqmodel.store.staged import read_staged, stage_arrays
from seqmodel.store.store import Store
from seqmodel.windows import Windows

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def predict_candidates(
    fresh: Fresh,
    refits: Sequence[ModelRef],
    grid: Grid,
    asked: Integers,
    spec: PipelineSpec,
    predict: Callable[[ModelRef, Integers], Floats],
) -> dict[str, Floats]:
    """Return what each version says, and what those do together that are each other's refits.

    Args:
        fresh: the versions and the cutoffs that are compared.
        refits: the challenger trained anew for later cutoffs, from `plan_refits`.
        grid: of the table.
        asked: grid numbers of all cutoffs of the spec.
        spec: the pipeline.
        predict: forecasts some cutoffs with a version, cutoff by cutoff, N x H x Q.

    Raises:
        DataError: if a refit has learned from all that it is to be scored on.
    """
    found = {name: predict(model, fresh.cutoffs) for name, model in fresh.models.items()}
    if not refits:
        return found

    def predict_fresh(model: ModelRef, cutoffs: Integers) -> Floats:
        choose_fresh(grid, cutoffs, {REFITTED: model})
        return predict(model, cutoffs)

    every = spec.backtest.refit or len(asked)
    models = fresh.models["challenger"]
    found[REFITTED] = predict_refitted(models, refits, fresh.cutoffs, asked, every, predict_fresh)
    return found


@final
@dataclass(frozen=True)
class Candidates:
    """The versions of a backtest, loaded once for any number of shards of its table.

    Attributes:
        store: the data root.
        table: a judged table.
        spec: the pipeline.
        fresh: the versions and the cutoffs that are compared.
        refits: the challenger trained anew for later cutoffs.
        asked: grid numbers of all cutoffs of the spec.
        predictors: key of a bundle -> what it holds.
    """

    store: Store
    table: TableRef
    spec: PipelineSpec
    fresh: Fresh
    refits: tuple[ModelRef, ...]
    asked: Integers
    predictors: Mapping[str, Predictor]

    @classmethod
    def open(
        cls,
        store: Store,
        table: TableRef,
        models: dict[str, ModelRef],
        refits: tuple[ModelRef, ...],
        spec: PipelineSpec,
    ) -> Candidates:
        """Load the versions that can be compared on a table.

        Raises:
            DataError: if a candidate has learned from every cutoff.
            StoreError: if a bundle is damaged.
        """
        grid = Grid(spec.source.freq)
        asked = list_cutoffs(grid.locate(table.cutoff), spec)
        fresh = choose_fresh(grid, asked, models)
        keys = dict.fromkeys(one.key for one in (*fresh.models.values(), *refits))
        found = {key: load_predictor(store, key) for key in keys}
        whole = cls(store, table, spec, fresh, refits, asked, found)
        settled = {key: whole._settle(one) for key, one in found.items()}
        return cls(store, table, spec, fresh, refits, asked, settled)

    def _settle(self, predictor: Predictor) -> Predictor:
        """Let levels that learn from earlier cutoffs do so once, for the whole table."""
        if not isinstance(predictor, Calibrated) or not predictor.learns:
            return predictor
        folder = self.store.find(self.table.key)
        rows = read_series(folder, self._columns, predictor.teachers)
        panel = self._lay_out(rows, read_future_of(folder, None, None))
        return predictor.settle(panel, self.fresh.cutoffs, self.spec.window.least_rows)

    @property
    def _columns(self) -> list[str]:
        return [KEY, "timestamp", "target", *self.spec.source.covariates]

    def _lay_out(self, rows: pa.Table, future: pa.Table | None) -> Panel:
        source, horizon = self.spec.source, self.spec.window.horizon
        refuse_changes(rows, source, self.spec.features)
        cutoff = Grid(source.freq).locate(self.table.cutoff)
        return build_panel(rows, future, source, cutoff=cutoff, horizon=horizon)

    def predict(self, shard: Shard) -> dict[str, Floats]:
        """Return what each version says of a shard's series, cutoff by cutoff, N x H x Q."""
        folder = self.store.find(self.table.key)
        rows = pa.concat_tables(read_newest(folder, shard, self._columns, None))
        column = rows.column_names.index(KEY)
        rows = rows.set_column(column, KEY, rows[KEY].unify_dictionaries())
        panel = self._lay_out(rows, read_future_of(folder, shard.start, shard.end))

        def predict(model: ModelRef, cutoffs: Integers) -> Floats:
            predictor, least = self.predictors[model.key], self.spec.window.least_rows
            return predictor.predict(panel, cutoffs, least)[1]

        grid = panel.grid
        return predict_candidates(self.fresh, self.refits, grid, self.asked, self.spec, predict)


def backtest_shard(
    store: Store, run: RunRef, candidates: Candidates, shard: Shard
) -> PredictionsRef:
    """Predict the windows of one shard and stage what was said.

    Args:
        store: the data root.
        run: which run asks.
        candidates: of the run's table.
        shard: which series.
    """
    said = candidates.predict(shard)
    key, digest = stage_arrays(store, run, "backtests", shard.number, said)
    return PredictionsRef(
        key=key,
        digest=digest,
        windows=len(said["challenger"]),
        scores=run.scores,
        start=shard.start,
        end=shard.end,
    )


def join_predictions(
    store: Store, parts: Sequence[PredictionsRef], panel: Panel, index: Windows, spec: PipelineSpec
) -> dict[str, Floats]:
    """Put what was said of the shards into the order of the whole table's windows.

    Args:
        store: the data root.
        parts: of all shards.
        panel: rows of S series, in the order of their ids.
        index: N windows, cutoff by cutoff.
        spec: the pipeline.

    Returns:
        Candidate -> N x H x Q.

    Raises:
        StoreError: if a part is gone, changed, or of other windows.
    """
    shape = (len(index), spec.window.horizon, len(spec.output.levels))
    found: dict[str, Floats] = {}
    told = 0
    for part in parts:
        first = 0 if part.start is None else bisect_left(panel.ids, part.start)
        end = len(panel.ids) if part.end is None else bisect_left(panel.ids, part.end)
        places = np.flatnonzero((index.series >= first) & (index.series < end))
        if len(places) != part.windows:
            raise StoreError(
                f"found predictions of {part.windows} windows in {part.key}, needed"
                f" {len(places)}; run again"
            )
        for name, values in read_staged(store, part).items():
            found.setdefault(name, np.empty(shape))[places] = values
        told += part.windows
    if told != len(index):
        raise StoreError(
            f"found predictions of {told} windows, needed {len(index)}, each once; run again"
        )
    return found

"""The window step: panel, fitted preprocessor, encoded rows and window index, stored once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import final

import numpy as np

from seqmodel.errors import DataError
from seqmodel.features import Preprocessor, Rows
from seqmodel.filling import mark_filled, measure_reach
from seqmodel.grid import Grid, to_microseconds
from seqmodel.panel import Panel, build_panel
from seqmodel.specs import PipelineSpec
from seqmodel.splitting import split_steps
from seqmodel.store.arrays import read_arrays, write_arrays
from seqmodel.store.bundles import PREPROCESSOR
from seqmodel.store.fingerprints import SHORT, digest_folder, digest_value
from seqmodel.store.refs import TableRef, ValidatedTableRef, WindowsRef
from seqmodel.store.store import Store, replace_file
from seqmodel.store.tables import read_future, read_rows
from seqmodel.windows import WindowIndex, WindowReader, index_windows

#: Windows looked at for early stopping: more would cost time and change nothing.
HOLDOUT_WINDOWS = 4096


def load_panel(
    store: Store,
    table: TableRef,
    spec: PipelineSpec,
    *,
    least: int,
    history: int | None = None,
) -> Panel:
    """Read a table as a panel that ends one horizon after the table's cutoff.

    Of the whole history a backtest can be made: the panel then names the backtest's cutoffs.

    Args:
        store: the data root.
        table: the table.
        spec: source, grid, window and, for the whole history, backtest sections count.
        least: history every series gets, padded on the left (steps).
        history: newest steps wanted, without it all (steps).
    """
    grid = Grid(spec.source.freq)
    cutoff = int(grid.number(np.array([to_microseconds(table.cutoff)]))[0])
    columns = ["series_id", "timestamp", "target", *spec.source.covariates]
    first, cutoffs = None, list_cutoffs(cutoff, spec)
    if history is not None:
        import pyarrow as pa

        history += measure_reach(spec.grid, spec.source.season)
        cutoffs = ()
        moment = int(grid.moment(np.array([cutoff - history + 1]))[0])
        first = pa.scalar(moment, pa.timestamp("us", tz="UTC"))
    folder = store.find(table.key)
    return build_panel(
        read_rows(folder, columns, first=first),
        read_future(folder),
        spec.source,
        cutoff=cutoff,
        horizon=spec.window.horizon,
        least=least,
        cutoffs=cutoffs,
    )


def list_cutoffs(cutoff: int, spec: PipelineSpec) -> tuple[int, ...]:
    """Return the backtest's cutoffs in a history that ends at `cutoff`, as `split_steps` does."""
    last = cutoff - spec.window.horizon
    return tuple(last - spec.backtest.step * i for i in reversed(range(spec.backtest.cutoffs)))


def make_windows(store: Store, judged: ValidatedTableRef, spec: PipelineSpec) -> WindowsRef:
    """Encode a table and index its training and holdout windows.

    Raises:
        DataError: if not one training window with an observed target exists.
    """
    table = judged.table
    panel = load_panel(store, table, spec, least=spec.window.lookback)
    split = split_steps(int(panel.first.min()), panel.cutoff, spec)
    fitted = Preprocessor.fit(panel, spec.source, spec.features, split.train, spec.grid)
    rows = fitted.encode(panel, until=split.train)
    parts = {
        "train": _index(panel, rows, spec, panel.first.min(), split.train, spec.window.stride),
        "holdout": _index(panel, rows, spec, split.train, split.holdout, 1).spread(HOLDOUT_WINDOWS),
    }
    for name, index in parts.items():
        if not len(index):
            raise DataError(
                f"found no {name} window of lookback {spec.window.lookback} + horizon"
                f" {spec.window.horizon} with an observed target, needed one at least; shorten"
                " them or bring a longer history"
            )
    with store.workshop(table.key.split("/", 1)[0]) as shop:
        folder = shop / "windows"
        folder.mkdir()
        write_arrays(folder, rows.arrays())
        for name, index in parts.items():
            write_arrays(folder, {f"{name}_starts": index.starts, f"{name}_series": index.series})
        replace_file(folder / PREPROCESSOR, json.dumps(fitted.to_json()).encode())
        fingerprint = digest_value(digest_folder(folder))
        key = f"{table.key.split('/', 1)[0]}/windows/{fingerprint[:SHORT]}"
        store.publish(folder, key)
    return WindowsRef(
        key=key,
        fingerprint=fingerprint,
        train=len(parts["train"]),
        holdout=len(parts["holdout"]),
        features=fitted.names,
    )


def _index(
    panel: Panel, rows: Rows, spec: PipelineSpec, after: int, until: int, stride: int
) -> WindowIndex:
    """List windows with an observed step in lookback and horizon each, that end in no filled gap.

    In such a gap the lookback would show a step that was filled because of what came after.
    """
    lookback, horizon = spec.window.lookback, spec.window.horizon
    index = index_windows(
        panel.first,
        panel.offsets,
        lookback,
        horizon,
        after=int(after),
        until=until,
        stride=stride,
    )
    seen = np.concatenate([[0], np.cumsum(rows.weight, dtype=np.int64)])
    cut = index.starts + lookback
    useful = (seen[cut] > seen[index.starts]) & (seen[cut + horizon] > seen[cut])
    if spec.grid.fill != "none":
        useful &= ~mark_filled(panel, spec.grid)[cut - 1]
    return index.take(np.flatnonzero(useful))


@final
@dataclass(frozen=True)
class StoredWindows:
    """What `make_windows` stored, mapped into memory."""

    fitted: Preprocessor
    rows: Rows
    train: WindowIndex
    holdout: WindowIndex

    def reader(self, spec: PipelineSpec) -> WindowReader:
        """Return the reader of these rows."""
        return WindowReader(self.rows, spec.window.lookback, spec.window.horizon)


def load_windows(store: Store, windows: WindowsRef) -> StoredWindows:
    """Map the windows that a ref names."""
    folder = store.find(windows.key)
    arrays = read_arrays(folder)
    fitted = Preprocessor.from_json(store.read_json(f"{windows.key}/{PREPROCESSOR}"))
    parts = {
        name: WindowIndex(arrays.pop(f"{name}_starts"), arrays.pop(f"{name}_series"))
        for name in ("train", "holdout")
    }
    return StoredWindows(fitted=fitted, rows=Rows(**arrays), **parts)

"""The window step: panel, fitted preprocessor, encoded rows and window index, stored once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.covariates import refuse_changes, refuse_holes
from seqmodel.encoding import encode_panel
from seqmodel.errors import DataError
from seqmodel.features import Preprocessor
from seqmodel.gathering import WindowReader
from seqmodel.grid import Grid
from seqmodel.models.protocol import InputShapes
from seqmodel.panel import Panel
from seqmodel.panelling import build_panel
from seqmodel.rows import Rows
from seqmodel.specs import PipelineSpec
from seqmodel.splitting import split_panel
from seqmodel.store.arrays import read_arrays, write_arrays
from seqmodel.store.bundles import DISTRIBUTION, PREPROCESSOR
from seqmodel.store.fingerprints import SHORT, digest_folder, digest_value
from seqmodel.store.refs import TableRef, ValidatedTableRef, WindowsRef
from seqmodel.store.store import Store, replace_file
from seqmodel.store.tables import read_future, read_rows
from seqmodel.windows import WindowIndex, Windows, index_windows

Integers = NDArray[np.int64]

#: Windows whose targets are counted at once while the index is made.
WINDOWS_AT_ONCE = 1 << 20
#: Name of the array that holds the moment of the newest target.
UNTIL = "until"


def load_panel(
    store: Store,
    table: TableRef,
    spec: PipelineSpec,
    *,
    history: int | None = None,
    births: dict[str, int] | None = None,
) -> Panel:
    """Read a table as a panel that ends one horizon after the table's cutoff.

    Args:
        store: the data root.
        table: the table.
        spec: source, window and features sections count.
        history: newest steps wanted, without it all (steps).
        births: series -> grid number of its first observed step: one that is older than what is
            wanted begins there, though its row may be missing.
    """
    grid = Grid(spec.source.freq)
    if spec.source.irregular:
        # How far back the newest events lie, each series has its own answer.
        history = None
    cutoff = grid.locate(table.cutoff)
    columns = ["series_id", "timestamp", "target", *spec.source.covariates]
    first, begin = None, None
    if history is not None:
        import pyarrow as pa

        begin = cutoff - history + 1
        moment = int(grid.moment(np.array([begin]))[0])
        first = pa.scalar(moment, pa.timestamp("us", tz="UTC"))
    folder = store.find(table.key)
    rows = read_rows(folder, columns, first=first)
    refuse_changes(rows, spec.source, spec.features)
    old = [] if begin is None else [i for i, born in (births or {}).items() if born < begin]
    return build_panel(
        rows,
        read_future(folder),
        spec.source,
        cutoff=cutoff,
        horizon=spec.window.horizon,
        begins=dict.fromkeys(old, begin or 0),
    )


def make_windows(store: Store, judged: ValidatedTableRef, spec: PipelineSpec) -> WindowsRef:
    """Encode a table and index its training and holdout windows.

    Raises:
        DataError: if not one training window with an observed target exists.
    """
    # It asks DuckDB, which a forecast has no use for.
    from seqmodel.monitoring.drifting import measure_distribution

    table = judged.table
    panel = load_panel(store, table, spec)
    cut = cut_windows(panel, spec)
    with store.workshop(table.key.split("/", 1)[0]) as shop:
        folder = shop / "windows"
        folder.mkdir()
        write_arrays(folder, cut.rows.arrays())
        write_arrays(folder, {UNTIL: np.array([cut.until])})
        for name, index in (("train", cut.train), ("holdout", cut.holdout)):
            write_arrays(folder, {f"{name}_{key}": array for key, array in index.arrays().items()})
        replace_file(folder / PREPROCESSOR, json.dumps(cut.fitted.to_json()).encode())
        seen = measure_distribution(panel, panel.number_at(cut.until))
        replace_file(folder / DISTRIBUTION, json.dumps(seen).encode())
        fingerprint = digest_value(digest_folder(folder))
        key = f"{table.key.split('/', 1)[0]}/windows/{fingerprint[:SHORT]}"
        store.publish(folder, key)
    return WindowsRef(
        key=key,
        fingerprint=fingerprint,
        train=len(cut.train),
        holdout=len(cut.holdout),
        features=cut.fitted.names,
    )


def cut_windows(panel: Panel, spec: PipelineSpec, *, scored: bool = True) -> StoredWindows:
    """Encode a panel and index its training and holdout windows, in memory.

    Args:
        panel: rows of S series.
        spec: the pipeline.
        scored: whether the newest part is kept for a backtest, of events.

    Raises:
        DataError: if not one training window with an observed target exists.
    """
    refuse_holes(panel, spec.source, spec.features)
    split = split_panel(panel, spec, scored=scored)
    fitted = Preprocessor.fit(panel, spec, split.train)
    rows = encode_panel(fitted, panel, until=split.train)
    parts = {
        "train": _index(panel, rows, spec, split.first, split.train, spec.window.stride),
        "holdout": _index(panel, rows, spec, split.train + split.gap, split.holdout, 1),
    }
    # Of a series that begins in the holdout no scale was measured.
    if not spec.source.irregular:
        taught = fitted.find(panel.ids) >= 0
        parts["holdout"] = parts["holdout"].choose(taught[parts["holdout"].series])
    for name, index in parts.items():
        if not len(index):
            raise DataError(
                f"found no {name} window of lookback {spec.window.lookback} + horizon"
                f" {spec.window.horizon} with an observed target, needed one at least; shorten"
                " them or bring a longer history"
            )
    newest = np.concatenate([_list_newest(part, spec) for part in parts.values()])
    until = int(panel.when(newest).max())
    return StoredWindows(fitted, rows, parts["train"], parts["holdout"], until)


def _list_newest(index: WindowIndex, spec: PipelineSpec) -> Integers:
    """Return the row of the last target of each run of windows."""
    last = index.starts + (index.counts - 1) * index.stride
    return last + spec.window.lookback + spec.window.horizon - 1


def _index(
    panel: Panel,
    rows: Rows,
    spec: PipelineSpec,
    after: int | Integers,
    until: int | Integers,
    stride: int,
) -> WindowIndex:
    """List the windows with an observed step in the lookback, and with the targets wanted."""
    index = index_windows(
        panel.first,
        panel.offsets,
        spec.window.lookback,
        spec.window.horizon,
        after=after,
        until=until,
        stride=stride,
        least=spec.window.least_history,
    )
    seen = _count_up(rows.values[:, 1])
    told = _count_up(rows.target >= 0) if spec.output.of_classes else seen
    wanted = spec.window.horizon if spec.window.missing == "skip" else 1
    kept = [
        part.keep(_mark_useful(part.all(), rows, (seen, told), spec, wanted))
        for part in index.split(WINDOWS_AT_ONCE)
    ]
    return WindowIndex.join(kept, stride)


def _count_up(marks: NDArray[Any]) -> Integers:
    """Return how many of the rows before each are marked."""
    return np.concatenate([[0], np.cumsum(marks, dtype=np.int64)])


def _mark_useful(
    windows: Windows,
    rows: Rows,
    counts: tuple[Integers, Integers],
    spec: PipelineSpec,
    wanted: int,
) -> NDArray[np.bool_]:
    seen, told = counts
    cut = windows.starts + spec.window.lookback
    begins = np.maximum(windows.starts, rows.begins[windows.series])
    marks: NDArray[np.bool_] = (seen[cut] > seen[begins]) & (
        told[cut + spec.window.horizon] - told[cut] >= wanted
    )
    return marks


@final
@dataclass(frozen=True)
class StoredWindows:
    """What `make_windows` stored, mapped into memory; or what `cut_windows` made, not stored.

    Attributes:
        fitted: feature order, scalers and category maps.
        rows: R encoded rows.
        train: training windows.
        holdout: holdout windows.
        until: moment of the newest target of either (microseconds UTC).
    """

    fitted: Preprocessor
    rows: Rows
    train: WindowIndex
    holdout: WindowIndex
    until: int = 0

    def reader(self, spec: PipelineSpec, *, in_target_unit: bool = False) -> WindowReader:
        """Return the reader of these rows."""
        return WindowReader(self.rows, self.fitted.cut(spec, in_target_unit=in_target_unit))

    def shapes(self, spec: PipelineSpec) -> InputShapes:
        """Return the sizes of a network's inputs."""
        fitted = self.fitted
        cut = fitted.cut(spec)
        return InputShapes(
            lookback=cut.lookback,
            horizon=cut.horizon,
            features=len(fitted.names),
            known=cut.known,
            past_cardinalities=fitted.count_codes(fitted.code_names),
            known_codes=cut.known_codes,
            static=len(fitted.reals),
            static_cardinalities=fitted.count_codes(fitted.static_names),
            series=len(fitted.ids),
            season=cut.season,
            cycle=cut.cycle,
            classes=len(fitted.classes),
        )


def load_windows(store: Store, windows: WindowsRef) -> StoredWindows:
    """Map the windows that a ref names."""
    folder = store.find(windows.key)
    arrays = read_arrays(folder)
    fitted = Preprocessor.from_json(store.read_json(f"{windows.key}/{PREPROCESSOR}"))
    train, holdout = (WindowIndex.from_arrays(arrays, name) for name in ("train", "holdout"))
    return StoredWindows(fitted, Rows.from_arrays(arrays), train, holdout, int(arrays[UNTIL][0]))

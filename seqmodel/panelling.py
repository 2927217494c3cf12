"""Rows of a table laid out as a panel: on the grid, or events one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from seqmodel.categories import is_categorical, read_labels
from seqmodel.errors import DataError
from seqmodel.eventing import NEWEST, explode_sequences, number_events
from seqmodel.grid import Grid
from seqmodel.panel import NO_MOMENT, Labels, Panel
from seqmodel.specs import SourceSpec
from seqmodel.static import Earlier, find_changes

Integers = NDArray[np.int64]


def build_panel(
    rows: pa.Table,
    future: pa.Table | None,
    source: SourceSpec,
    *,
    cutoff: int,
    horizon: int,
    begins: Mapping[str, int] | None = None,
) -> Panel:
    """Lay sorted table rows out on the grid.

    Args:
        rows: canonical columns, sorted by series and time, unique.
        future: known covariates after the cutoff, or None.
        source: which columns are past, known and static.
        cutoff: grid number of the last step of history; later rows of `rows` are ignored.
        horizon: rows to add after the cutoff (steps).
        begins: series -> grid number it begins at though it may have no row there, for those read
            from the middle of their history.

    Raises:
        DataError: if rows are off the grid, out of order or double, or if text stands where the
            source declares numbers.
    """
    grid = Grid(source.freq)
    if source.layout == "sequences":
        rows = explode_sequences(rows, source)
    ids, codes = _code_series(rows["series_id"])
    moments = _as_integers(rows["timestamp"])
    if source.irregular:
        # A moment is its own number: from here on the events themselves are counted.
        numbers = number_events(codes, moments <= cutoff, NEWEST + 1)
        cutoff = NEWEST
    else:
        numbers = grid.number(moments)
        _refuse_off_grid(rows, moments, grid)
    step = np.diff(codes) * 2 + np.sign(np.diff(numbers))
    if (step <= 0).any():
        raise DataError(
            "found rows out of order or double, needed them sorted by series and time; take the"
            " table that ingest wrote"
        )
    # In order as they are, the first row of a series is its oldest.
    first = np.minimum(numbers[np.flatnonzero(np.diff(codes, prepend=-1))], cutoff + 1)
    if begins:
        first = np.minimum(first, [begins.get(series_id, cutoff + 1) for series_id in ids])
    offsets = np.concatenate([[0], np.cumsum(cutoff + horizon + 1 - first)])
    covariates = (*source.past, *source.known)
    columns = ("target", *covariates)
    categorical = [name for name in covariates if is_categorical(rows.schema.field(name), source)]
    past = numbers <= cutoff
    if source.of_classes:
        categorical.append("target")
    panel = Panel(
        grid=grid,
        ids=ids,
        first=first,
        offsets=offsets,
        cutoff=cutoff,
        horizon=horizon,
        values={
            name: np.full(int(offsets[-1]), np.nan) for name in columns if name not in categorical
        },
        labels={
            name: Labels(
                np.full(int(offsets[-1]), -1, dtype=np.int32), _list_names(rows, future, name)
            )
            for name in categorical
        },
        static=_take_static(rows, codes, past, len(ids), source),
        earlier=_take_earlier(rows, codes, numbers, past, source),
        moments=np.full(int(offsets[-1]), NO_MOMENT) if source.irregular else None,
    )
    if panel.moments is not None:
        panel.moments[panel.offsets[codes[past]] + (numbers - first[codes])[past]] = moments[past]
    if past.all():
        _place(panel, codes, numbers, rows, columns)
    else:
        _place(panel, codes[past], numbers[past], rows.filter(pa.array(past)), columns)
    later = rows.filter(pa.array(~past)).select(["series_id", "timestamp", *source.known])
    for table in (later, future):
        if table is not None and source.known and table.num_rows:
            _place_future(panel, table, source)
    return panel


def _refuse_off_grid(rows: pa.Table, moments: Integers, grid: Grid) -> None:
    on_grid = grid.holds(moments)
    if not on_grid.all():
        bad = int(np.argmin(on_grid))
        raise DataError(
            f"found series {rows['series_id'][bad].as_py()!r} at"
            f" {rows['timestamp'][bad].as_py()}, off the grid of freq {grid.freq!r}, needed full"
            " steps; correct source.freq or the timestamps"
        )


def _place_future(panel: Panel, table: pa.Table, source: SourceSpec) -> None:
    found = pc.index_in(table["series_id"], value_set=pa.array(panel.ids, pa.string()))
    codes = pc.fill_null(found, -1).to_numpy().astype(np.int64)
    moments = _as_integers(table["timestamp"])
    if panel.moments is None:
        numbers = panel.grid.number(moments)
    else:
        order = np.lexsort((moments, codes))
        table, codes, moments = table.take(pa.array(order)), codes[order], moments[order]
        numbers = number_events(codes, np.zeros(len(codes), dtype=bool), NEWEST + 1)
    inside = (codes >= 0) & (numbers > panel.cutoff) & (numbers < panel.end)
    chosen = table.filter(pa.array(inside))
    if panel.moments is None:
        _refuse_off_grid(chosen, _as_integers(chosen["timestamp"]), panel.grid)
    else:
        where = panel.offsets[codes[inside]] + numbers[inside] - panel.first[codes[inside]]
        panel.moments[where] = moments[inside]
    _place(panel, codes[inside], numbers[inside], chosen, source.known)


def _list_names(rows: pa.Table, future: pa.Table | None, name: str) -> tuple[str, ...]:
    names = set(pc.unique(read_labels(rows[name])).to_pylist())
    if future is not None and name in future.column_names:
        names |= set(pc.unique(read_labels(future[name])).to_pylist())
    return tuple(sorted(names - {None}))


def _place(
    panel: Panel, codes: Integers, numbers: Integers, rows: pa.Table, names: Sequence[str]
) -> None:
    where = panel.offsets[codes] + numbers - panel.first[codes]
    for name in names:
        column = rows[name]
        if name in panel.labels:
            labels = panel.labels[name]
            found = pc.index_in(read_labels(column), value_set=pa.array(labels.names, pa.string()))
            labels.codes[where] = pc.fill_null(found, -1).to_numpy()
        elif pa.types.is_string(column.type):
            raise DataError(
                f"found text in {name!r}, needed numbers as a target and a covariate that is a"
                " number in history are; convert the column, or name another in source"
            )
        else:
            values = column.cast(pa.float64(), safe=False).to_numpy()
            # An infinite covariate is a fault of the sensor: missing.
            panel.values[name][where] = np.where(np.isfinite(values), values, np.nan)


def _take_static(
    rows: pa.Table, codes: Integers, past: NDArray[np.bool_], series: int, source: SourceSpec
) -> dict[str, NDArray[Any]]:
    """Take each series' newest value up to the cutoff; text where it counts as categories."""
    last = np.full(series, -1, dtype=np.int64)
    last[codes[past]] = np.flatnonzero(past)
    # A series without history has none, not the first one's.
    chosen = pa.array(last, mask=last < 0)
    return {
        name: _take(rows[name], chosen, is_categorical(rows.schema.field(name), source))
        for name in source.static
    }


def _take_earlier(
    rows: pa.Table,
    codes: Integers,
    numbers: Integers,
    past: NDArray[np.bool_],
    source: SourceSpec,
) -> dict[str, Earlier]:
    """Take what static covariates were before they changed, where they did."""
    found = {}
    for name in source.static:
        before = find_changes(rows[name], codes, past)
        if len(before):
            categorical = is_categorical(rows.schema.field(name), source)
            values = _take(rows[name], pa.array(before), categorical)
            found[name] = Earlier(codes[before], numbers[before + 1], values)
    return found


def _take(column: pa.ChunkedArray, rows: pa.Array, categorical: bool) -> NDArray[Any]:  # noqa: FBT001
    chosen = column.take(rows)
    values: NDArray[Any] = (read_labels(chosen) if categorical else chosen).to_numpy()
    return values


def _code_series(column: pa.ChunkedArray) -> tuple[list[str], Integers]:
    """Return the ids in the order of their runs of rows, and R numbers of the run."""
    if not len(column):
        return [], np.zeros(0, dtype=np.int64)
    if pa.types.is_dictionary(column.type):
        chunks = column.unify_dictionaries().chunks
    else:
        encoded = column.combine_chunks().dictionary_encode()
        chunks = encoded.chunks if isinstance(encoded, pa.ChunkedArray) else [encoded]
    raw = np.concatenate([chunk.indices.to_numpy() for chunk in chunks])
    starts = np.flatnonzero(np.diff(raw, prepend=-1))
    # A dictionary may hold ids of rows that were left out.
    ids = chunks[-1].dictionary.take(pa.array(raw[starts])).to_pylist()
    lengths = np.diff(starts, append=len(raw))
    return ids, np.repeat(np.arange(len(ids), dtype=np.int64), lengths)


def _as_integers(column: pa.ChunkedArray) -> Integers:
    moments: Integers = column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
    return moments

"""The panel: rows sorted, unique and on the grid, one contiguous block a series.

series a   |#####.####|hhhh|          # observed, . missing, h known covariates only
series b       |######|hhhh|
series c         |##____|hhhh|          _ missing: the series ended early
                    cutoff   cutoff + horizon
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from seqmodel.categories import is_categorical, read_labels
from seqmodel.errors import DataError
from seqmodel.eventing import NEWEST, explode_sequences, number_events
from seqmodel.grid import Grid
from seqmodel.specs import SourceSpec
from seqmodel.static import Earlier, find_changes

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
#: Of an event that nobody knows when it will be.
NO_MOMENT = np.iinfo(np.int64).min


@final
@dataclass(frozen=True)
class Labels:
    """A categorical column.

    Attributes:
        codes: R positions in `names`, -1 where missing.
        names: the categories.
    """

    codes: NDArray[np.int32]
    names: tuple[str, ...]


@final
@dataclass(frozen=True)
class Panel:
    """S series on one grid, all ending `horizon` steps after one cutoff.

    Attributes:
        grid: the grid.
        ids: S series ids, ascending.
        first: S grid numbers of the first rows.
        offsets: S + 1 positions; rows of series s are `offsets[s]:offsets[s + 1]`.
        cutoff: grid number of the last step of history.
        horizon: rows each series has after the cutoff, with known covariates only (steps).
        values: target, real past and known covariates, R rows each, NaN where missing.
        labels: categorical past and known covariates, R rows each.
        static: S values for each static covariate at the cutoff, numbers or strings.
        earlier: what those static covariates were before that changed.
        moments: of events, R timestamps (microseconds UTC), NO_MOMENT where none is known; None
            on a grid.
    """

    grid: Grid
    ids: list[str]
    first: Integers
    offsets: Integers
    cutoff: int
    horizon: int
    values: dict[str, Floats]
    labels: dict[str, Labels]
    static: dict[str, NDArray[Any]]
    earlier: dict[str, Earlier] = field(default_factory=dict)
    moments: Integers | None = None

    def __post_init__(self) -> None:
        ascending = all(a < b for a, b in zip(self.ids, self.ids[1:], strict=False))
        lengths = np.diff(self.offsets)
        fits = np.array_equal(self.first + lengths, np.full(len(self.ids), self.end))
        if not ascending or not fits or self.offsets[0] != 0:
            raise DataError(
                "found rows that are not sorted, unique and on one grid, needed a panel; build it"
                " with build_panel"
            )

    @property
    def end(self) -> int:
        """Grid number after the last row of every series."""
        return self.cutoff + self.horizon + 1

    @property
    def rows(self) -> int:
        """R, rows of all series."""
        return int(self.offsets[-1])

    @property
    def series_of_row(self) -> NDArray[np.int32]:
        """R numbers of the series each row belongs to."""
        return np.repeat(np.arange(len(self.ids), dtype=np.int32), np.diff(self.offsets))

    @property
    def number_of_row(self) -> Integers:
        """R grid numbers."""
        starts = np.repeat(self.offsets[:-1] - self.first, np.diff(self.offsets))
        return np.arange(self.rows, dtype=np.int64) - starts

    def static_at(self, number: int | Integers) -> dict[str, NDArray[Any]]:
        """Return S values for each static covariate as known at a number, or at S numbers.

        A series that begins later has its first value.
        """
        found = dict(self.static)
        for name, earlier in self.earlier.items():
            found[name] = earlier.put(found[name], number)
        return found

    def changes_after(self, number: int) -> NDArray[np.bool_]:
        """Mark those of S series with a static covariate that changes after a grid number."""
        marks = np.zeros(len(self.ids), dtype=bool)
        for earlier in self.earlier.values():
            marks[earlier.series[earlier.ends > number]] = True
        return marks

    @property
    def seen(self) -> NDArray[np.bool_]:
        """R marks of the rows whose target was observed."""
        if "target" in self.labels:
            return self.labels["target"].codes >= 0
        return np.isfinite(self.values["target"])

    def when(self, rows: Integers) -> Integers:
        """Return the timestamps of some rows (microseconds UTC)."""
        if self.moments is not None:
            return self.moments[rows]
        return self.grid.moment(self.number_of_row[rows])

    def until(self, number: int | Integers) -> NDArray[np.bool_]:
        """Mark the R rows up to a number, or up to S numbers, one for each series."""
        last = np.broadcast_to(number, len(self.ids))[self.series_of_row]
        marks: NDArray[np.bool_] = self.number_of_row <= last
        return marks

    def number_at(self, moment: int) -> Integers:
        """Return the S numbers of the last row of each series at or before a moment.

        Args:
            moment: (microseconds UTC).
        """
        if self.moments is None:
            return np.full(len(self.ids), self.grid.number(np.array([moment]))[0])
        over = (self.moments <= moment) & (self.number_of_row <= self.cutoff)
        counts = np.bincount(self.series_of_row[over], minlength=len(self.ids))
        return self.first + counts - 1

    def take(self, series: Integers) -> Panel:
        """Return the panel of some series, ascending."""
        lengths = np.diff(self.offsets)[series]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
        rows = np.repeat(self.offsets[:-1][series], lengths) + within
        return Panel(
            grid=self.grid,
            ids=[self.ids[s] for s in series],
            first=self.first[series],
            offsets=offsets,
            cutoff=self.cutoff,
            horizon=self.horizon,
            values={name: values[rows] for name, values in self.values.items()},
            labels={n: Labels(one.codes[rows], one.names) for n, one in self.labels.items()},
            static={name: values[series] for name, values in self.static.items()},
            earlier={name: earlier.take(series) for name, earlier in self.earlier.items()},
            moments=None if self.moments is None else self.moments[rows],
        )


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
        _refuse_off_grid(rows, moments, grid)
        numbers = grid.number(moments)
    step = np.diff(codes) * 2 + np.sign(np.diff(numbers))
    if (step <= 0).any():
        raise DataError(
            "found rows out of order or double, needed them sorted by series and time; take the"
            " table that ingest wrote"
        )
    first = np.full(len(ids), cutoff + 1, dtype=np.int64)
    np.minimum.at(first, codes, numbers)
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
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)


def _as_integers(column: pa.ChunkedArray) -> Integers:
    moments: Integers = column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
    return moments

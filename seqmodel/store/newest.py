"""The newest rows of a table, a chunk of whole series at a time: memory does not grow with it.

row groups   |a..c|c..f|f..h|  ->  chunk |a..e|  chunk |f..h|     the last series waits for its end

A row group whose newest timestamp is too old is not read at all; the others by the columns wanted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seqmodel.errors import StoreError
from seqmodel.sharding import RowGroup
from seqmodel.store.parts import Shard
from seqmodel.store.tables import FUTURE, list_parts

#: Rows in hand at once: about 750 series of a week of hours, small enough for the caches.
CHUNK = 1 << 17
KEY = "series_id"


def list_groups(folder: Path) -> list[RowGroup]:
    """Return the row groups of a table, in order.

    Raises:
        StoreError: if the table has no part.
    """
    parts = list_parts(folder)
    if not parts:
        raise StoreError(
            f"found no part-*.parquet in {folder}, needed a canonical table; run again"
        )
    return [group for part in parts for group in describe_groups(part.name, pq.read_metadata(part))]


def describe_groups(part: str, footer: pq.FileMetaData) -> list[RowGroup]:
    """Return the row groups of a file by its footer."""
    names = [footer.schema.column(i).name for i in range(footer.num_columns)]
    at, when = names.index(KEY), names.index("timestamp")
    found = []
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        ids, moments = group.column(at).statistics, group.column(when).statistics
        told = ids is not None and ids.has_min_max
        dated = moments is not None and moments.has_min_max
        found.append(
            RowGroup(
                part=part,
                number=number,
                rows=group.num_rows,
                least=ids.min if told else None,
                greatest=ids.max if told else None,
                newest=moments.max_raw if dated else None,
                oldest=moments.min_raw if dated else None,
            )
        )
    return found


def read_newest(
    folder: Path, shard: Shard, columns: list[str], first: int | None, chunk: int = CHUNK
) -> Iterator[pa.Table]:
    """Yield a shard's newest rows, whole series, sorted as stored; `series_id` as a dictionary.

    Args:
        folder: of the table.
        shard: which ids, and in which row groups they are.
        columns: columns wanted.
        first: moment of the first row wanted (microseconds UTC); all without it.
        chunk: rows at once, more only where a series has more.
    """
    waiting: list[pa.Table] = []
    held = 0
    for rows in read_groups(folder, shard, columns, first):
        waiting.append(rows)
        held += rows.num_rows
        if held < chunk:
            continue
        begin = _find_last_series(waiting)
        whole = pa.concat_tables(waiting)
        if begin:
            yield _unify(whole.slice(0, begin))
        waiting = [whole.slice(begin)]
        held -= begin
    if held:
        yield _unify(pa.concat_tables(waiting))


def _unify(rows: pa.Table) -> pa.Table:
    """Return rows whose chunks of ids share one dictionary."""
    return rows.set_column(rows.column_names.index(KEY), KEY, rows[KEY].unify_dictionaries())


def read_groups(
    folder: Path, shard: Shard, columns: list[str], first: int | None = None
) -> Iterator[pa.Table]:
    """Yield a shard's rows as stored, a row group at a time; see `read_newest`."""
    for piece in shard.pieces:
        # Threads of Arrow's own would keep a whole file in memory.
        file = pq.ParquetFile(folder / piece.part, pre_buffer=False, read_dictionary=[KEY])
        groups = describe_groups(piece.part, file.metadata)
        for group in groups[piece.first : piece.last + 1]:
            if first is not None and group.newest is not None and group.newest < first:
                continue
            rows = file.read_row_group(group.number, columns=columns, use_threads=False)
            rows = _cut_ids(rows, group, shard)
            if first is not None and (group.oldest is None or group.oldest < first):
                moment = pa.scalar(first, rows.schema.field("timestamp").type)
                rows = rows.filter(pc.greater_equal(rows["timestamp"], moment))
            if rows.num_rows:
                yield rows


def _cut_ids(rows: pa.Table, group: RowGroup, shard: Shard) -> pa.Table:
    """Return the rows whose ids belong to the shard."""
    inside = (shard.start is None or (group.least or "") >= shard.start) and (
        shard.end is None or (group.greatest is not None and group.greatest < shard.end)
    )
    if inside:
        return rows
    ids = rows[KEY].cast(pa.string())
    marks = pa.array(np.ones(rows.num_rows, dtype=bool))
    if shard.start is not None:
        marks = pc.and_(marks, pc.greater_equal(ids, shard.start))
    if shard.end is not None:
        marks = pc.and_(marks, pc.less(ids, shard.end))
    return rows.filter(marks)


def _find_last_series(tables: list[pa.Table]) -> int:
    """Return at which row of some tables, one after the other, their last series begins."""
    last = tables[-1][KEY][-1].as_py()
    begin = sum(int(table.num_rows) for table in tables)
    for table in reversed(tables):
        for chunk in reversed(table[KEY].chunks):
            place = pc.index(chunk.dictionary, last).as_py()
            own = np.flatnonzero(chunk.indices.to_numpy() != place)
            begin -= len(chunk) if not len(own) else len(chunk) - 1 - int(own[-1])
            if len(own):
                return begin
    return begin


def read_series(
    folder: Path, columns: list[str], ids: Collection[str], first: int | None = None
) -> pa.Table:
    """Read the rows of few series, a row group at a time.

    Args:
        folder: of the table.
        columns: columns wanted.
        ids: of the series.
        first: moment of the first row wanted (microseconds UTC); all without it.
    """
    wanted = pa.array(sorted(ids), pa.string())
    least, greatest = wanted[0].as_py(), wanted[-1].as_py()
    found: list[pa.Table] = []
    schema: Any = None
    for part in list_parts(folder):
        file = pq.ParquetFile(part, pre_buffer=False)
        schema = schema or pa.schema([file.schema_arrow.field(name) for name in columns])
        for group in describe_groups(part.name, file.metadata):
            apart = (group.greatest or greatest) < least or (group.least or least) > greatest
            if apart or (first is not None and group.newest is not None and group.newest < first):
                continue
            rows = file.read_row_group(group.number, columns=columns, use_threads=False)
            marks = pc.is_in(rows[KEY], wanted)
            if first is not None:
                moment = pa.scalar(first, rows.schema.field("timestamp").type)
                marks = pc.and_(marks, pc.greater_equal(rows["timestamp"], moment))
            found.append(rows.filter(marks))
    return pa.concat_tables(found) if found else schema.empty_table()


def read_future_of(folder: Path, start: str | None, end: str | None) -> pa.Table | None:
    """Read the known covariates after the cutoff of the ids `start <= id < end`.

    Returns:
        The rows; None when the table has none.
    """
    path = folder / FUTURE
    if not path.exists():
        return None
    wanted = [(KEY, ">=", start)] if start is not None else []
    wanted += [(KEY, "<", end)] if end is not None else []
    return pq.read_table(path, filters=wanted or None, partitioning=None, pre_buffer=False)

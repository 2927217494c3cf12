"""Rows of any number sorted by series and time in bounded memory, one row a step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqmodel.errors import DataError

MEMORY_LIMIT = "512MB"
SORTED_ROWS = 65_536
#: Where a row came from, carried through the sort: number of the file, number of the row in it.
ORIGIN = [pa.field("__file", pa.int32()), pa.field("__row", pa.int64())]


@final
class Sorter:
    """Takes batches in any order, gives them back sorted; spills to a folder.

    Args:
        folder: an existing folder for the spilled rows.
        schema: canonical columns, `series_id` and `timestamp` first.
    """

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self.schema = pa.schema([f.with_nullable(True) for f in [*schema, *ORIGIN]])
        self._duck = duckdb.connect(str(folder / "rows.duckdb"))
        self._duck.execute("SET memory_limit = ?", [MEMORY_LIMIT])
        self._duck.execute("SET temp_directory = ?", [str(folder / "spill")])
        self._duck.execute("SET preserve_insertion_order = false")
        self._duck.execute("SET TimeZone = 'UTC'")
        self._duck.register("incoming", self.schema.empty_table())
        self._duck.execute("CREATE TABLE rows AS SELECT * FROM incoming")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._duck.close()

    def add(self, rows: pa.RecordBatch) -> None:
        """Add canonical rows with their origin."""
        if rows.num_rows:
            self._duck.register("incoming", pa.Table.from_batches([rows]))
            self._duck.execute("INSERT INTO rows SELECT * FROM incoming")

    def read(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows sorted by series, time and origin."""
        # With it off, DuckDB 2.0 hands sorted blocks over in any order.
        self._duck.execute("SET preserve_insertion_order = true")
        rows = self._duck.sql(
            "SELECT * FROM rows ORDER BY series_id, timestamp, __file, __row"
        )
        for batch in rows.to_arrow_reader(SORTED_ROWS):
            yield batch.cast(self.schema)


@final
class Resolver:
    """Keeps one row for each series and moment of a sorted stream.

    Args:
        policy: which of several rows stays: the first or last by file and row, or none at all.
        files: number of source files.
    """

    def __init__(self, policy: Literal["last", "first", "refuse"], files: int) -> None:
        self._policy = policy
        self.kept = np.zeros(files, dtype=np.int64)
        self.dropped = np.zeros(files, dtype=np.int64)

    def resolve(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the rows that stay, without their origin.

        Raises:
            DataError: under `refuse`, at the first pair.
        """
        carried: pa.RecordBatch | None = None
        for batch in batches:
            both = batch if carried is None else pa.concat_batches([carried, batch])
            group = _last_group(both)
            yield from self._choose(both.slice(0, group))
            carried = both.slice(group)
        if carried is not None:
            yield from self._choose(carried)

    def _choose(self, rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        if not rows.num_rows:
            return
        same = _same_as_before(rows)
        if self._policy == "refuse" and same.any():
            where = int(np.argmax(same))
            raise DataError(
                f"found series {rows['series_id'][where].as_py()!r} twice at"
                f" {rows['timestamp'][where].as_py():%Y-%m-%dT%H:%M:%SZ}, needed one row a step;"
                " remove one of them or set source.duplicates to last or first"
            )
        keep = ~same if self._policy == "first" else ~np.append(same[1:], False)
        origin = rows["__file"].to_numpy()
        self.kept += np.bincount(origin[keep], minlength=len(self.kept))
        self.dropped += np.bincount(origin[~keep], minlength=len(self.dropped))
        chosen = rows if keep.all() else rows.filter(pa.array(keep))
        yield chosen.select(chosen.schema.names[: -len(ORIGIN)])


def _same_as_before(rows: pa.RecordBatch) -> np.ndarray:
    """Return which rows have the series and time of the row before."""
    same = np.zeros(rows.num_rows, dtype=bool)
    if rows.num_rows > 1:
        a, b = rows.slice(0, rows.num_rows - 1), rows.slice(1)
        equal = pc.and_(
            pc.equal(a["series_id"], b["series_id"]), pc.equal(a["timestamp"], b["timestamp"])
        )
        same[1:] = equal.to_numpy(zero_copy_only=False)
    return same


def _last_group(rows: pa.RecordBatch) -> int:
    """Return where the last run of equal series and time begins: it may go on in the next batch."""
    fresh = np.flatnonzero(~_same_as_before(rows))
    return int(fresh[-1])

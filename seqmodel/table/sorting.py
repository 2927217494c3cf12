"""Rows of any number sorted by series and time in bounded memory, one row a step."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from seqmodel.errors import DataError, StoreError

Booleans = NDArray[np.bool_]
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
        self.schema = pa.schema([f.with_nullable(nullable=True) for f in [*schema, *ORIGIN]])
        self._duck = duckdb.connect(str(folder / "rows.duckdb"))
        self._duck.execute("SET memory_limit = ?", [MEMORY_LIMIT])
        self._duck.execute("SET temp_directory = ?", [str(folder / "spill")])
        self._duck.execute("SET preserve_insertion_order = false")
        self._duck.execute("SET TimeZone = 'UTC'")
        self._duck.register("incoming", self.schema.empty_table())
        self._duck.execute("CREATE TABLE rows AS SELECT * FROM incoming")
        self._stream: Generator[pa.RecordBatch, None, None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # An error keeps every frame on its way alive, and with them what they hold. A connection
        # that outlives the interpreter makes DuckDB print pages about leaks.
        if self._stream is not None:
            self._stream.close()
        self._duck.close()
        del self._duck

    def add(self, rows: pa.RecordBatch) -> None:
        """Add canonical rows with their origin.

        Raises:
            DataError: if a text is not UTF-8.
            StoreError: if there is no room to spill to.
        """
        if not rows.num_rows:
            return
        try:
            self._duck.register("incoming", pa.Table.from_batches([rows]))
            self._duck.execute("INSERT INTO rows SELECT * FROM incoming")
        except duckdb.InvalidInputException as error:
            raise DataError(
                f"found rows that cannot be sorted ({_shorten(error)}), needed text in UTF-8; write"
                " the source again"
            ) from None
        except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
            raise _no_room(error) from None

    def read(self) -> Iterator[pa.RecordBatch]:
        """Return all rows sorted by series, time and origin; ends with the `with` block."""
        self._stream = self._read()
        return self._stream

    def _read(self) -> Generator[pa.RecordBatch, None, None]:
        # With it off, DuckDB 2.0 hands sorted blocks over in any order.
        self._duck.execute("SET preserve_insertion_order = true")
        try:
            rows = self._duck.sql("SELECT * FROM rows ORDER BY series_id, timestamp, __file, __row")
            for batch in rows.to_arrow_reader(SORTED_ROWS):
                yield batch.cast(self.schema)
        except (duckdb.IOException, duckdb.OutOfMemoryException, pa.ArrowException) as error:
            raise _no_room(error) from None


@final
class Resolver:
    """Keeps one row for each series and moment of a sorted stream.

    Args:
        policy: which of several rows stays: the first or last by file and row, or none at all.
        files: number of source files.
    """

    def __init__(self, policy: Literal["last", "first", "mean", "refuse"], files: int) -> None:
        self._policy = policy
        self.kept = np.zeros(files, dtype=np.int64)
        self.dropped = np.zeros(files, dtype=np.int64)

    def resolve(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the rows that stay, without their origin.

        Raises:
            DataError: under `refuse`, at the first pair.
            StoreError: if the rows are not sorted: their duplicates would stay unseen, and readers
                that look for a series where it should be would not find it.
        """
        carried: pa.RecordBatch | None = None
        for batch in batches:
            both = batch if carried is None else pa.concat_batches([carried, batch])
            if not both.num_rows:
                continue
            same = _same_as_before(both)
            # The last run of equal rows may go on in the next batch.
            group = int(np.flatnonzero(~same)[-1])
            yield from self._choose(both.slice(0, group), same[:group])
            carried = both.slice(group)
        if carried is not None:
            yield from self._choose(carried, _same_as_before(carried))

    def _choose(self, rows: pa.RecordBatch, same: Booleans) -> Iterator[pa.RecordBatch]:
        if not rows.num_rows:
            return
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


def _same_as_before(rows: pa.RecordBatch) -> Booleans:
    """Return which rows have the series and time of the row before.

    Raises:
        StoreError: if a row comes before the one above it.
    """
    same = np.zeros(rows.num_rows, dtype=bool)
    above, below = rows.slice(0, rows.num_rows - 1), rows.slice(1)
    ids = above["series_id"], below["series_id"]
    times = above["timestamp"], below["timestamp"]
    one = pc.equal(*ids)
    falls = pc.or_(pc.greater(*ids), pc.and_(one, pc.greater(*times)))
    if pc.any(falls).as_py():
        raise StoreError(
            "found the sorted rows out of order, needed them by series and time; report this as a"
            " bug of the sort, nothing was published"
        )
    same[1:] = pc.and_(one, pc.equal(*times)).to_numpy(zero_copy_only=False)
    return same


def _no_room(error: Exception) -> StoreError:
    return StoreError(
        f"found no room to sort the rows ({_shorten(error)}), needed about the size of the table"
        " free below the data root; free some or name another by --data-root"
    )


def _shorten(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200].rstrip(".")

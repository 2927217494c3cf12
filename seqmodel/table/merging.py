"""The sound rows of all files, sorted by series and time in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from glob import escape
from pathlib import Path
from types import TracebackType
from typing import Self, final

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqmodel.errors import DataError, StoreError
from seqmodel.table.resolving import ORIGIN

MEMORY_LIMIT = "512MB"
SORTED_ROWS = 65_536
#: Columns have plain names on disk: a source may call its own whatever DuckDB uses itself.
ROW = "r"


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Return the columns of cleaned rows on disk: `c0, c1, ...` and the number of the row."""
    fields = [pa.field(f"c{i}", f.type) for i, f in enumerate(schema)]
    return pa.schema([*fields, pa.field(ROW, pa.int64())])


@final
class Merger:
    """Reads the cleaned files of a source as one stream.

    Args:
        folder: an existing folder to spill to.
        paths: cleaned rows of each file, in the order of the files.
        schema: canonical columns, `series_id` and `timestamp` first.
    """

    def __init__(self, folder: Path, paths: list[Path], schema: pa.Schema) -> None:
        self.schema = pa.schema([f.with_nullable(nullable=True) for f in [*schema, *ORIGIN]])
        self._canonical = schema
        self._files = len(paths)
        # DuckDB takes every path for a pattern.
        self._paths = [escape(str(path)) for path in paths]
        self._duck = duckdb.connect()
        self._duck.execute("SET memory_limit = ?", [MEMORY_LIMIT])
        self._duck.execute("SET temp_directory = ?", [str(folder / "spill")])
        self._duck.execute("SET TimeZone = 'UTC'")
        # With it off, DuckDB 2.0 hands sorted blocks over in any order.
        self._duck.execute("SET preserve_insertion_order = true")

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
        self._duck.close()
        del self._duck

    def count(self, last: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Count the rows of each file, up to a moment and after it.

        Args:
            last: (microseconds UTC).
        """
        found = self._ask(
            "SELECT file_index, count(*) FILTER (epoch_us(c1) <= $last) AS upto, count(*) AS all_"
            " FROM read_parquet($paths) GROUP BY file_index",
            {"last": last},
        ).to_arrow_table()
        upto, total = np.zeros((2, self._files), dtype=np.int64)
        where = found["file_index"].to_numpy().astype(np.int64)
        upto[where] = found["upto"].to_numpy()
        total[where] = found["all_"].to_numpy()
        return upto, total - upto

    def read(self, last: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows up to a moment with their origin, sorted by series, time and origin.

        Args:
            last: (microseconds UTC).
        """
        rows = self._ask(
            f"SELECT * EXCLUDE ({ROW}), file_index::INTEGER AS f, {ROW}"  # noqa: S608 - a constant
            " FROM read_parquet($paths) WHERE epoch_us(c1) <= $last"
            f" ORDER BY c0, c1, f, {ROW}",
            {"last": last},
        )
        try:
            for batch in rows.to_arrow_reader(SORTED_ROWS):
                columns = [c.cast(f.type) for c, f in zip(batch.columns, self.schema, strict=True)]
                yield pa.RecordBatch.from_arrays(columns, schema=self.schema)
        except duckdb.Error as error:
            raise _explain(error) from None

    def read_after(self, last: int, reach: int, columns: list[str]) -> pa.Table:
        """Return some columns of the rows between two moments, in the order of the files.

        Args:
            last: rows after this (microseconds UTC).
            reach: and up to this (microseconds UTC).
            columns: canonical names.
        """
        places = [self._canonical.get_field_index(name) for name in columns]
        names = ", ".join(f"c{i}" for i in places)
        found = self._ask(
            f"SELECT {names} FROM read_parquet($paths)"  # noqa: S608 - our own names
            " WHERE epoch_us(c1) > $last AND epoch_us(c1) <= $reach"
            f" ORDER BY file_index, {ROW}",
            {"last": last, "reach": reach},
        ).to_arrow_table()
        fields = [self.schema.field(i) for i in places]
        arrays = [c.cast(f.type) for c, f in zip(found.columns, fields, strict=True)]
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields))

    def _ask(self, query: str, values: dict[str, int]) -> duckdb.DuckDBPyRelation:
        try:
            return self._duck.sql(query, params={"paths": self._paths, **values})
        except duckdb.Error as error:
            raise _explain(error) from None


def _explain(error: duckdb.Error) -> DataError | StoreError:
    reason = str(error).splitlines()[0][:160]
    if isinstance(error, duckdb.InvalidInputException):
        return DataError(
            f"found rows that cannot be sorted ({reason}), needed text in UTF-8; write the column"
            " again"
        )
    return StoreError(
        f"found no way to sort the rows ({reason}), needed room to spill; free space below the data"
        " root"
    )

"""The rows of a canonical table in batches: as they are stored, or sorted where they are not.

Columns are read by their place in the file, never by a name pasted into SQL: neither a column nor
a series can be called something that changes a query.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seqmodel.specs import SourceSpec
from seqmodel.store.newest import read_groups
from seqmodel.store.parts import Shard
from seqmodel.table.columns import find_parts, read_names

MEMORY_LIMIT = "512MB"
THREADS = 2
#: Rows in a batch.
BATCH = 262_144
MOMENT = pa.timestamp("us", tz="UTC")
REQUIRED = ("series_id", "timestamp", "target")


def stream_rows(folder: Path, source: SourceSpec) -> Iterator[pa.RecordBatch]:
    """Yield the rows as stored: ids as a dictionary, UTC microseconds, doubles, and covariates.

    A covariate that the footer of a part calls complete is left out of the part's batches.

    Raises:
        SourceError: if there is no part, or a column is missing.
    """
    read_names(folder, source)
    for part in find_parts(folder):
        # The whole file ahead costs three times the memory.
        with pq.ParquetFile(part, pre_buffer=False, read_dictionary=["series_id"]) as file:
            lacking = [name for name in source.covariates if not _is_complete(file, name)]
            for batch in file.iter_batches(BATCH, columns=[*REQUIRED, *lacking]):
                yield _unify(batch, of_classes=source.of_classes)


def stream_shard(folder: Path, source: SourceSpec, shard: Shard) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a shard's series as `stream_rows` does.

    Raises:
        SourceError: if there is no part, or a column is missing.
    """
    read_names(folder, source)
    for rows in read_groups(folder, shard, [*REQUIRED, *source.covariates]):
        for batch in rows.to_batches():
            yield _unify(batch, of_classes=source.of_classes)


def _is_complete(file: pq.ParquetFile, name: str) -> bool:
    """Whether the footer says that a column has no null."""
    number = file.schema_arrow.names.index(name)
    if file.schema.column(number).path != name:  # a nested column shifts the leaves
        return False
    for group in range(file.num_row_groups):
        known = file.metadata.row_group(group).column(number).statistics
        if known is None or not known.has_null_count or known.null_count:
            return False
    return True


def _unify(batch: pa.RecordBatch, *, of_classes: bool) -> pa.RecordBatch:
    ids, moments, targets = (batch[name] for name in REQUIRED)
    if not pa.types.is_dictionary(ids.type):
        ids = ids.cast(pa.string()).dictionary_encode()
    covariates = [name for name in batch.schema.names if name not in REQUIRED]
    if of_classes:
        # Of a class only whether there is one can be counted as a number.
        targets = pc.if_else(targets.is_valid(), 0.0, None)
    columns = [ids, moments.cast(MOMENT), targets.cast(pa.float64())]
    return pa.record_batch(
        [*columns, *(batch[name] for name in covariates)], names=[*REQUIRED, *covariates]
    )


def stream_sorted(folder: Path, source: SourceSpec) -> Iterator[pa.RecordBatch]:
    """Yield the same rows sorted by series and time, in bounded memory; nulls come last.

    Of the covariates it is only known which are null.
    """
    with _open(folder, source) as duck:
        there = "".join(
            f", CASE WHEN c{i} NOTNULL THEN 1 END" for i in range(len(source.covariates))
        )
        query = f"SELECT s, t, y{there} FROM canonical ORDER BY s NULLS LAST, t NULLS LAST, y"  # noqa: S608 - our own aliases
        names = [*REQUIRED, *source.covariates]
        for batch in duck.sql(query).to_arrow_reader(BATCH):
            yield _unify(pa.record_batch(batch.columns, names=names), of_classes=source.of_classes)


@contextmanager
def _open(folder: Path, source: SourceSpec) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a connection with the view `canonical`: s, t, y and the covariates c0, c1, ..."""
    alias = {"series_id": "s", "timestamp": "t", "target": "y"}
    alias |= {name: f"c{i}" for i, name in enumerate(source.covariates)}
    names = read_names(folder, source)
    listed = ", ".join(alias.get(name, f"other{i}") for i, name in enumerate(names))
    # DuckDB expands wildcards in file names, and without word would read `a=1` as a column.
    files = [escape(str(part)) for part in find_parts(folder)]
    limits: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY_LIMIT,
        "threads": THREADS,
    }
    with (
        tempfile.TemporaryDirectory(prefix="profile-") as spill,
        duckdb.connect(config=limits) as duck,
    ):
        duck.execute("SET temp_directory = ?", [spill])
        duck.execute("SET TimeZone = 'UTC'")
        duck.read_parquet(files, hive_partitioning=False).create_view("stored")
        duck.execute(f"CREATE TEMP VIEW canonical AS SELECT * FROM stored AS t({listed})")  # noqa: S608 - our own aliases
        yield duck


def count_unsorted(batches: Iterator[pa.RecordBatch]) -> Counter[str | None]:
    """Return how many rows of each series belong above the row before.

    Rows without a timestamp have no place, and are passed over.
    """
    found: Counter[str | None] = Counter()
    last: pa.Table | None = None
    for batch in batches:
        moments = batch["timestamp"]
        ids = batch["series_id"].cast(pa.string())
        rows = pa.table({"s": ids, "t": moments}).filter(pc.is_valid(moments))
        both = rows if last is None else pa.concat_tables([last, rows])
        if not both.num_rows:
            continue
        above, below = both.slice(0, both.num_rows - 1), both.slice(1)
        same = pc.or_(
            pc.fill_null(pc.equal(above["s"], below["s"]), fill_value=False),
            pc.and_(pc.is_null(above["s"]), pc.is_null(below["s"])),
        )
        lower = pc.fill_null(pc.less(below["s"], above["s"]), fill_value=False)
        falls = pc.or_(lower, pc.and_(same, pc.less(below["t"], above["t"])))
        found.update(below["s"].filter(falls).to_pylist())
        last = both.slice(both.num_rows - 1)
    return found

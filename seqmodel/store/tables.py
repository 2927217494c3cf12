"""Canonical tables and quarantines as Parquet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from seqmodel.errors import StoreError
from seqmodel.store.fingerprints import SHORT, digest_folder, digest_value
from seqmodel.store.folders import make_folder
from seqmodel.store.refs import TableRef
from seqmodel.store.store import Store

#: Rows in a row group: small enough that one series' newest rows are found by its statistics.
ROW_GROUP = 65_536
#: Rows in a part file.
PART = 4_194_304
FUTURE = "future.parquet"


def write_parts(folder: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write sorted rows as `part-00000.parquet`, `part-00001.parquet`, ...

    The files depend on the rows alone, not on how they are cut into batches.

    Args:
        folder: where the parts go; made when missing.
        schema: columns of every batch.
        batches: rows, already in the order of the table.

    Returns:
        Rows written.
    """
    make_folder(folder)
    total, number = 0, 0
    writer = open_writer(folder / "part-00000.parquet", schema)
    try:
        for group in _regroup(batches, schema):
            if total >= PART * (number + 1):
                writer.close()
                number += 1
                writer = open_writer(folder / f"part-{number:05d}.parquet", schema)
            writer.write_table(group, row_group_size=ROW_GROUP)
            total += group.num_rows
    finally:
        writer.close()
    return total


def _regroup(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows in pieces of one row group, the last one shorter."""
    rows = schema.empty_table()
    for batch in batches:
        fresh = pa.RecordBatch.from_arrays(batch.columns, schema=schema)
        rows = pa.concat_tables([rows, pa.Table.from_batches([fresh])])
        while rows.num_rows >= ROW_GROUP:
            yield rows.slice(0, ROW_GROUP).combine_chunks()
            rows = rows.slice(ROW_GROUP)
    if rows.num_rows:
        yield rows.combine_chunks()


def write_future(folder: Path, rows: pa.Table | None) -> int:
    """Write the rows of known covariates after the cutoff beside the parts; return their number."""
    if rows is None:
        return 0
    write_table(folder / FUTURE, rows)
    return int(rows.num_rows)


def publish_quarantine(
    store: Store, pipeline: str, fingerprint: str, rows: pa.Table | None
) -> str | None:
    """Publish the rows set aside under the name of the table they are missing from.

    Args:
        store: the data root.
        pipeline: name of the pipeline.
        fingerprint: of the table.
        rows: the rows, None when there are none.

    Returns:
        The key, None without rows.
    """
    if rows is None:
        return None
    key = f"{pipeline}/quarantine/{fingerprint[:SHORT]}.parquet"
    with store.workshop(pipeline) as shop:
        draft = shop / "quarantine.parquet"
        write_table(draft, rows)
        store.move_file(draft, key)
    return key


def open_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Open a Parquet writer with the settings of every file of the store."""
    return pq.ParquetWriter(path, schema, compression="zstd", write_statistics=True)


def write_table(path: Path, table: pa.Table) -> None:
    """Write one small table as one file."""
    with open_writer(path, table.schema) as writer:
        writer.write_table(table, row_group_size=ROW_GROUP)


def fingerprint_table(folder: Path) -> str:
    """Return the fingerprint of a table: sha256 over the sha256 of its files."""
    return digest_value(digest_folder(folder))


def table_key(pipeline: str, fingerprint: str) -> str:
    """Return the key of the table with this fingerprint."""
    return f"{pipeline}/tables/{fingerprint[:SHORT]}"


def publish_table(store: Store, ref: TableRef) -> None:
    """Move a judged table from staging to `tables/`; nothing happens if it is there already.

    Raises:
        StoreError: if the files are gone, or are not those that were judged.
    """
    place = store.path(ref.key)
    if place.exists():
        return
    folder = store.find(ref.key)
    if fingerprint_table(folder) != ref.fingerprint:
        raise StoreError(
            f"found the staged table {folder} changed since it was cleaned, needed fingerprint"
            f" {ref.fingerprint[:SHORT]}; remove the folder and run again"
        )
    store.publish(folder, ref.key)


def list_parts(folder: Path) -> list[Path]:
    """Return the parts of a table, in order."""
    return sorted(folder.glob("part-*.parquet"))


def read_rows(folder: Path, columns: list[str], *, first: pa.Scalar | None = None) -> pa.Table:
    """Read columns of a table, sorted as stored.

    Args:
        folder: the table's folder.
        columns: columns wanted.
        first: when given, only row groups that may hold timestamps from here on are read, and only
            those rows are returned.

    Raises:
        StoreError: if the table has no part.
    """
    filters = None if first is None else [("timestamp", ">=", first)]
    parts = list_parts(folder)
    if not parts:
        raise StoreError(
            f"found no part-*.parquet in {folder}, needed a canonical table; run again"
        )
    # Without partitioning=None a data root below `env=prod` would add a column.
    return pq.read_table(
        parts, columns=columns, filters=filters, pre_buffer=False, partitioning=None
    )


def read_future(folder: Path) -> pa.Table | None:
    """Read the rows of known covariates after the cutoff; None when the table has none."""
    path = folder / FUTURE
    return pq.read_table(path, partitioning=None) if path.exists() else None

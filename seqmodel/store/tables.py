"""Canonical tables and quarantines as Parquet."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from seqmodel.errors import StoreError
from seqmodel.store.fingerprints import SHORT, digest_folder, digest_value
from seqmodel.store.refs import TableRef
from seqmodel.store.store import Store

#: Rows in a row group: small enough that one series' newest rows are found by its statistics.
ROW_GROUP = 65_536
#: Rows in a part file.
PART = 4_194_304
FUTURE = "future.parquet"


def write_parts(folder: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write sorted rows as `part-00000.parquet`, `part-00001.parquet`, ...

    Args:
        folder: an existing folder.
        schema: columns of every batch.
        batches: rows, already in the order of the table.

    Returns:
        Rows written.
    """
    total, inside, number = 0, 0, 0
    writer: pq.ParquetWriter | None = None
    try:
        for batch in batches:
            if writer is None or inside >= PART:
                if writer is not None:
                    writer.close()
                writer = open_writer(folder / f"part-{number:05d}.parquet", schema)
                number, inside = number + 1, 0
            rows = pa.RecordBatch.from_arrays(batch.columns, schema=schema)
            writer.write_batch(rows, row_group_size=ROW_GROUP)
            inside += batch.num_rows
            total += batch.num_rows
        if writer is None:
            writer = open_writer(folder / "part-00000.parquet", schema)
    finally:
        if writer is not None:
            writer.close()
    return total


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
    """
    filters = None if first is None else [("timestamp", ">=", first)]
    return pq.read_table(list_parts(folder), columns=columns, filters=filters, pre_buffer=False)


def read_future(folder: Path) -> pa.Table | None:
    """Read the rows of known covariates after the cutoff; None when the table has none."""
    path = folder / FUTURE
    return pq.read_table(path) if path.exists() else None

"""The source as it lies there: its files, what they look like, and their rows in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from seqmodel.errors import SourceError
from seqmodel.specs import SourceSpec
from seqmodel.store.fingerprints import CHUNK, digest_value
from seqmodel.store.refs import FileStamp, SourceRef
from seqmodel.table.listing import list_files
from seqmodel.table.schemas import check_columns, check_kinds, read_keys, unite_schemas
from seqmodel.table.sources import Place, find_place, shorten

__all__ = [
    "check_columns",
    "check_kinds",
    "is_unchanged",
    "list_files",
    "look_at",
    "observe_schema",
    "open_file",
    "read_batches",
]

BATCH_ROWS = 131_072
#: Values in a batch: what bounds the rows of a batch of a file of many columns.
BATCH_VALUES = 2**20
#: Footers read at once: where the files are far away, each is a wait.
AT_ONCE = 16


def look_at(source: SourceSpec) -> SourceRef:
    """Recognise the source without reading it whole: sizes, times and Parquet footers.

    Raises:
        SourceError: if a file is missing, out of reach, truncated or not Parquet, or its columns
            fit neither the spec nor the other files.
    """
    uris = list_files(source.uri)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(_stamp, uris))
    unite_schemas(((stamp.uri, schema) for stamp, schema in found), source)
    stamps = tuple(stamp for stamp, _ in found)
    return SourceRef(
        uri=source.uri,
        fingerprint=digest_value([[s.uri, s.digest] for s in stamps]),
        files=stamps,
    )


def observe_schema(files: Iterable[str | Path], source: SourceSpec) -> pa.Schema:
    """Return the columns of all files together, as `unite_schemas` does.

    Raises:
        SourceError: as `look_at`.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return unite_schemas(pool.map(_read_schema, files), source)


def _read_schema(path: str | Path) -> tuple[str | Path, pa.Schema]:
    with open_file(path) as file:
        return path, file.schema_arrow


def is_unchanged(stamp: FileStamp) -> bool:
    """Whether a file is still the one that was looked at: size, time and footer.

    Raises:
        SourceError: if it is gone or cannot be read any more.
    """
    return _stamp(stamp.uri)[0] == stamp


def _stamp(uri: str) -> tuple[FileStamp, pa.Schema]:
    place = find_place(uri)
    with place.explaining():
        modified = place.system.get_file_info(place.path).mtime_ns or 0
        raw = place.system.open_input_file(place.path)
    with raw, _open_parquet(place, raw) as file, place.explaining():
        size, rows = raw.size(), file.metadata.num_rows
        footer = min(file.metadata.serialized_size + 8, size, 16 * CHUNK)
        tail = raw.read_at(footer, size - footer).hex()
        digest = digest_value([size, modified, tail])
        return FileStamp(uri=uri, size=size, rows=rows, digest=digest), file.schema_arrow


def open_file(path: str | Path) -> pq.ParquetFile:
    """Open one Parquet file, by path or URL, for streaming.

    Raises:
        SourceError: if it cannot be read as Parquet.
    """
    place = find_place(path)
    return _open_parquet(place, None)


def _open_parquet(place: Place, raw: pa.NativeFile | None) -> pq.ParquetFile:
    try:
        with place.explaining():
            return pq.ParquetFile(
                place.path if raw is None else raw,
                filesystem=place.system if raw is None else None,
                # Without pre_buffer a stream holds one batch, not all row groups read so far.
                pre_buffer=False,
                # Spark's and Impala's old timestamps reach further than nanoseconds do.
                coerce_int96_timestamp_unit="us",
                # Where a page carries a checksum, a flipped bit is an error and no value.
                page_checksum_verification=True,
            )
    except (pa.ArrowException, OSError, EOFError) as error:
        raise SourceError(
            f"found {place.name(place.path)} ({_measure(place)} bytes) unreadable as Parquet"
            f" ({shorten(error)}), needed a whole Parquet file; write the file again or take it out"
            " of the source"
        ) from None


def _measure(place: Place) -> str:
    with place.explaining():
        size = place.system.get_file_info(place.path).size
    return "0" if size is None else f"{size:,}"


def read_batches(path: str | Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of one file in batches, in the file's order.

    The keys of its folders (`key=value`) come as columns of text, where the file has none of that
    name.

    Args:
        path: path or URL.
        columns: those to read; by default all.

    Raises:
        SourceError: if the file turns out damaged on the way.
    """
    place = find_place(path)
    with open_file(path) as file:
        names = file.schema_arrow.names
        inside = names if columns is None else [name for name in columns if name in names]
        keys = {k: v for k, v in read_keys(path).items() if k not in names}
        rows = max(1, min(BATCH_ROWS, BATCH_VALUES // max(1, len(inside) + len(keys))))
        try:
            with place.explaining():
                wanted = None if columns is None else inside
                for batch in file.iter_batches(batch_size=rows, columns=wanted):
                    whole = _append_keys(_without_views(batch), keys)
                    yield whole if columns is None else whole.select(columns)
        except (pa.ArrowException, OSError) as error:
            raise SourceError(
                f"found {path} damaged inside ({shorten(error)}), needed a whole Parquet file;"
                " write the file again or take it out of the source"
            ) from None


def _without_views(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch with plain strings: for views Arrow can neither filter nor take."""
    for i, field in enumerate(batch.schema):
        plain = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}.get(field.type)
        if plain is not None:
            batch = batch.set_column(i, field.with_type(plain), batch.column(i).cast(plain))
    return batch


def _append_keys(batch: pa.RecordBatch, keys: dict[str, str | None]) -> pa.RecordBatch:
    for name, value in keys.items():
        batch = batch.append_column(
            pa.field(name, pa.string()), pa.repeat(pa.scalar(value, pa.string()), batch.num_rows)
        )
    return batch

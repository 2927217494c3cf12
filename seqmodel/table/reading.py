"""The source as it lies there: its files, what they look like, and their rows in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from glob import glob, has_magic
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from seqmodel.errors import SourceError
from seqmodel.specs import SourceSpec
from seqmodel.store.fingerprints import CHUNK, digest_value
from seqmodel.store.refs import FileStamp, SourceRef

BATCH_ROWS = 131_072
#: Column names that an error lists at most.
SHOWN = 20
SUFFIXES = {".parquet", ".pq", ".parq"}


def list_files(uri: str) -> list[Path]:
    """Return the Parquet files that `uri` means, sorted by path.

    In a folder, names that begin with a dot or an underscore are passed over, as everywhere in the
    Parquet world: writers keep half-written files there.

    Raises:
        SourceError: if there is none.
    """
    root = Path(uri)
    if root.is_dir():
        found = (p for p in root.rglob("*") if p.is_file() and p.suffix.lower() in SUFFIXES)
        files = sorted(p for p in found if not _is_hidden(p.relative_to(root)))
        what = "no Parquet file in the folder"
    elif has_magic(uri) and not root.exists():  # a file may have brackets in its name
        files = sorted(p for p in map(Path, glob(uri, recursive=True)) if p.is_file())  # noqa: PTH207 - a whole pattern, rooted anywhere
        what = "no file that matches"
    else:
        files = [root] if root.is_file() else []
        what = "no file at"
    if not files:
        raise SourceError(
            f"found {what} {uri}, needed Parquet to read; correct source.uri or bring the data"
        )
    return files


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def look_at(source: SourceSpec) -> SourceRef:
    """Recognise the source without reading it whole: sizes, times and Parquet footers.

    Raises:
        SourceError: if a file is missing, truncated or not Parquet, or lacks a column.
    """
    stamps = []
    for path in list_files(source.uri):
        with open_file(path) as file:
            check_columns(path, file.schema_arrow, source)
            status = path.stat()
            footer = _read_tail(path, file.metadata.serialized_size + 8)
            digest = digest_value([status.st_size, status.st_mtime_ns, footer])
            stamps.append(
                FileStamp(
                    uri=str(path), size=status.st_size, rows=file.metadata.num_rows, digest=digest
                )
            )
    return SourceRef(
        uri=source.uri,
        fingerprint=digest_value([[s.uri, s.digest] for s in stamps]),
        files=tuple(stamps),
    )


def _read_tail(path: Path, size: int) -> str:
    with path.open("rb") as file:
        file.seek(-min(size, path.stat().st_size, 16 * CHUNK), 2)
        return file.read().hex()


def open_file(path: Path) -> pq.ParquetFile:
    """Open one Parquet file for streaming.

    Raises:
        SourceError: if it cannot be read as Parquet.
    """
    try:
        # Without pre_buffer a stream holds one batch, not all row groups read so far.
        return pq.ParquetFile(path, pre_buffer=False)
    except PermissionError:
        raise SourceError(
            f"found {path} not readable, needed the permission to read it; change its mode"
        ) from None
    except FileNotFoundError:
        raise SourceError(
            f"found {path} gone since the source was listed, needed it to stay while it is read;"
            " run again"
        ) from None
    except (pa.ArrowException, OSError, EOFError) as error:
        raise SourceError(
            f"found {path} ({path.stat().st_size:,} bytes) unreadable as Parquet"
            f" ({_shorten(error)}), needed a whole Parquet file; write the file again or take it"
            " out of the source"
        ) from None


def read_batches(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of one file in batches, in the file's order.

    Raises:
        SourceError: if the file turns out damaged on the way.
    """
    with open_file(path) as file:
        try:
            yield from file.iter_batches(batch_size=BATCH_ROWS, columns=columns)
        except (pa.ArrowException, OSError) as error:
            raise SourceError(
                f"found {path} damaged inside ({_shorten(error)}), needed a whole Parquet file;"
                " write the file again or take it out of the source"
            ) from None


def check_columns(path: Path, schema: pa.Schema, source: SourceSpec) -> None:
    """Check that a file has the declared columns in usable types.

    Raises:
        SourceError: naming file, column, type found and type needed.
    """
    for name in (*source.series_id, source.timestamp, source.target, *source.covariates):
        times = schema.names.count(name)
        if times != 1:
            found = f"{times} columns" if times else "no column"
            raise SourceError(
                f"found {found} {name!r} in {path} (it has {_list_names(schema.names)}), needed one"
                " as declared under source; correct the name in the spec or the file"
            )
    _check_type(path, schema, source.timestamp, _is_time, "a timestamp or date")
    _check_type(path, schema, source.target, _is_number, "a number")
    for name in (*source.series_id, *source.covariates):
        _check_type(path, schema, name, _is_plain, "a number or a string")
    kind = value_type(schema.field(source.timestamp).type)
    if pa.types.is_timestamp(kind) and kind.tz is None and source.timezone is None:
        raise SourceError(
            f"found timestamps without a time zone in column {source.timestamp!r} of {path}, needed"
            " to know their zone; declare source.timezone, for instance UTC or Europe/Berlin"
        )


def check_kinds(path: Path, schema: pa.Schema, canonical: pa.Schema, source: SourceSpec) -> None:
    """Check that covariates are numbers where they are numbers in the first file.

    Raises:
        SourceError: naming file and column.
    """
    for name in source.covariates:
        kind = value_type(schema.field(name).type)
        if is_text(kind) and not is_text(canonical.field(name).type):
            raise SourceError(
                f"found column {name!r} of {path} to be {kind}, needed numbers as in the first file"
                " of the source; convert the column in one of them"
            )


def _list_names(names: list[str]) -> str:
    listed = ", ".join(repr(name) for name in names[:SHOWN])
    return listed if len(names) <= SHOWN else f"{listed} and {len(names) - SHOWN} more"


def _check_type(
    path: Path, schema: pa.Schema, name: str, test: Callable[[pa.DataType], bool], needed: str
) -> None:
    kind = value_type(schema.field(name).type)
    if not test(kind):
        raise SourceError(
            f"found column {name!r} of {path} to be {kind}, needed {needed}; convert the column or"
            " name another in the spec"
        )


def value_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values, whether or not they are stored as a dictionary."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_number(kind: pa.DataType) -> bool:
    test = pa.types
    return bool(
        test.is_integer(kind)
        or test.is_floating(kind)
        or test.is_decimal(kind)
        or test.is_boolean(kind)
    )


def is_text(kind: pa.DataType) -> bool:
    """Whether values of this type are strings."""
    test = pa.types
    return bool(test.is_string(kind) or test.is_large_string(kind) or test.is_string_view(kind))


def _is_plain(kind: pa.DataType) -> bool:
    return _is_number(kind) or is_text(kind)


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _shorten(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120].rstrip(".")

"""Each source file cleaned by itself, and only when it is new or has changed.

What becomes of a file does not depend on `as_of` nor on other files, so it is kept under a digest
of the file, of the knobs and of the code that made it.
"""

from __future__ import annotations

import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seqmodel.errors import SourceError
from seqmodel.specs import PipelineSpec, SourceSpec
from seqmodel.store.cleaned import ASIDE, CleanedWriter, cleaned_key, drop_others
from seqmodel.store.fingerprints import digest_code, digest_value
from seqmodel.store.refs import FileStamp, SourceRef
from seqmodel.store.store import Store
from seqmodel.table.cleaning import canonical_schema, clean_batch
from seqmodel.table.merging import plain_schema
from seqmodel.table.quarantine import set_aside
from seqmodel.table.reading import (
    check_columns,
    check_kinds,
    is_unchanged,
    observe_schema,
    open_file,
    read_batches,
)

log = logging.getLogger(__name__)
#: When a row set aside was observed, beside its original columns (microseconds UTC, or null).
MOMENT = "__moment"


def read_schema(source: SourceRef, spec: SourceSpec) -> pa.Schema:
    """Return the canonical columns of a source."""
    return canonical_schema(spec, observe_schema([stamp.uri for stamp in source.files], spec))


def clean_source(
    store: Store,
    pipeline: str,
    shop: Path,
    source: SourceRef,
    schema: pa.Schema,
    spec: PipelineSpec,
) -> list[Path]:
    """Clean the files that were not cleaned before.

    Args:
        store: the data root.
        pipeline: name of the pipeline.
        shop: a folder for files that are not kept.
        source: the files, as they were looked at.
        schema: canonical columns.
        spec: the pipeline.

    Returns:
        A folder for each file, in the order of the files.

    Raises:
        SourceError: if a file cannot be read or is not the one that was looked at.
    """
    if len(source.files) == 1:
        # All or nothing has changed: a copy would only take room.
        clean_file(shop / "cleaned", source.files[0], schema, spec)
        return [shop / "cleaned"]
    keys = []
    for number, stamp in enumerate(source.files):
        key = cleaned_key(pipeline, _digest(stamp, schema, spec))
        keys.append(key)
        if store.path(key).is_dir():
            continue
        log.info("cleaning file %d of %d: %s", number + 1, len(source.files), stamp.uri)
        clean_file(shop / "cleaned", stamp, schema, spec)
        store.publish(shop / "cleaned", key)
    drop_others(store, pipeline, keys)
    return [store.path(key) for key in keys]


def _digest(stamp: FileStamp, schema: pa.Schema, spec: PipelineSpec) -> str:
    knobs = spec.model_dump(mode="json", include={"source", "quality"})
    code = digest_code("seqmodel.table")
    return digest_value([stamp.uri, stamp.digest, str(schema), knobs, code])


def clean_file(folder: Path, stamp: FileStamp, schema: pa.Schema, spec: PipelineSpec) -> None:
    """Clean one file into a folder, batch by batch.

    Raises:
        SourceError: if it is not the file that was looked at.
    """
    path, row = stamp.uri, 0
    with open_file(path) as file:
        check_columns(path, file.schema_arrow, spec.source)
        check_kinds(path, file.schema_arrow, schema, spec.source)
    with CleanedWriter(folder, plain_schema(schema)) as writer:
        for batch in read_batches(path):
            cleaned = clean_batch(batch, schema, spec.source, spec.quality)
            origin = pa.array(row + cleaned.numbers)
            row += batch.num_rows
            sound = pa.RecordBatch.from_arrays(
                [*cleaned.rows.columns, origin], schema=plain_schema(schema)
            )
            broken = cleaned.reasons.is_valid()
            if pc.any(broken).as_py():
                moments = cleaned.rows["timestamp"].cast(pa.int64())
                aside = set_aside(cleaned.found, cleaned.reasons, stamp.uri, origin)
                writer.set_aside(aside.append_column(MOMENT, moments).filter(broken))
                sound = sound.filter(pc.invert(broken))
            writer.add(sound)
    if row != stamp.rows or not is_unchanged(stamp):
        raise SourceError(
            f"found {row:,} rows in {path}, needed the {stamp.rows:,} it had, unchanged, when the"
            " source was looked at; run again once nobody writes to it"
        )


def read_aside(folder: Path) -> pa.Table | None:
    """Return the rows of one file that were set aside; None when there are none."""
    path = folder / ASIDE
    if not path.exists():
        return None
    # Not as a dataset: that adds columns of its own, which the source's may be called like.
    with pq.ParquetFile(path) as file:
        return file.read()


def split_aside(aside: pa.Table, last: int) -> tuple[pa.Table, int]:
    """Return the rows set aside up to a moment, and the number of later ones.

    A row without a moment is broken at any time.

    Args:
        aside: from `read_aside`.
        last: (microseconds UTC).
    """
    place = aside.num_columns - 1  # by position: a source may have a column of that name
    later = pc.fill_null(pc.greater(aside.column(place), last), False)  # noqa: FBT003 - pyarrow's way
    over = aside.filter(pc.invert(later)).remove_column(place)
    return over, aside.num_rows - over.num_rows

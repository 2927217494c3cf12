"""A published forecast in a Delta Lake table, a partition for each cutoff.

parts that the manifest names -- batch by batch --> one commit that replaces the cutoff's rows
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from seqmodel.store.folders import make_folder

#: How URLs of such tables begin; `delta+s3://bucket/lake` is one in a bucket.
SCHEME = "delta"
#: Rows in hand at once.
ROWS = 1 << 16


def find_lake(url: str, table: str) -> str:
    """Return where a table lies: `delta:///out` and `forecasts` give `out/forecasts`.

    Args:
        url: of the sink: four slashes before an absolute path, `delta+` before another scheme.
        table: name of its folder.
    """
    scheme, _, rest = url.partition("://")
    _, _, inner = scheme.partition("+")
    place = f"{inner}://{rest}" if inner else rest.removeprefix("/")
    return f"{place.rstrip('/')}/{table}"


def replace_cutoff(parts: list[str], place: str) -> int:
    """Replace the rows of a forecast's cutoff by one commit; rows of others stay.

    To deliver the same again leaves the same rows. Runs of several cutoffs may commit at once.

    Args:
        parts: paths of the published files.
        place: path or URL of the table; made where there is none.

    Returns:
        Rows delivered.

    Raises:
        OSError: if the table refuses, as when it has other columns.
    """
    from deltalake import write_deltalake
    from deltalake.exceptions import DeltaError

    schema = pq.read_schema(parts[0]).remove_metadata()
    cutoff = _read_cutoff(parts[0])
    reader = pa.RecordBatchReader.from_batches(schema, _read_batches(parts))
    if "://" not in place:
        make_folder(Path(place).parent)
    try:
        write_deltalake(
            place,
            reader,
            mode="overwrite",
            partition_by=["cutoff"],
            predicate=f"cutoff = '{cutoff}'",
        )
    except DeltaError as error:
        raise OSError(str(error)) from error
    return sum(int(pq.read_metadata(part).num_rows) for part in parts)


def _read_cutoff(part: str) -> str:
    """Return the cutoff of a forecast's rows as the predicate writes it."""
    with pq.ParquetFile(part) as file:
        first = next(file.iter_batches(1, columns=["cutoff"]))
    return str(first["cutoff"].cast(pa.string())[0].as_py())


def _read_batches(parts: list[str]) -> Iterator[pa.RecordBatch]:
    for part in parts:
        with pq.ParquetFile(part) as file:
            yield from file.iter_batches(ROWS)

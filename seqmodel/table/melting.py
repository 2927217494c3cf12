"""Wide rows, a column a series, as long ones."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from seqmodel.specs import SourceSpec
from seqmodel.table.schemas import list_series


def melt_batch(batch: pa.RecordBatch, source: SourceSpec) -> pa.RecordBatch:
    """Return n wide rows of C series as n * C long ones, series after series.

    Every numeric column except the timestamp and the declared covariates is a series, named by the
    column. The series share the covariates. Long rows have the columns that `name_long` names,
    and wide row i is the long rows i, n + i, 2n + i, ...
    """
    names = list_series(batch.schema, source)
    shared = [n for n in (source.timestamp, *source.covariates) if n in batch.schema.names]
    times = len(names)
    ids = pa.array(names, pa.string()).take(pa.array(np.repeat(np.arange(times), batch.num_rows)))
    numbers = [to_number(batch.column(name)) for name in names]
    target = pa.concat_arrays(numbers) if numbers else pa.array([], pa.float64())
    columns = {name: _repeat(batch.column(name), times) for name in shared}
    return pa.record_batch({**columns, source.series_id[0]: ids, source.target: target})


def name_long(source: SourceSpec) -> SourceSpec:
    """Return what the columns of melted rows mean."""
    return source.model_copy(update={"layout": "long", "series_id": source.series_id[:1]})


def _repeat(column: pa.Array, times: int) -> pa.Array:
    return pa.concat_arrays([column] * times) if times else column.slice(0, 0)


def to_number(column: pa.Array) -> pa.Array:
    """Return values as doubles."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return column.cast(pa.float64(), safe=False)

"""One batch of source rows made canonical; the rows that cannot be are named with a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from seqmodel.grid import EARLIEST, LATEST
from seqmodel.specs import QualitySpec, SourceSpec
from seqmodel.table.identifying import join_ids, to_text
from seqmodel.table.lists import canonical_list, convert_list, is_list, judge_lists
from seqmodel.table.melting import melt_batch, name_long, to_number
from seqmodel.table.moments import MICROSECONDS, read_moments
from seqmodel.table.schemas import is_text, value_type


@final
@dataclass(frozen=True)
class Cleaned:
    """What became of a batch of n rows: n long ones, or n * C if it is wide with C series.

    The ledger counts long rows: a wide row of C series is C rows read.

    Attributes:
        rows: all long rows in canonical columns and types; only meaningful where not set aside.
        reasons: as many strings, null where the row is sound.
        found: as many rows as they were found, for the quarantine; of a wide file the melted ones.
        numbers: as many numbers of the row of the batch that they come from.
    """

    rows: pa.RecordBatch
    reasons: pa.Array
    found: pa.RecordBatch
    numbers: NDArray[np.int64]


def canonical_schema(source: SourceSpec, observed: pa.Schema) -> pa.Schema:
    """Return the canonical columns: `series_id, timestamp, target`, then the covariates.

    Numbers become doubles, everything else strings, a target that is a class too; lists become
    lists of these, whole numbers in them names of categories.

    Args:
        source: which column means what.
        observed: the columns of all files together, from `observe_schema`.
    """
    fields = [
        pa.field("series_id", pa.string(), nullable=False),
        pa.field("timestamp", MICROSECONDS, nullable=False),
        pa.field("target", pa.string() if source.of_classes else pa.float64()),
    ]
    for name in source.covariates:
        kind = value_type(observed.field(name).type)
        if is_list(kind):
            fields.append(pa.field(name, canonical_list(kind, name, source)))
        else:
            fields.append(pa.field(name, pa.string() if is_text(kind) else pa.float64()))
    return pa.schema(fields)


def clean_batch(
    batch: pa.RecordBatch, schema: pa.Schema, source: SourceSpec, quality: QualitySpec
) -> Cleaned:
    """Bring a batch into canonical columns and find the rows to set aside.

    A NaN is a missing value and stays, as null; an infinite number is an error and goes. A
    covariate that the batch lacks is missing throughout.

    Args:
        batch: rows as they are in the source, long or wide, with the declared columns.
        schema: from `canonical_schema`.
        source: which column means what.
        quality: limits of the target.
    """
    numbers = np.arange(batch.num_rows, dtype=np.int64)
    if source.layout == "wide":
        wide, batch = batch, melt_batch(batch, source)
        source = name_long(source)
        numbers = np.resize(numbers, batch.num_rows) if wide.num_rows else numbers
    moments = read_moments(batch.column(source.timestamp), source)
    columns = [
        join_ids([batch.column(name) for name in source.series_id], source.separator),
        moments.utc,
        (to_text if source.of_classes else _to_value)(batch.column(source.target)),
    ]
    for field in list(schema)[len(columns) :]:
        convert = _choose_conversion(field.type)
        lacks = field.name not in batch.schema.names
        column = pa.nulls(batch.num_rows) if lacks else batch.column(field.name)
        columns.append(convert(column))
    reasons = _Reasons(batch.num_rows)
    reasons.add(columns[0].is_null(), "series_id is null")
    reasons.add(batch.column(source.timestamp).is_null(), "timestamp is null")
    reasons.add(columns[1].is_null(), f"timestamp not between {EARLIEST} and {LATEST}")
    for mask, reason in moments.faults:
        reasons.add(mask, reason)
    _judge_numbers(reasons, columns, schema, quality)
    if source.layout == "sequences":
        for mask, reason in judge_lists(dict(zip(schema.names, columns, strict=True)), source):
            reasons.add(mask, reason)
    open_schema = pa.schema([f.with_nullable(nullable=True) for f in schema])
    rows = pa.record_batch(columns, schema=open_schema)
    return Cleaned(rows, reasons.take(), batch, numbers)


def _judge_numbers(
    reasons: _Reasons, columns: list[pa.Array], schema: pa.Schema, quality: QualitySpec
) -> None:
    for field, column in zip(schema, columns, strict=True):
        if field.type == pa.float64():
            reasons.add(pc.is_inf(column), f"{field.name} is infinite")
    target = columns[2]
    if target.type != pa.float64():
        return
    if quality.minimum is not None:
        reasons.add(pc.less(target, quality.minimum), f"target below {quality.minimum:g}")
    if quality.maximum is not None:
        reasons.add(pc.greater(target, quality.maximum), f"target above {quality.maximum:g}")


@final
class _Reasons:
    """The first reason found for each row stays."""

    def __init__(self, rows: int) -> None:
        self._codes = np.zeros(rows, dtype=np.int32)
        self._names: list[str | None] = [None]

    def add(self, mask: pa.Array, reason: str) -> None:
        """Give `reason` to the rows of a mask that have none yet."""
        broken = pc.fill_null(mask, fill_value=False).to_numpy(zero_copy_only=False)
        self._codes[broken & (self._codes == 0)] = len(self._names)
        self._names.append(reason)

    def take(self) -> pa.Array:
        """Return a reason or null for each row."""
        return pa.array(self._names, pa.string()).take(pa.array(self._codes))


def _choose_conversion(kind: pa.DataType) -> Callable[[pa.Array], pa.Array]:
    if pa.types.is_list(kind):
        inner = _choose_conversion(kind.value_type)
        return lambda column: convert_list(column, kind, inner)
    return to_text if kind == pa.string() else _to_value


def _to_value(column: pa.Array) -> pa.Array:
    column = to_number(column)
    return pc.if_else(pc.is_nan(column), pa.scalar(None, pa.float64()), column)

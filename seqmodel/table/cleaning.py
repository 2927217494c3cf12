"""One batch of source rows made canonical; the rows that cannot be are named with a reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqmodel.grid import EARLIEST, LATEST
from seqmodel.specs import QualitySpec, SourceSpec
from seqmodel.table.reading import is_text, value_type

MICROSECONDS = pa.timestamp("us", tz="UTC")


@final
@dataclass(frozen=True)
class Cleaned:
    """What became of a batch of n rows.

    Attributes:
        rows: all n rows in canonical columns and types; only meaningful where not set aside.
        reasons: n strings, null where the row is sound.
    """

    rows: pa.RecordBatch
    reasons: pa.Array


def canonical_schema(source: SourceSpec, observed: pa.Schema) -> pa.Schema:
    """Return the canonical columns: `series_id, timestamp, target`, then the covariates.

    Numbers become doubles, everything else strings; a covariate is of the kind that the first file
    says.
    """
    fields = [
        pa.field("series_id", pa.string(), nullable=False),
        pa.field("timestamp", MICROSECONDS, nullable=False),
        pa.field("target", pa.float64()),
    ]
    for name in source.covariates:
        text = is_text(value_type(observed.field(name).type))
        fields.append(pa.field(name, pa.string() if text else pa.float64()))
    return pa.schema(fields)


def clean_batch(
    batch: pa.RecordBatch, schema: pa.Schema, source: SourceSpec, quality: QualitySpec
) -> Cleaned:
    """Bring a batch into canonical columns and find the rows to set aside.

    A NaN is a missing value and stays, as null; an infinite number is an error and goes.

    Args:
        batch: rows as they are in the source, with the declared columns.
        schema: from `canonical_schema`.
        source: which column means what.
        quality: limits of the target.
    """
    columns = [
        _to_text(batch.column(source.series_id[0])),
        to_utc(batch.column(source.timestamp), source.timezone),
        _to_number(batch.column(source.target)),
    ]
    for field in schema:
        if field.name in source.covariates:
            convert = _to_text if field.type == pa.string() else _to_number
            columns.append(convert(batch.column(field.name)))
    reasons = _Reasons(batch.num_rows)
    reasons.add(columns[0].is_null(), "series_id is null")
    reasons.add(batch.column(source.timestamp).is_null(), "timestamp is null")
    reasons.add(columns[1].is_null(), f"timestamp not between {EARLIEST} and {LATEST}")
    for field, column in zip(schema, columns, strict=True):
        if field.type == pa.float64():
            reasons.add(pc.is_inf(column), f"{field.name} is infinite")
    target = columns[2]
    if quality.minimum is not None:
        reasons.add(pc.less(target, quality.minimum), f"target below {quality.minimum:g}")
    if quality.maximum is not None:
        reasons.add(pc.greater(target, quality.maximum), f"target above {quality.maximum:g}")
    open_schema = pa.schema([f.with_nullable(nullable=True) for f in schema])
    return Cleaned(pa.record_batch(columns, schema=open_schema), reasons.take())


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


def to_utc(column: pa.Array, timezone: str | None) -> pa.Array:
    """Return moments as microseconds in UTC.

    Naive moments are read in `timezone`. Of an hour that comes twice in autumn the first is meant,
    and a moment that spring leaves out becomes the first one after the gap. A date names a day, not
    a moment: it is the midnight of UTC whatever the zone. Moments of other centuries are damage,
    and those that microseconds cannot hold would turn up at another time: both become null.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("s"), safe=False)
        timezone = "UTC"
    column = _drop_implausible(column)
    if column.type.tz is None:
        column = column.cast(pa.timestamp("us"), safe=False)
        column = pc.assume_timezone(
            column, timezone or "UTC", ambiguous="earliest", nonexistent="latest"
        )
    return column.cast(MICROSECONDS, safe=False)


def _drop_implausible(column: pa.Array) -> pa.Array:
    raw = column.cast(pa.int64())
    a_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[column.type.unit]
    low, high = (
        min(int(datetime.fromisoformat(f"{day}T00:00Z").timestamp()) * a_second, 2**63 - 1)
        for day in (EARLIEST, LATEST)
    )
    inside = pc.and_(pc.greater_equal(raw, low), pc.less(raw, high))
    return pc.if_else(inside, column, pa.scalar(None, column.type))


def _to_text(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):
        # pandas turns numbered ids into floats as soon as one is missing, and that one into NaN.
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return column.cast(pa.string())


def _to_number(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    column = column.cast(pa.float64(), safe=False)
    return pc.if_else(pc.is_nan(column), pa.scalar(None, pa.float64()), column)

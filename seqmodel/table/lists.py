"""Sequences in one row: list columns made canonical, and what makes a sequence unusable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from seqmodel.specs import SourceSpec
from seqmodel.table.schemas import is_list, value_type

__all__ = ["canonical_list", "convert_list", "count_long", "is_list", "judge_lists"]


def canonical_list(kind: pa.DataType, name: str, source: SourceSpec) -> pa.DataType:
    """Return the canonical type of a list: of doubles where the values are real, else of strings.

    Whole numbers are names of categories, negative ones too: no value is taken for padding.
    """
    real = pa.types.is_floating(value_type(kind.value_type)) and name not in source.categorical
    return pa.list_(pa.float64() if real else pa.string())


def convert_list(
    column: pa.Array, kind: pa.DataType, inner: Callable[[pa.Array], pa.Array]
) -> pa.Array:
    """Return lists of another type.

    Args:
        column: n lists; all are missing where the file has no such column.
        kind: canonical type.
        inner: converts their values.
    """
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), kind)
    plain = column.cast(pa.list_(column.type.value_type))
    lengths = pc.fill_null(pc.list_value_length(plain), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array([0, *lengths.cumsum().tolist()], pa.int32())
    values = inner(plain.flatten())
    return pa.ListArray.from_arrays(offsets, values, mask=plain.is_null()).cast(kind)


def judge_lists(
    columns: Mapping[str, pa.Array], source: SourceSpec
) -> Iterator[tuple[pa.Array, str]]:
    """Yield marks of unusable sequences, and why they are.

    Args:
        columns: canonical name -> n values.
        source: its past columns are the lists.
    """
    lengths = [pc.list_value_length(columns[name]) for name in source.past]
    for name, length in zip(source.past, lengths, strict=True):
        empty = pc.equal(pc.fill_null(length, 0), 0)
        yield empty, f"{name} is empty: a sequence has one element at least"
    for name, length in zip(source.past[1:], lengths[1:], strict=True):
        yield pc.not_equal(length, lengths[0]), f"{name} is not as long as {source.past[0]}"


def count_long(rows: pa.RecordBatch, source: SourceSpec, lookback: int) -> pa.Array:
    """Return n marks of sequences longer than the lookback (steps)."""
    length = pc.list_value_length(rows.column(rows.schema.get_field_index(source.past[0])))
    return pc.fill_null(pc.greater(length, lookback), fill_value=False)

"""Columns that count as categories, and their values as text."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from seqmodel.specs import SourceSpec

#: Below, a number in double precision is whole or not.
WHOLE = 2.0**53


def is_categorical(field: pa.Field, source: SourceSpec) -> bool:
    """Return whether a covariate counts as categories: text, or declared as such."""
    return pa.types.is_string(field.type) or field.name in source.categorical


def read_labels(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as text: whole numbers without a fraction, whatever type they came in."""
    if pa.types.is_floating(column.type):
        # Neither NaN nor infinity is a category; a huge number is no whole one that can be cast.
        small = pc.if_else(pc.less(pc.abs(column), WHOLE), column, None)
        whole = pc.cast(small, pa.int64(), safe=False)
        exact = pc.fill_null(
            pc.equal(pc.cast(whole, column.type, safe=False), column), fill_value=False
        )
        text = pc.if_else(exact, whole.cast(pa.string()), column.cast(pa.string()))
        return pc.if_else(pc.is_finite(column), text, None)
    return column.cast(pa.string())

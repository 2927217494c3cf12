"""The id of a series from one column or several."""

from __future__ import annotations

from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

#: The first of these that the separator has not is what a value's own separators are marked with.
MARKS = "\\^~/"
#: Doubles hold whole numbers up to here.
WHOLE = 2.0**53


def join_ids(columns: list[pa.Array], separator: str) -> pa.Array:
    r"""Return n ids as text, null where a part is null.

    One column is taken as it is. Of several, the values are joined by the separator, and each
    character of a separator that a value has itself gets a mark before it, so that two different
    keys never have one id.

    >>> join_ids([pa.array(["a|b", "a"]), pa.array(["c", "b|c"])], "|").to_pylist()
    ['a\\|b|c', 'a|b\\|c']
    """
    parts = [to_text(column) for column in columns]
    if len(parts) == 1:
        return parts[0]
    mark = next(sign for sign in MARKS if sign not in separator)
    special = [mark, *dict.fromkeys(separator)]
    marked = [reduce(lambda p, sign: _mark(p, sign, mark), special, part) for part in parts]
    return pc.binary_join_element_wise(*marked, separator, null_handling="emit_null")


def _mark(part: pa.Array, sign: str, mark: str) -> pa.Array:
    return pc.replace_substring(part, pattern=sign, replacement=mark + sign)


def to_text(column: pa.Array) -> pa.Array:
    """Return values as text; whole numbers look alike as integers and as doubles."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):
        # pandas turns numbered ids into floats as soon as one is missing, and that one into NaN.
        column = column.cast(pa.float64())
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, pa.float64()), column)
        whole = pc.and_(pc.equal(pc.trunc(column), column), pc.less(pc.abs(column), WHOLE))
        numbers = pc.if_else(whole, column, pa.scalar(None, pa.float64())).cast(pa.int64())
        return pc.coalesce(numbers.cast(pa.string()), column.cast(pa.string()))
    return column.cast(pa.string())

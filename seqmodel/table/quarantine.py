"""The quarantine: rows set aside as they were found, each with its reason and its place."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

#: Columns added to the original ones.
REASON, FILE, ROW = "reason", "source_file", "row_number"


def set_aside(batch: pa.RecordBatch, reasons: pa.Array, file: str, numbers: pa.Array) -> pa.Table:
    """Give n rows the columns of the quarantine.

    Args:
        batch: n rows as they are in the source.
        reasons: n reasons, null where a row is sound.
        file: where the batch comes from.
        numbers: n numbers of the rows in that file.
    """
    rows = pa.Table.from_batches([batch])
    # The source may have a column called reason, or two of one name: all stay, under other names.
    rows = rows.rename_columns(_tell_apart(rows.column_names))
    rows = rows.append_column(REASON, reasons)
    rows = rows.append_column(FILE, pa.array([file] * rows.num_rows, pa.string()))
    return rows.append_column(ROW, numbers)


def _tell_apart(names: list[str]) -> list[str]:
    """Return as many names, each once and none of the quarantine's own."""
    taken = {REASON, FILE, ROW}
    found: list[str] = []
    for name in names:
        free = f"source_{name}" if name in taken else name
        while free in taken or (free != name and free in names):
            free = f"source_{free}"
        taken.add(free)
        found.append(free)
    return found


def unite(pieces: list[pa.Table]) -> pa.Table | None:
    """Return the rows set aside of all files with the columns of all; None when there are none.

    Where files disagree on the type of a column, its values become text.
    """
    if not pieces:
        return None
    kinds: dict[str, set[pa.DataType]] = {}
    for piece in pieces:
        for field in piece.schema:
            kinds.setdefault(field.name, set()).add(field.type)
    unlike = {name for name, found in kinds.items() if len(found) > 1}
    alike = [_write_out(piece, unlike) for piece in pieces]
    return pa.concat_tables(alike, promote_options="default")


def _write_out(rows: pa.Table, names: set[str]) -> pa.Table:
    """Turn columns into text."""
    for i, name in enumerate(rows.column_names):
        if name in names:
            rows = rows.set_column(i, name, _as_text(rows.column(i)))
    return rows


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # lists, structs, bytes of no text
        values: list[Any] = column.to_pylist()
        texts = [None if value is None else str(value) for value in values]
        return pa.chunked_array([pa.array(texts, pa.string())])

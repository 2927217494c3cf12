"""The quarantine: rows set aside as they were found, each with its reason and its place."""

from __future__ import annotations

from typing import Any, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

#: Columns added to the original ones.
REASON, FILE, ROW = "reason", "source_file", "row_number"


@final
class Quarantine:
    """Collects the rows set aside from any number of files."""

    def __init__(self) -> None:
        self._pieces: list[pa.Table] = []

    def add(
        self,
        batch: pa.RecordBatch,
        reasons: pa.Array,
        broken: NDArray[np.bool_],
        file: str,
        first: int,
    ) -> None:
        """Set rows of a batch aside.

        Args:
            batch: n rows as they are in the source.
            reasons: n reasons, null where a row is sound.
            broken: n flags, set for the rows to take.
            file: where the batch comes from.
            first: number of its first row in that file.
        """
        if not broken.any():
            return
        mask = pa.array(broken)
        rows = pa.Table.from_batches([batch]).filter(mask)
        taken = {REASON, FILE, ROW}
        # The source may have a column called reason: it stays, under another name.
        rows = rows.rename_columns([f"source_{n}" if n in taken else n for n in rows.column_names])
        numbers = np.arange(first, first + batch.num_rows, dtype=np.int64)[broken]
        rows = rows.append_column(REASON, reasons.filter(mask))
        rows = rows.append_column(FILE, pa.array([file] * rows.num_rows, pa.string()))
        self._pieces.append(rows.append_column(ROW, pa.array(numbers)))

    def collect(self) -> pa.Table | None:
        """Return all rows set aside with the columns of all files; None when there are none.

        Where files disagree on the type of a column, its values become text.
        """
        if not self._pieces:
            return None
        kinds: dict[str, set[pa.DataType]] = {}
        for piece in self._pieces:
            for field in piece.schema:
                kinds.setdefault(field.name, set()).add(field.type)
        unlike = {name for name, found in kinds.items() if len(found) > 1}
        alike = [_write_out(piece, unlike) for piece in self._pieces]
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
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        values: list[Any] = column.to_pylist()
        texts = [None if value is None else str(value) for value in values]
        return pa.chunked_array([pa.array(texts, pa.string())])

"""Of several sorted rows for one series and moment one stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from seqmodel.errors import DataError, StoreError, quote

Booleans = NDArray[np.bool_]
#: Where a row came from, carried through the sort: number of the file, number of the row in it.
ORIGIN = [pa.field("__file", pa.int32()), pa.field("__row", pa.int64())]


@final
class Resolver:
    """Keeps one row for each series and moment of a sorted stream.

    Args:
        policy: which of several rows stays: the first or last by file and row, or none at all;
            under `mean` the last, with the means of their numbers.
        files: number of source files.
    """

    def __init__(self, policy: Literal["last", "first", "mean", "refuse"], files: int) -> None:
        self._policy = policy
        self.kept = np.zeros(files, dtype=np.int64)
        self.dropped = np.zeros(files, dtype=np.int64)
        #: Marks rows that are counted in `noticed` where they stay.
        self.notice: Callable[[pa.RecordBatch], pa.Array] | None = None
        self.noticed = np.zeros(files, dtype=np.int64)

    def resolve(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the rows that stay, without their origin.

        Raises:
            DataError: under `refuse`, at the first pair.
            StoreError: if the rows are not sorted: their duplicates would stay unseen, and readers
                that look for a series where it should be would not find it.
        """
        carried: pa.RecordBatch | None = None
        for batch in batches:
            both = batch if carried is None else pa.concat_batches([carried, batch])
            if not both.num_rows:
                continue
            same = _same_as_before(both)
            # The last run of equal rows may go on in the next batch.
            group = int(np.flatnonzero(~same)[-1])
            yield from self._choose(both.slice(0, group), same[:group])
            carried = both.slice(group)
        if carried is not None:
            yield from self._choose(carried, _same_as_before(carried))

    def _choose(self, rows: pa.RecordBatch, same: Booleans) -> Iterator[pa.RecordBatch]:
        if not rows.num_rows:
            return
        if self._policy == "refuse" and same.any():
            where = int(np.argmax(same))
            raise DataError(
                f"found series {quote(rows.column(0)[where].as_py())} twice at"
                f" {rows.column(1)[where].as_py():%Y-%m-%dT%H:%M:%SZ}, needed one row a step;"
                " remove one of them or set source.duplicates to last, first or mean"
            )
        keep = ~same if self._policy == "first" else ~np.append(same[1:], False)
        # By position: a source may call its own columns whatever the origin is called.
        origin = rows.column(rows.num_columns - len(ORIGIN)).to_numpy()
        self.kept += np.bincount(origin[keep], minlength=len(self.kept))
        self.dropped += np.bincount(origin[~keep], minlength=len(self.dropped))
        if self.notice:
            marked = keep & self.notice(rows).to_numpy(zero_copy_only=False)
            self.noticed += np.bincount(origin[marked], minlength=len(self.noticed))
        if self._policy == "mean" and not keep.all():
            rows = _average(rows, same)
        chosen = rows if keep.all() else rows.filter(pa.array(keep))
        yield chosen.select(list(range(chosen.num_columns - len(ORIGIN))))


def _average(rows: pa.RecordBatch, same: Booleans) -> pa.RecordBatch:
    """Give every row the means of the numbers of its series and time; nulls do not count."""
    starts = np.flatnonzero(~same)
    group = np.cumsum(~same) - 1
    for i, field in enumerate(rows.schema):
        if field.type == pa.float64():
            known = rows.column(i).is_valid().to_numpy(zero_copy_only=False)
            values = pc.fill_null(rows.column(i), 0.0).to_numpy(zero_copy_only=False)
            count = np.add.reduceat(known, starts, dtype=np.int64)
            # Each share apart: the sum of two great numbers may be none.
            mean = np.add.reduceat(values / np.maximum(count, 1)[group], starts)
            least = np.minimum.reduceat(np.where(known, values, np.inf), starts)
            most = np.maximum.reduceat(np.where(known, values, -np.inf), starts)
            mean = np.where(count > 0, np.clip(mean, least, np.maximum(least, most)), 0.0)
            column = pa.array(mean[group], pa.float64(), mask=(count == 0)[group])
            rows = rows.set_column(i, field, column)
    return rows


def _same_as_before(rows: pa.RecordBatch) -> Booleans:
    """Return which rows have the series and time of the row before.

    Raises:
        StoreError: if a row comes before the one above it.
    """
    same = np.zeros(rows.num_rows, dtype=bool)
    above, below = rows.slice(0, rows.num_rows - 1), rows.slice(1)
    ids = above.column(0), below.column(0)
    times = above.column(1), below.column(1)
    one = pc.equal(*ids)
    falls = pc.or_(pc.greater(*ids), pc.and_(one, pc.greater(*times)))
    if pc.any(falls).as_py():
        raise StoreError(
            "found the sorted rows out of order, needed them by series and time; report this as a"
            " bug of the sort, nothing was published"
        )
    same[1:] = pc.and_(one, pc.equal(*times)).to_numpy(zero_copy_only=False)
    return same

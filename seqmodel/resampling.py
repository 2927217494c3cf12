"""Rows finer than the grid become one row a step, from a sorted stream of any length.

rows     |10:00  10:15  10:30  10:45|11:00         (sorted, duplicates resolved)
steps    |10:00                     |11:00  ...    target by sum, mean, first, last, min or max

Of the step that may go on in the next batch only its running figures are kept, so memory stays flat
however many rows a step has; and sums run in the order of the rows, so that the result does not
depend on how the stream is cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from seqmodel.grid import Grid
from seqmodel.specs import SourceSpec

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
How = Literal["sum", "mean", "first", "last", "min", "max"]
KEYS = ("series_id", "timestamp")


@final
class Resampler:
    """Makes one row a step of a sorted stream.

    The target is aggregated as declared; past and known covariates by their mean, static ones and
    texts by their last value. Missing values are passed over; a step of nothing else is missing.

    Args:
        source: freq, and which columns are static.
        how: what becomes of a step's targets.

    Attributes:
        rows: rows that came out so far.
    """

    def __init__(self, source: SourceSpec, how: How) -> None:
        self._grid = Grid(source.freq)
        self._how = how
        self._static = source.static
        self.rows = 0

    def resample(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield batches of the same columns, one row a step, sorted as they came.

        Args:
            batches: `series_id, timestamp` and any of target and covariates, sorted by series and
                time, without nulls in these two.
        """
        carried: _Steps | None = None
        for batch in batches:
            if batch.num_rows:
                steps = self._fold(self._read(batch), carried)
                yield from self._write(steps.slice(0, len(steps) - 1), batch.schema)
                carried, schema = steps.slice(len(steps) - 1, 1), batch.schema
        if carried is not None:
            yield from self._write(carried, schema)

    def _choose(self, field: pa.Field) -> How:
        if field.name == "target":
            return self._how
        last = field.name in self._static or not pa.types.is_floating(field.type)
        return "last" if last else "mean"

    def _read(self, batch: pa.RecordBatch) -> _Steps:
        """Take every row for a step of its own."""
        numbers = self._grid.number(batch["timestamp"].cast(pa.int64()).to_numpy())
        figures = {
            field.name: _Figure.read(batch[field.name], self._choose(field))
            for field in batch.schema
            if field.name not in KEYS
        }
        return _Steps(batch["series_id"], numbers, figures)

    def _fold(self, steps: _Steps, carried: _Steps | None) -> _Steps:
        """Bring neighbours of one series and step together, the carried one first."""
        if carried is not None:
            steps = carried.append(steps)
        fresh = np.ones(len(steps), dtype=bool)
        other = pc.not_equal(steps.ids.slice(1), steps.ids.slice(0, len(steps) - 1))
        fresh[1:] = other.to_numpy(zero_copy_only=False) | (np.diff(steps.numbers) != 0)
        begins = np.flatnonzero(fresh)
        figures = {name: figure.fold(begins) for name, figure in steps.figures.items()}
        return _Steps(steps.ids.take(pa.array(begins)), steps.numbers[begins], figures)

    def _write(self, steps: _Steps, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        if not len(steps):
            return
        self.rows += len(steps)
        moments = pa.array(self._grid.moment(steps.numbers)).cast(schema.field("timestamp").type)
        keys = {"series_id": steps.ids, "timestamp": moments}
        columns = [
            keys[field.name] if field.name in keys else steps.figures[field.name].write(field.type)
            for field in schema
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


@final
class _Figure:
    """One column's running figures, one for each of n steps.

    Args:
        how: the aggregation.
        values: n sums, or values that were first, last, least or greatest; text as objects.
        counts: n numbers of values behind them.
    """

    def __init__(self, how: How, values: NDArray[Any], counts: Integers) -> None:
        self.how, self.values, self.counts = how, values, counts

    @classmethod
    def read(cls, column: pa.Array, how: How) -> _Figure:
        """Take every row for a step of its own."""
        values = column.to_numpy(zero_copy_only=False)
        present = column.is_valid().to_numpy(zero_copy_only=False)
        if pa.types.is_floating(column.type):
            present = present & ~np.isnan(values)
            values = np.where(present, values, 0.0)
        return cls(how, values, present.astype(np.int64))

    def slice(self, begin: int, length: int) -> _Figure:
        """Return some of the steps."""
        end = begin + length
        return _Figure(self.how, self.values[begin:end], self.counts[begin:end])

    def append(self, later: _Figure) -> _Figure:
        """Return these steps and later ones."""
        values = np.concatenate([self.values, later.values])
        return _Figure(self.how, values, np.concatenate([self.counts, later.counts]))

    def fold(self, begins: Integers) -> _Figure:
        """Bring the steps from each of the m positions up to the next together."""
        counts = np.add.reduceat(self.counts, begins)
        if self.how in {"sum", "mean"}:
            sizes = np.diff(np.append(begins, len(self.values)))
            step = np.repeat(np.arange(len(begins)), sizes)
            # bincount adds one after the other; reduceat would add in pairs that cuts change.
            return _Figure(self.how, np.bincount(step, self.values), counts)
        present = self.counts > 0
        if self.how in {"min", "max"}:
            least = self.how == "min"
            shown = np.where(present, self.values, np.inf if least else -np.inf)
            found = (np.minimum if least else np.maximum).reduceat(shown, begins)
            return _Figure(self.how, np.where(counts > 0, found, 0.0), counts)
        rows = np.arange(len(present))
        if self.how == "first":
            chosen = np.minimum.reduceat(np.where(present, rows, len(rows)), begins)
        else:
            chosen = np.maximum.reduceat(np.where(present, rows, -1), begins)
        return _Figure(self.how, self.values[np.where(counts > 0, chosen, 0)], counts)

    def write(self, kind: pa.DataType) -> pa.Array:
        """Return the steps' values, null where there was none."""
        values = self.values
        if self.how == "mean":
            values = values / np.maximum(self.counts, 1)
        return pa.array(values, kind, mask=self.counts == 0)


@final
class _Steps:
    """Running figures of n steps.

    Args:
        ids: n series ids.
        numbers: n grid numbers.
        figures: column -> its figures.
    """

    def __init__(self, ids: pa.Array, numbers: Integers, figures: dict[str, _Figure]) -> None:
        self.ids, self.numbers, self.figures = ids, numbers, figures

    def __len__(self) -> int:
        return len(self.numbers)

    def slice(self, begin: int, length: int) -> _Steps:
        """Return some of the steps."""
        figures = {name: figure.slice(begin, length) for name, figure in self.figures.items()}
        return _Steps(self.ids.slice(begin, length), self.numbers[begin : begin + length], figures)

    def append(self, later: _Steps) -> _Steps:
        """Return these steps and later ones."""
        return _Steps(
            pa.concat_arrays([self.ids, later.ids]),
            np.concatenate([self.numbers, later.numbers]),
            {name: figure.append(later.figures[name]) for name, figure in self.figures.items()},
        )

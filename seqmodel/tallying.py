"""Scores as sums that add: over series, cutoffs, steps, nights and shards.

A tally holds, for every cell of its keys, the sums of what each metric is a mean of. Tallies of
parts add up to the tally of the whole, whatever the parts are, and figures are made of the sums
last:  (Tally.zero(keys) + shard + shard + ...).measure()
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqmodel.metrics import METRICS, ROOTS, Scored

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
#: A metric is the ratio of the sums of its name and of its name with this; of `ROOTS` the root.
OF = "_of"
#: What every cell has beside the sums: steps forecast, and steps whose target was observed.
COUNTS = ("expected", "observed")
STEP = "step"


@final
@dataclass(frozen=True)
class Parts:
    """What the metrics of N windows x H steps are made of.

    Attributes:
        observed: N x H marks of the targets that have come.
        sums: metric -> N x H contributions, 0 where there is none; NaN leaves no score.
        sizes: metric -> N x H what the sum of these is divided by, 0 where there is none.
    """

    observed: NDArray[np.bool_]
    sums: dict[str, Floats]
    sizes: dict[str, Floats]


def part_scored(scored: Scored) -> Parts:
    """Return what the metrics of numbers are made of."""
    observed = np.isfinite(scored.actual)
    # A forecast that is no number must not pass for one that was not asked for.
    broken = observed & ~np.isfinite(scored.quantiles).all(axis=-1)
    sums, sizes = {}, {}
    for name, contribute in METRICS.items():
        parts = contribute(scored)
        seen = np.isfinite(parts)
        sums[name] = np.where(broken, np.nan, np.where(seen, parts, 0.0))
        of = np.abs(scored.actual) if name == "wql" else np.ones_like(parts)
        sizes[name] = np.where(seen, of, 0.0)
    return Parts(observed, sums, sizes)


@final
class Tally:
    """Sums by key, as an Arrow table: a row a cell.

    Args:
        keys: names of the key columns; none for one cell of everything.
        table: key columns, then counts, then sums.
    """

    def __init__(self, keys: tuple[str, ...], table: pa.Table) -> None:
        self.keys, self.table = keys, table

    @classmethod
    def zero(cls, *keys: str) -> Self:
        """Return the tally of nothing, which adds to any other of the same keys."""
        return cls(keys, pa.table({name: pa.nulls(0) for name in keys}))

    @classmethod
    def of(cls, scored: Scored | Parts, keys: Mapping[str, Any], *, by_step: bool = False) -> Self:
        """Sum up the forecasts of N windows.

        Args:
            scored: N windows x H steps, of numbers, or in parts.
            keys: name of a key -> its N values, an array or a list.
            by_step: `step`, from 1 on, is a key too.
        """
        parts = part_scored(scored) if isinstance(scored, Scored) else scored
        count, horizon = parts.observed.shape
        cells, labels = _number(keys, count)
        size = len(next(iter(labels.values()))) if labels else 1
        if by_step:
            cells = (cells[:, None] * horizon + np.arange(horizon)).ravel()
            labels = {name: column.take(_each(size, horizon)) for name, column in labels.items()}
            labels[STEP] = pa.array(np.tile(np.arange(1, horizon + 1), size))
            size *= horizon
        else:
            cells = np.repeat(cells, horizon)

        def add(values: Floats) -> pa.Array:
            return pa.array(np.bincount(cells, values.ravel(), size))

        columns = dict(labels)
        columns["expected"] = add(np.ones(parts.observed.shape))
        columns["observed"] = add(parts.observed.astype(np.float64))
        for name, sums in parts.sums.items():
            columns[name] = add(sums)
            columns[f"{name}{OF}"] = add(parts.sizes[name])
        named = (*keys, *((STEP,) if by_step else ()))
        # Cells are in the order of their keys, as those of a sum are.
        table = pa.table(columns)
        return cls(named, table.sort_by([(n, "ascending") for n in named]) if named else table)

    @property
    def metrics(self) -> tuple[str, ...]:
        """What can be made of the sums; without a cell, what numbers have."""
        columns = self.table.column_names
        return tuple(n for n in columns if f"{n}{OF}" in columns) or tuple(METRICS)

    def __add__(self, other: Tally) -> Tally:
        if not self.table.num_rows or not other.table.num_rows:
            return self if self.table.num_rows else other
        return Tally(self.keys, pa.concat_tables([self.table, other.table])).by(*self.keys)

    def by(self, *keys: str) -> Tally:
        """Return the sums over all keys but these."""
        if not self.table.num_rows:
            return Tally.zero(*keys)
        sums = [name for name in self.table.column_names if name not in self.keys]
        grouped = pa.TableGroupBy(self.table, list(keys)).aggregate([(s, "sum") for s in sums])
        named = grouped.rename_columns([*keys, *sums]) if keys else grouped.rename_columns(sums)
        return Tally(keys, named.sort_by([(key, "ascending") for key in keys]) if keys else named)

    def measure(self) -> pa.Table:
        """Return the keys, the counts and every metric; NaN where nothing was observed."""
        columns = {name: self.table[name] for name in (*self.keys, *COUNTS)}
        for name in self.metrics:
            sums, sizes = (self.table[c].to_numpy() for c in (name, f"{name}{OF}"))
            nothing = np.full(len(sums), np.nan)
            figures = np.divide(sums, sizes, out=nothing, where=sizes > 0)
            columns[name] = pa.array(np.sqrt(figures) if name in ROOTS else figures)
        return pa.table(columns)

    def total(self) -> dict[str, float]:
        """Return every metric over everything, NaN where nothing was observed."""
        if not self.table.num_rows:
            return dict.fromkeys(self.metrics, float("nan"))
        (row,) = self.by().measure().to_pylist()
        return {name: row[name] for name in self.metrics}


def _number(keys: Mapping[str, Any], count: int) -> tuple[Integers, dict[str, pa.Array]]:
    """Return the number of the cell of each window, and the labels of the cells."""
    if not keys:
        return np.zeros(count, dtype=np.int64), {}
    table = pa.table({name: pa.array(values) for name, values in keys.items()})
    codes = np.zeros(count, dtype=np.int64)
    for column in table.columns:
        encoded = column.combine_chunks().dictionary_encode()
        codes = codes * (len(encoded.dictionary) + 1) + encoded.indices.to_numpy()
        _, codes = np.unique(codes, return_inverse=True)
    _, first, cells = np.unique(codes, return_index=True, return_inverse=True)
    labels = table.take(pa.array(first)).combine_chunks()
    return cells, {name: labels[name].combine_chunks() for name in keys}


def _each(size: int, horizon: int) -> pa.Array:
    return pa.array(np.repeat(np.arange(size), horizon))


def measure_skill(mine: Mapping[str, float], base: Mapping[str, float], metric: str) -> float:
    """Return the share by which an error is below the baseline's; NaN where that has no meaning."""
    if not base.get(metric, 0) > 0:
        return float("nan")
    return 1 - mine.get(metric, float("nan")) / base[metric]

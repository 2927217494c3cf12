"""What each series of a canonical table looks like: one row of figures, in bounded memory.

    first                            last          newest of the table
      |x--x--x-----x--x--x--x--x--x--x|- - - - - - -|
      |<----------- steps ------------------------->|      behind: the steps from last to newest
               gap: steps between first and last without a row

The table is sorted, so one pass over its batches suffices. One that is not, which only a fault
can bring about, is sorted on disk and then counted in the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from traceback import clear_frames
from typing import final

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from seqmodel.errors import SourceError
from seqmodel.grid import Grid
from seqmodel.specs import SourceSpec
from seqmodel.table.spread import Spread
from seqmodel.table.stream import count_unsorted, stream_rows, stream_sorted
from seqmodel.table.tally import (
    Clock,
    Cutter,
    Disorder,
    Floats,
    Integers,
    Runs,
    count_nulls,
    join,
    total,
)
from seqmodel.table.targets import Scale

#: Columns of a profile that every table has, in order.
FIGURES = (
    *("series_id", "rows", "missing_timestamps", "first", "last"),
    *("duplicates", "off_grid", "unsorted", "steps", "behind", "gaps", "longest_gap"),
    *("missing_target", "missing_share", "targets", "non_finite", "min", "max", "mean", "std"),
    *("zeros", "zero_share", "flat", "outliers"),
)
COUNTS = ("duplicates", "off_grid", "unsorted", "steps", "behind", "gaps", "longest_gap")


@final
@dataclass(frozen=True)
class Profile:
    """What a table looks like.

    Attributes:
        series: one row for each series, see `profile_table`.
        sample: finite targets, an even share of the table's, at most 131,072.
    """

    series: pd.DataFrame
    sample: Floats


def profile_table(folder: Path, source: SourceSpec) -> pd.DataFrame:
    """Return one row for each series of a canonical table.

    Args:
        folder: the table's folder of `part-*.parquet`.
        source: which covariates the table has, and its step.

    Returns:
        `series_id`; `rows`; `missing_timestamps`; `first`, `last` (UTC); `duplicates` (rows that
        repeat a timestamp); `off_grid` (rows); `unsorted` (rows that come before the row above);
        `steps` (first to the table's newest, inclusive); `behind` (steps from last to newest);
        `gaps`, `longest_gap` (steps without a row between first and last); `missing_target` (null
        targets and gaps) and `missing_share` (of the steps first to last); `targets` (finite ones)
        and `non_finite`; `min`, `max`, `mean`, `std`, `zeros` and `zero_share` (of finite ones);
        `flat` (rows of the longest stretch of one equal finite target); `outliers` (share of the
        finite targets beyond 5 robust spreads); `<covariate>__missing` (rows).

    Raises:
        SourceError: if there is no part, a column is missing, or the rows cannot be read.
    """
    return measure_table(folder, source).series


def measure_table(folder: Path, source: SourceSpec) -> Profile:
    """Return one row for each series of a canonical table, and a sample of its targets.

    Args:
        folder: the table's folder of `part-*.parquet`.
        source: which covariates the table has, and its step.

    Raises:
        SourceError: if there is no part, a column is missing, or the rows cannot be read.
    """
    unsorted: Counter[str | None] = Counter()
    with refusing(folder):
        try:
            tally = Tally(source, strict=True).count(stream_rows(folder, source))
        except Disorder:
            unsorted = count_unsorted(stream_rows(folder, source))
            tally = Tally(source, strict=False).count(stream_sorted(folder, source))
    found = count_series(tally, unsorted)
    return Profile(count_steps(found, source), tally.spread.sample.values)


@contextmanager
def refusing(folder: Path) -> Iterator[None]:
    """Turn what goes wrong in reading a table's rows into one sentence.

    Raises:
        SourceError: for rows that cannot be read.
    """
    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        # The frames hold the connection, and one that outlives the interpreter prints pages.
        clear_frames(error.__traceback__)
        raise SourceError(
            f"found rows of {folder} that cannot be profiled ({str(error).splitlines()[0]}), needed"
            " the canonical columns and types; ingest the table again"
        ) from error


@final
class Tally:
    """All counters of one pass.

    Args:
        source: which covariates the table has, and its step.
        strict: raise `Disorder` at rows that are not sorted or lack series or time.
    """

    def __init__(self, source: SourceSpec, *, strict: bool) -> None:
        self.cutter = Cutter(strict=strict)
        self.clock, self.scale, self.spread = Clock(Grid(source.freq)), Scale(), Spread()
        #: Counts of runs: of rows, of rows without timestamp, of nulls of each covariate.
        names = ("rows", "missing_timestamps", *(f"{name}__missing" for name in source.covariates))
        self.counts: dict[str, list[tuple[Integers, Integers]]] = {name: [] for name in names}
        self._strict = strict

    def count(self, batches: Iterator[pa.RecordBatch]) -> Tally:
        """Count all rows.

        Raises:
            Disorder: if the rows are not sorted, or lack series or time.
        """
        for batch in batches:
            if batch.num_rows:
                self._add(self.cutter.cut(batch["series_id"]), batch)
        return self

    def _add(self, runs: Runs, batch: pa.RecordBatch) -> None:
        self.counts["rows"].append((runs.series, runs.lengths))
        moments = batch["timestamp"].cast(pa.int64())
        if moments.null_count:
            if self._strict:
                raise Disorder
            timed = moments.is_valid().to_numpy(zero_copy_only=False)
            lost = count_nulls(runs, moments)
            self.counts["missing_timestamps"].append((runs.series, lost))
            self.clock.add(runs.keep(timed), moments.drop_null().to_numpy())
        else:
            self.clock.add(runs, moments.to_numpy())
        column = batch["target"]
        null = column.is_null().to_numpy(zero_copy_only=False)
        targets = column.to_numpy(zero_copy_only=False)
        self.scale.add(runs, targets, null)
        finite = np.isfinite(targets)
        if finite.all():
            self.spread.add(runs, targets)
        else:
            self.spread.add(runs.keep(finite), targets[finite])
        for name in batch.schema.names[3:]:
            missing = count_nulls(runs, batch[name])
            self.counts[f"{name}__missing"].append((runs.series, missing))


def count_series(tally: Tally, unsorted: Counter[str | None] | None = None) -> pd.DataFrame:
    """Join the counters of a pass: a row for each series."""
    series = len(tally.cutter.ids)
    counts = {name: total(parts, series) for name, parts in tally.counts.items()}
    found = pd.DataFrame(
        {"series_id": pd.Series(tally.cutter.ids, dtype="str")}
        | counts
        | join(tally.clock.parts, Clock.WAYS, series)
        | join(tally.scale.parts, Scale.WAYS, series)
    )
    found["unsorted"] = [unsorted[name] for name in tally.cutter.ids] if unsorted else 0
    found["std"], found["outliers"] = tally.scale.spread(series), tally.spread.share(series)
    return found


def count_steps(found: pd.DataFrame, source: SourceSpec) -> pd.DataFrame:
    """Say of every series of a table in steps what is missing; see `profile_table`."""
    if source.irregular:
        # The steps of events are the events.
        found["first_step"], found["last_step"] = 0, found["rows"] - 1
        found["filled"], found["longest_gap"] = found["rows"], 0
    newest = found["last_step"] if source.irregular else found["last_step"].max()
    found["steps"] = newest - found["first_step"] + 1
    found["behind"] = newest - found["last_step"]
    span = found["steps"] - found["behind"]
    found["gaps"] = span - found["filled"]
    # A series without any timestamp has no steps.
    found[list(COUNTS)] = found[list(COUNTS)].fillna(0).astype("int64")
    whole = ["nulls", "non_finite", "targets", "zeros", "flat"]
    found[whole] = found[whole].fillna(0).astype("int64")
    found["missing_target"] = found["nulls"] + found["gaps"]
    # Duplicates and rows off the grid can lack more targets than there are steps.
    found["missing_share"] = (found["missing_target"] / span).clip(upper=1.0)
    some = found["targets"].where(found["targets"] > 0)
    found["mean"], found["zero_share"] = found["sum"] / some, found["zeros"] / some
    for edge in ("min", "max"):
        found[edge] = found[edge].where(some.notna())
    for edge in ("first", "last"):
        moments = pd.to_datetime(found[edge].astype("Int64"), unit="us", utc=True)
        found[edge] = moments.astype("datetime64[us, UTC]")
    order = [*FIGURES, *(f"{name}__missing" for name in source.covariates)]
    return found[order]

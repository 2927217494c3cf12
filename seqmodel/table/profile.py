"""What each series of a canonical table looks like: one row of figures, in bounded memory.

    first                            last          newest of the table
      |x--x--x-----x--x--x--x--x--x--x|- - - - - - -|
      |<----------- steps ------------------------->|      behind: the steps from last to newest
               gap: steps between first and last without a row

Columns are read by their place in the file, never by a name pasted into SQL: neither a column nor
a series can be called something that changes the query.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from traceback import clear_frames

import duckdb
import numpy as np
import pandas as pd

from seqmodel.errors import SourceError
from seqmodel.grid import Grid
from seqmodel.specs import SourceSpec
from seqmodel.table.columns import find_parts, read_names

MEMORY_LIMIT = "512MB"
THREADS = 2

#: Figures of a series that need no order of rows, by name.
TOTALS = {
    "rows": "count(*)",
    "missing_timestamps": "count(*) - count(t)",
    "nulls": "count(*) - count(y)",
    "non_finite": "count(*) FILTER (NOT isfinite(y))",
    "min": "min(y) FILTER (isfinite(y))",
    "max": "max(y) FILTER (isfinite(y))",
    "mean": "avg(y) FILTER (isfinite(y))",
    # Squares beyond 1e300 would overflow, and DuckDB then gives up on the whole query.
    "std": "stddev_pop(y) FILTER (abs(y) < 1e150)",
    "zeros": "count(*) FILTER (y = 0)",
}

#: Figures that follow from the row before; n is the number of the step, p... the row before.
NEIGHBOURS = """
    WITH timed AS (SELECT s, epoch_us(t) AS t FROM canonical WHERE t IS NOT NULL),
    pairs AS (SELECT s, t, lag(s) OVER {order} AS ps, lag(t) OVER {order} AS pt FROM timed),
    marked AS (SELECT *, pt IS NULL OR s IS DISTINCT FROM ps AS fresh FROM pairs),
    steps AS ({steps})
    SELECT s AS series_id, min(t) AS first, max(t) AS last,
        min(n) AS first_step, max(n) AS last_step,
        count(*) - count(*) FILTER (fresh OR t <> pt) AS duplicates,
        count(*) FILTER (NOT on_grid) AS off_grid,
        count(*) FILTER (fresh OR n <> pn) AS filled,
        greatest(coalesce(max(n - pn - 1) FILTER (NOT fresh), 0), 0) AS longest_gap,
        count(*) FILTER (s < ps OR (NOT fresh AND t < pt)) AS unsorted
    FROM steps GROUP BY s
"""
AS_STORED, BY_TIME = "()", "(PARTITION BY s ORDER BY t)"

# DuckDB divides towards zero: the remainder is made positive first, for moments before 1970.
FIXED_STEPS = """
    SELECT *, (t % $step + $step) % $step = 0 AS on_grid,
        (t - (t % $step + $step) % $step) // $step AS n,
        (pt - (pt % $step + $step) % $step) // $step AS pn FROM marked
"""
CALENDAR_STEPS = """
    SELECT marked.*, here.on_grid, here.n, before.n AS pn FROM marked
    JOIN moments AS here ON here.t = marked.t LEFT JOIN moments AS before ON before.t = marked.pt
"""


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
        targets and gaps) and `missing_share` (of the steps first to last); `min`, `max`, `mean`,
        `std` (finite targets); `zeros`; `non_finite`; `<covariate>__missing` (rows).

    Raises:
        SourceError: if there is no part, a column is missing, or the rows cannot be read.
    """
    try:
        totals, neighbours = _measure(folder, source)
    except duckdb.Error as error:
        # The frames hold the connection, and one that outlives the interpreter prints pages.
        clear_frames(error.__traceback__)
        raise SourceError(
            f"found rows of {folder} that cannot be profiled ({str(error).splitlines()[0]}), needed"
            " the canonical columns and types; ingest the table again"
        ) from error
    return _finish(totals, neighbours, source)


def _measure(folder: Path, source: SourceSpec) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the figures that need no order of rows, and those that do."""
    grid = Grid(source.freq)
    with _open(folder, source) as duck:
        totals = _sum_up(duck, source)
        neighbours = _compare(duck, grid, AS_STORED)
        # Streaming rows as they are stored is exact only where they are sorted.
        unsorted = neighbours.set_index("series_id")["unsorted"]
        if unsorted.any() or totals["series_id"].isna().any():
            neighbours = _compare(duck, grid, BY_TIME)
            neighbours["unsorted"] = neighbours["series_id"].map(unsorted)
    return totals, neighbours


@contextmanager
def _open(folder: Path, source: SourceSpec) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a connection with the view `canonical`: s, t, y and the covariates c0, c1, ..."""
    alias = {"series_id": "s", "timestamp": "t", "target": "y"}
    alias |= {name: f"c{i}" for i, name in enumerate(source.covariates)}
    names = read_names(folder, source)
    listed = ", ".join(alias.get(name, f"other{i}") for i, name in enumerate(names))
    # DuckDB expands wildcards in file names, and without word would read `a=1` as a column.
    files = [escape(str(part)) for part in find_parts(folder)]
    limits: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY_LIMIT,
        "threads": THREADS,
    }
    with (
        tempfile.TemporaryDirectory(prefix="profile-") as spill,
        duckdb.connect(config=limits) as duck,
    ):
        duck.execute("SET temp_directory = ?", [spill])
        duck.execute("SET TimeZone = 'UTC'")
        duck.read_parquet(files, hive_partitioning=False).create_view("stored")
        duck.execute(f"CREATE TEMP VIEW canonical AS SELECT * FROM stored AS t({listed})")  # noqa: S608 - our own aliases
        yield duck


def _sum_up(duck: duckdb.DuckDBPyConnection, source: SourceSpec) -> pd.DataFrame:
    """Return the figures that need no order of rows."""
    figures = [
        *TOTALS.values(),
        *(f"count(*) - count(c{i})" for i in range(len(source.covariates))),
    ]
    found = duck.execute(f"SELECT s, {', '.join(figures)} FROM canonical GROUP BY s").df()  # noqa: S608 - our own figures
    # Named here and not in SQL, where `Rain` and `rain` would be one column.
    found.columns = ["series_id", *TOTALS, *(f"{name}__missing" for name in source.covariates)]
    return found


def _compare(duck: duckdb.DuckDBPyConnection, grid: Grid, order: str) -> pd.DataFrame:
    """Return the figures that need the row before, and hang on the table's newest step."""
    steps, values = FIXED_STEPS, {"step": grid.step}
    if grid.step is None:
        steps, values = CALENDAR_STEPS, {}
        moments = duck.execute("SELECT DISTINCT epoch_us(t) AS t FROM canonical WHERE t NOTNULL")
        t = moments.df()["t"].to_numpy(dtype=np.int64)
        numbered = pd.DataFrame({"t": t, "n": grid.number(t), "on_grid": grid.holds(t)})
        duck.register("moments", numbered)
    return duck.execute(NEIGHBOURS.format(order=order, steps=steps), values).df()


def _finish(totals: pd.DataFrame, neighbours: pd.DataFrame, source: SourceSpec) -> pd.DataFrame:
    """Join both, and say in steps what is missing."""
    found = totals.merge(neighbours, on="series_id", how="left").sort_values("series_id")
    found["steps"] = neighbours["last_step"].max() - found["first_step"] + 1
    found["behind"] = neighbours["last_step"].max() - found["last_step"]
    span = found["steps"] - found["behind"]
    found["gaps"] = span - found["filled"]
    # A series without any timestamp has no steps.
    counts = ["duplicates", "off_grid", "unsorted", "steps", "behind", "gaps", "longest_gap"]
    found[counts] = found[counts].fillna(0).astype("int64")
    found["missing_target"] = found["nulls"] + found["gaps"]
    # Duplicates and rows off the grid can lack more targets than there are steps.
    found["missing_share"] = (found["missing_target"] / span).clip(upper=1.0)
    for edge in ("first", "last"):
        moments = pd.to_datetime(found[edge].astype("Int64"), unit="us", utc=True)
        found[edge] = moments.astype("datetime64[us, UTC]")
    figures = [name for name in TOTALS if name not in ("rows", "missing_timestamps", "nulls")]
    order = ["series_id", "rows", "missing_timestamps", "first", "last", *counts]
    order += ["missing_target", "missing_share", *figures]
    order += [f"{name}__missing" for name in source.covariates]
    return found[order].reset_index(drop=True)

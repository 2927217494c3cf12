"""Large tables to measure with: hourly rows, written month by month as a real source would be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HOUR = 3_600_000_000  # microseconds
START = 1_500_000_000_000_000 // HOUR * HOUR
FILES = 10
GROUP = 1_000_000


def write_source(folder: Path, rows: int, series: int) -> None:
    """Write `rows` rows of `series` series with three covariates into ten files.

    Rows are ordered by time, then by series: each file is one stretch of time of all series, as
    collectors write them. Values are rounded as meters round them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    ids = pa.array([f"{i:06d}" for i in range(series)])
    steps = max(rows // series, 1)
    per_file = -(-steps // FILES)
    per_group = max(GROUP // series, 1)
    for file, first in enumerate(range(0, steps, per_file)):
        last = min(first + per_file, steps)
        groups = (
            _make_rows(rng, ids, range(begin, min(begin + per_group, last)))
            for begin in range(first, last, per_group)
        )
        writer: pq.ParquetWriter | None = None
        for group in groups:
            path = folder / f"{file:03d}.parquet"
            writer = writer or pq.ParquetWriter(path, group.schema, compression="zstd")
            writer.write_table(group)
        if writer:
            writer.close()


def _make_rows(rng: np.random.Generator, ids: pa.Array, steps: range) -> pa.Table:
    series, count = len(ids), len(steps) * len(ids)
    codes = np.tile(np.arange(series, dtype=np.int32), len(steps))
    hours = np.repeat(np.arange(steps.start, steps.stop, dtype=np.int64), series)
    level = 20 + 10 * np.sin(2 * np.pi * hours / 24) + codes % 7
    return pa.table(
        {
            "series_id": ids.take(pa.array(codes)),
            "timestamp": pa.array(START + hours * HOUR).cast(pa.timestamp("us", tz="UTC")),
            "target": (level + rng.normal(0, 2, count)).round(2),
            "temperature": rng.normal(10, 5, count).round(1),
            "wind": rng.gamma(2, 3, count).round(1),
            "price": rng.normal(50, 10, count).round(2),
        }
    )

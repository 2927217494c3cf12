"""Hourly series with a daily cycle, as many as one likes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from tests.benchmarks.tables import HOUR, START

#: Series in a batch.
AT_ONCE = 2000


def make_batches(series: int, steps: int) -> Iterator[pa.RecordBatch]:
    """Yield daily cycles with noise, rounded as meters round them, series by series."""
    hours = np.arange(steps)
    moments = pa.array(START + hours * HOUR).cast(pa.timestamp("us", tz="UTC"))
    for begin in range(0, series, AT_ONCE):
        count = min(AT_ONCE, series - begin)
        rng = np.random.default_rng(begin)
        level = 20 + (begin + np.arange(count)[:, None]) % 7 * 5
        wave = 10 * np.sin(2 * np.pi * (hours / 24 + rng.random((count, 1))))
        values = level + wave + rng.normal(0, 2, (count, steps))
        ids = pa.array([f"{i:07d}" for i in range(begin, begin + count)])
        yield pa.record_batch(
            {
                "series_id": ids.take(pa.array(np.repeat(np.arange(count), steps))),
                "timestamp": moments.take(pa.array(np.tile(hours, count))),
                "target": values.round(2).ravel(),
            }
        )

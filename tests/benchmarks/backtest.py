"""How long a backtest of many series takes, and what it weighs.

python -m tests.benchmarks.backtest [--series 1000] [--cutoffs 10]

A segment network is trained for one epoch on synthetic hourly series; then the job of the
pipeline's own backtest runs in a process of its own, imports and compiling and all: challenger,
every baseline, every metric by series, step and cutoff, `backtest.json`, `scores.parquet`. The last
line is JSON: seconds and peak memory of that process tree, windows forecast and windows a second,
and how many figures by series, step and cutoff were written.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from seqmodel import jobs
from seqmodel.jobs import BacktestJob, TrainJob
from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import ModelRef, RunRef
from seqmodel.store.store import Store
from seqmodel.windowing import make_windows
from tests.benchmarks.measuring import measure
from tests.benchmarks.warm import run_job
from tests.seqmodel.small import put_table

STEPS = 24 * 7 * 8
START = np.datetime64("2024-01-01T00:00", "us")
RUN = RunRef(pipeline="bench", run="night", as_of=datetime(2024, 3, 1, tzinfo=UTC))


def make_table(series: int) -> pa.Table:
    """Hourly series with a daily and a weekly season, eight weeks each."""
    rng = np.random.default_rng(0)
    hours = np.arange(STEPS)
    moments = pa.array(START + hours * np.timedelta64(1, "h")).cast(pa.timestamp("us", tz="UTC"))
    parts = []
    for number in range(series):
        day, week = (np.sin(2 * np.pi * (hours + number) / n) for n in (24, 168))
        target = 50 + 10 * day + 5 * week + rng.normal(0, 2, STEPS)
        ids = pa.array([f"{number:06}"]).take(pa.array(np.zeros(STEPS, dtype=np.int32)))
        parts.append(pa.table({"series_id": ids, "timestamp": moments, "target": target}))
    return pa.concat_tables(parts)


def make_spec(cutoffs: int) -> PipelineSpec:
    """A day ahead from a week, in segments of a day."""
    return PipelineSpec.model_validate(
        {
            "name": "bench",
            "source": {"uri": "x", "freq": "h", "season_length": 24},
            "window": {"lookback": 168, "horizon": 24, "stride": 24},
            "model": {"kind": "segment", "segment": 24, "units": 64},
            "train": {"epochs": 1},
            "backtest": {"cutoffs": cutoffs, "step": 24},
        }
    )


def main() -> None:
    """Prepare, measure, print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--cutoffs", type=int, default=10)
    parser.add_argument("--job", type=Path, help="run this job and nothing else")
    asked = parser.parse_args()
    if asked.job:
        print(json.dumps(jobs.backtest(json.loads(asked.job.read_text()), lambda _: None)))
        return
    spec = make_spec(asked.cutoffs)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        judged = put_table(store, make_table(asked.series), spec)
        windows = make_windows(store, judged, spec)
        train = TrainJob(
            root=folder, spec=spec, as_of=RUN.as_of, windows=windows, lineage={},
            table=judged.table,
        )  # fmt: skip
        model = ModelRef.model_validate(run_job("train", train))
        print("trained, the backtest begins", file=sys.stderr)
        job = BacktestJob(
            root=folder, spec=spec, run=RUN, table=judged.table, models={"challenger": model}
        )
        place = Path(folder) / "job.json"
        place.write_text(job.model_dump_json())
        cost = measure("tests.benchmarks.backtest", "--job", str(place))
        written = store.read_json(cost.answer["key"])
        counted = count_scores(pq.read_table(store.path(f"{RUN.key}/scores.parquet")))
    print(json.dumps(describe(cost.seconds, cost.peak_rss_mb, written, counted)))


def count_scores(rows: pa.Table) -> dict[str, int]:
    """Return how many figures were written by series, by step and by cutoff."""
    figures = [name for name in rows.column_names if pa.types.is_floating(rows[name].type)]
    found = rows.group_by("by").aggregate([(name, "count") for name in figures]).to_pylist()
    return {row["by"]: sum(v for k, v in row.items() if k != "by") for row in found}


def describe(
    seconds: float, peak: float, written: dict, counted: dict[str, int]
) -> dict[str, float]:
    """Return the line of figures."""
    return {
        "series": len(written["by_series"]["challenger"]),
        "cutoffs": len(written["cutoffs"]),
        "windows": written["windows"],
        "seconds": round(seconds, 2),
        "windows_per_s": round(written["windows"] / seconds),
        "peak_rss_mb": round(peak),
        "candidates": len(written["scores"]),
        **{f"scores_by_{by}": count for by, count in counted.items()},
    }


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    main()

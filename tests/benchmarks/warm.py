"""What a warm start saves, over nights of the sample that follow one another.

python -m tests.benchmarks.warm [--nights 14]

Each night, the table as it was known then: one training from scratch, one that goes on from the
version of the night before, each in a child process as the pipeline runs it; both are scored by the
pipeline's own backtest on the same windows. The last line is JSON: the seconds of training (median
over the nights that could be warm), their ratio, both scores (mean MASE), and the peak memory of
a child over the first two nights and over all of them: flat when both are the same.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from seqmodel.jobs import BacktestJob, TrainJob
from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import ModelRef, ValidatedTableRef
from seqmodel.store.runs import name_run
from seqmodel.store.store import Store
from seqmodel.table.ingesting import ingest_table
from seqmodel.table.quality import Verdict
from seqmodel.table.reading import look_at
from seqmodel.windowing import make_windows
from tasks.child import run_in_child
from tests.benchmarks.measuring import ROOT

FIRST = datetime(2013, 11, 17, tzinfo=UTC)
DEADLINE = 3600.0


def read_sample() -> PipelineSpec:
    """Return the spec of the sample's nightly deployment, its source by its full path."""
    found = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    (nightly,) = (d for d in found["deployments"] if d["name"] == "nightly")
    spec = nightly["parameters"]["spec"]
    spec["source"]["uri"] = str(ROOT / spec["source"]["uri"])
    return PipelineSpec.model_validate(spec)


def run_job(function: str, job: Any) -> Any:
    """Run a job of the pipeline in a child process."""
    return run_in_child(
        f"seqmodel.jobs:{function}",
        job.model_dump(mode="json"),
        deadline=DEADLINE,
        tell=lambda _: None,
        log=logging.getLogger("warm"),
    )


def main() -> None:
    """Measure night after night and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=14)
    asked = parser.parse_args()
    whole = read_sample()
    train = whole.train.model_copy(update={"warm_start": True, "scratch_every": asked.nights})
    spec = whole.model_copy(update={"train": train})
    nights: list[dict[str, float]] = []
    peaks: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        store, last = Store(Path(folder)), None
        for number in range(asked.nights):
            as_of = FIRST + timedelta(days=number)
            figures, last = measure_night(store, spec, as_of, last)
            nights.append(figures)
            peaks.append(round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024))
            print(f"{as_of:%Y-%m-%d} {json.dumps(figures)} peak {peaks[-1]} MB", file=sys.stderr)
    later = nights[1:]
    means = {name: statistics.fmean(night[name] for night in later) for name in later[0]}
    middle = {name: statistics.median(night[name] for night in later) for name in later[0]}
    answer = {
        "nights": len(later),
        "warm_s": round(middle["warm_s"], 2),
        "scratch_s": round(middle["scratch_s"], 2),
        "ratio": round(middle["warm_s"] / middle["scratch_s"], 3),
        "warm_wall_s": round(middle["warm_wall_s"], 2),
        "scratch_wall_s": round(middle["scratch_wall_s"], 2),
        "warm_mase": round(means["warm_mase"], 4),
        "scratch_mase": round(means["scratch_mase"], 4),
        "worse": round(means["warm_mase"] / means["scratch_mase"] - 1, 4),
        "first_peak_rss_mb": peaks[1],
        "peak_rss_mb": peaks[-1],
    }
    print(json.dumps(answer))


def measure_night(
    store: Store, spec: PipelineSpec, as_of: datetime, last: ModelRef | None
) -> tuple[dict[str, float], ModelRef]:
    """Train twice, score both, return the figures and the version to go on from."""
    source = look_at(spec.source)
    run = name_run(spec, as_of, source)
    table = ingest_table(store, run, as_of, source, spec)
    judged = ValidatedTableRef(table=table, verdict=Verdict(table=table.fingerprint, rules=()))
    windows = make_windows(store, judged, spec)
    found, figures = {}, {}
    for name, parent in (("scratch", None), ("warm", last)):
        job = TrainJob(
            root=str(store.root),
            spec=spec,
            as_of=as_of,
            windows=windows,
            lineage={"table": table.fingerprint, "name": name},
            parent=parent,
        )
        begun = time.monotonic()
        found[name] = ModelRef.model_validate(run_job("train", job))
        figures[f"{name}_wall_s"] = time.monotonic() - begun
        figures[f"{name}_s"] = found[name].seconds
    models = {"challenger": found["warm"], "scratch": found["scratch"]}
    job = BacktestJob(root=str(store.root), spec=spec, run=run, table=table, models=models)
    scores = run_job("backtest", job)["scores"]
    figures["warm_mase"] = scores["challenger"]["mase"]
    figures["scratch_mase"] = scores["scratch"]["mase"]
    return figures, found["warm"]


if __name__ == "__main__":
    main()

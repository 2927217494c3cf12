"""Forecast many series: from a canonical table to a published forecast, in shards, on two cores.

    python -m tests.benchmarks.forecast --series 100000 [--kind gru] [--runtime keras] [--peer]

The table is hourly, eight days a series; the model was trained on 500 of the series, to the others
it is new: they are scaled by their own lookback. A tenth of the series and all of them are forecast
by processes of their own that begin with nothing loaded. The last line is JSON: series, seconds and
series_per_s (from the first byte read, imports, loading and compiling included, to the manifest in
place), steady_series_per_s (of the difference between a tenth and all: what a longer run tends to),
start_s (what does not depend on the number), exponent (of the time: 1 is linear),
peak_rss_mb (of the whole process tree) and rss_ratio (all against a tenth). The networks' graphs
are made once a version, before its first forecast in many shards: graph_s, by a process of its own
that begins with nothing loaded and is not part of seconds.

With `--peer` neuralforecast forecasts the same table by a GRU of 64 units in an environment of its
own, Parquet to Parquet as well, by a process that begins with nothing loaded: peer_series_per_s,
peer_predict_s (its `predict` alone, everything in memory), peer_peak_rss_mb, and ratio, ours to it.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from tests.benchmarks.measuring import measure, measure_command

PEER = Path(__file__).with_name("peers_predict.py")
AS_OF = datetime(2024, 1, 1, tzinfo=UTC)
STEPS = 192
TAUGHT, TAUGHT_STEPS = 500, 960
CHILDREN = 2


def make_spec(kind: str, runtime: str = "onnx") -> Any:
    """Return the pipeline that is measured: lookback 168, horizon 24, three quantiles."""
    from seqmodel.specs import PipelineSpec

    return PipelineSpec.model_validate(
        {
            "name": "bench",
            "source": {"uri": "none", "freq": "h"},
            "window": {"lookback": 168, "horizon": 24},
            "model": {"kind": kind},
            "train": {"epochs": 1, "windows_per_epoch": 4096},
            "backtest": {"cutoffs": 1},
            "forecast": {"at_once": CHILDREN, "runtime": runtime},
        }
    )


def put_table(root: Path, series: int, steps: int) -> Any:
    """Write a canonical table below a data root, as ingest does; return its ref."""
    from seqmodel.grid import to_datetime
    from seqmodel.store.ledgers import Ledger
    from seqmodel.store.refs import TableRef
    from seqmodel.store.store import Store
    from seqmodel.store.tables import fingerprint_table, table_key, write_parts
    from tests.benchmarks.cycles import make_batches
    from tests.benchmarks.tables import HOUR, START

    store, batches = Store(root), make_batches(series, steps)
    one = next(batches)
    with store.workshop("bench") as shop:
        rows = write_parts(shop / "table", one.schema, chain([one], batches))
        fingerprint = fingerprint_table(shop / "table")
        key = table_key("bench", fingerprint)
        store.publish(shop / "table", key)
    return TableRef(
        key=key,
        fingerprint=fingerprint,
        series=series,
        first=to_datetime(START),
        cutoff=to_datetime(START + (steps - 1) * HOUR),
        future=0,
        ledger=Ledger(read=rows, kept=rows, quarantined=0, duplicates=0, after_as_of=0),
        files=(),
    )


def train(root: Path, kind: str) -> Any:
    """Train the model on few of the series."""
    from seqmodel.store.refs import ValidatedTableRef
    from seqmodel.store.store import Store
    from seqmodel.table.quality import Verdict
    from seqmodel.training import train_model
    from seqmodel.windowing import make_windows

    store, spec = Store(root), make_spec(kind)
    table = put_table(root, TAUGHT, TAUGHT_STEPS)
    verdict = Verdict(table=table.fingerprint, rules=())
    windows = make_windows(store, ValidatedTableRef(table=table, verdict=verdict), spec)
    return train_model(store, windows, spec, AS_OF, {}, lambda _: None, table=table)


def put_graph(root: Path, model: Any) -> Any:
    """Make the graphs of the model, as the task does; return their ref."""
    from seqmodel.graphing import make_graph
    from seqmodel.store.refs import ModelRef
    from seqmodel.store.store import Store

    return make_graph(Store(root), ModelRef.model_validate(model))


def run_forecast(
    root: Path, kind: str, table: Any, model: Any, graph: Any = None
) -> dict[str, Any]:
    """Plan, forecast the shards and publish, as the tasks do."""
    from tasks.crew import GRAPH, NETWORK, hold_crew

    # As in the flow the children load while it plans.
    with hold_crew(CHILDREN, GRAPH if graph else NETWORK) as crew:
        return run_shards(crew, root, kind, table, model, graph)


def run_shards(
    crew: Any, root: Path, kind: str, table: Any, model: Any, graph: Any
) -> dict[str, Any]:
    """Plan, forecast the shards by a crew and publish."""
    from seqmodel.jobs import ShardJob
    from seqmodel.planning import plan_forecast
    from seqmodel.publishing import publish_shards
    from seqmodel.store.parts import PartRef
    from seqmodel.store.refs import ModelRef, TableRef
    from seqmodel.store.store import Store

    store, spec = Store(root), make_spec(kind, "onnx" if graph else "keras")
    table, model = TableRef.model_validate(table), ModelRef.model_validate(model)
    shards = plan_forecast(store, table, spec)
    what = {"root": str(root), "spec": spec, "table": table, "model": model, "graph": graph}
    jobs = [ShardJob(shard=one, **what).model_dump(mode="json") for one in shards]
    log = logging.getLogger("bench")
    with ThreadPoolExecutor(len(jobs)) as pool:

        def ask(job: dict[str, Any]) -> PartRef:
            answer = crew.ask("seqmodel.jobs:forecast_shard", job, deadline=3600, log=log)
            return PartRef.model_validate(answer)

        parts = list(pool.map(ask, jobs))
    ref = publish_shards(store, table, model, parts, spec)
    return {"shards": len(shards), "rows": ref.rows, "series": ref.series}


def main() -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--kind", default="segment", help="model of the registry")
    parser.add_argument("--runtime", default="onnx", choices=["onnx", "keras"])
    parser.add_argument("--peer", action="store_true", help="set neuralforecast beside it")
    parser.add_argument(
        "--step", choices=["table", "train", "graph", "run"], help=argparse.SUPPRESS
    )
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--refs", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step is None:
        with tempfile.TemporaryDirectory() as place:
            figures = compare(Path(place), given)
        sys.stdout.write(json.dumps(figures) + "\n")
    elif given.step == "run":
        sys.stdout.write(json.dumps(run_forecast(given.root, given.kind, **given.refs)) + "\n")
    else:
        steps = {
            "train": lambda: train(given.root, given.kind),
            "graph": lambda: put_graph(given.root, given.refs["model"]),
            "table": lambda: put_table(given.root, given.series, STEPS),
        }
        sys.stdout.write(f"{steps[given.step]().model_dump_json()}\n")


def compare(root: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Forecast a tenth and all of the series."""
    module, series, kind = "tests.benchmarks.forecast", given.series, given.kind
    words = ("--root", str(root), "--kind", kind)
    model = measure(module, "--step", "train", *words).answer
    costs, keys, graph = {}, {}, None
    if given.runtime == "onnx":
        refs = json.dumps({"model": model})
        graph = measure(module, "--step", "graph", "--refs", refs, *words)
    for count in (series // 10, series):
        sized = ("--series", str(count), *words)
        table = measure(module, "--step", "table", *sized).answer
        keys[count] = table["key"]
        known = {"table": table, "model": model, "graph": graph and graph.answer}
        refs = json.dumps(known)
        cost = costs[count] = measure(module, "--step", "run", "--refs", refs, *sized)
        if cost.answer["rows"] != count * 24:
            raise SystemExit(f"found {cost.answer['rows']} rows, needed {count * 24}")
        sys.stderr.write(f"{count:,} series: {cost.seconds:.1f} s, {cost.peak_rss_mb:.0f} MB\n")
    few, all_ = costs[series // 10], costs[series]
    each = (all_.seconds - few.seconds) / (series - series // 10)
    start = max(few.seconds - each * (series // 10), 0.0)
    return {
        "series": series,
        "kind": kind,
        "runtime": given.runtime,
        "graph_s": graph and round(graph.seconds, 2),
        "seconds": round(all_.seconds, 2),
        "series_per_s": round(series / all_.seconds),
        "steady_series_per_s": round(1 / each),
        "start_s": round(start, 2),
        "cpu_us_per_series": round(all_.cpu_s / series * 1e6, 1),
        "exponent": round(math.log10(all_.seconds / few.seconds), 3),
        "peak_rss_mb": round(all_.peak_rss_mb),
        "rss_ratio": round(all_.peak_rss_mb / few.peak_rss_mb, 3),
        "shards": all_.answer["shards"],
        **(ask_peer(root, keys, series, all_.seconds) if given.peer else {}),
    }


def ask_peer(root: Path, keys: dict[int, str], series: int, ours: float) -> dict[str, Any]:
    """Let neuralforecast forecast the same table, trained on a tenth of the series."""
    from seqmodel.store.store import Store
    from tests.benchmarks.peers_setup import prepare_environment

    python, store = str(prepare_environment()), Store(root)
    base = [python, str(PEER), "--model", str(root / "peer")]
    few, all_ = (["--table", str(store.find(keys[count]))] for count in (series // 10, series))
    subprocess.run([*base, *few, "--fit"], check=True, stdout=sys.stderr)
    cost = measure_command([*base, *all_, "--out", str(root / "peer.parquet")])
    if cost.answer["rows"] != series * 24:
        raise SystemExit(f"found {cost.answer['rows']} rows of the peer, needed {series * 24}")
    return {
        "peer_series_per_s": round(series / cost.seconds),
        "peer_predict_s": cost.answer["predict_s"],
        "peer_peak_rss_mb": round(cost.peak_rss_mb),
        "ratio": round(cost.seconds / ours, 2),
    }


if __name__ == "__main__":
    main()

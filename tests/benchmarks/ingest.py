"""Ingest and validate a large source: time, memory, and what an unchanged one costs.

    python -m tests.benchmarks.ingest --rows 10000000 --series 1000

The last line is JSON: rows, series, seconds, peak_rss_mb (of the whole process tree), rows_per_s,
unchanged_s (to recognise the same source again, imports included), exponent (of the time between a
tenth of the rows and all: 1 is linear), and, up to 10M rows, ge_cpu_ratio and ge_rss_ratio: ours
against the same rules by Great Expectations on the whole pandas frame.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks.measuring import measure
from tests.benchmarks.tables import FILES, write_source

AS_OF = datetime(2100, 1, 1, tzinfo=UTC)
COMPARED_ROWS = 10_000_000


def make_spec(source: Path) -> Any:
    """Return the pipeline that is measured."""
    from seqmodel.specs import PipelineSpec

    return PipelineSpec.model_validate(
        {
            "name": "bench",
            "source": {"uri": str(source), "past": ["temperature", "wind", "price"]},
            "quality": {"minimum": -100, "maximum": 200, "max_age": 100_000_000},
            "backtest": {"cutoffs": 1},
            "window": {"lookback": 24, "horizon": 6},
        }
    )


def run_ingest(source: Path, root: Path) -> dict[str, Any]:
    """Look, ingest, judge and publish, as the nightly tasks do."""
    from seqmodel.store.runs import name_run
    from seqmodel.store.store import Store
    from seqmodel.store.tables import publish_table
    from seqmodel.table.ingesting import ingest_table
    from seqmodel.table.reading import look_at
    from tasks.judging import explain, judge

    spec, store = make_spec(source), Store(root)
    found = look_at(spec.source)
    table = ingest_table(store, name_run(spec, AS_OF, found), AS_OF, found, spec)
    verdict = judge(store.find(table.key), spec, AS_OF)
    if verdict.stops:
        raise SystemExit(explain(verdict))
    publish_table(store, table)
    return {"table": str(store.path(table.key)), "source": found.fingerprint}


def run_look(source: Path) -> dict[str, Any]:
    """Recognise the source."""
    from seqmodel.table.reading import look_at

    return {"source": look_at(make_spec(source).source).fingerprint}


def main() -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--step", choices=["ingest", "look"], help=argparse.SUPPRESS)
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        done = (
            run_look(given.source) if given.step == "look" else run_ingest(given.source, given.root)
        )
        sys.stdout.write(json.dumps(done) + "\n")
        return
    with tempfile.TemporaryDirectory() as place:
        sys.stdout.write(json.dumps(compare(Path(place), given.rows, given.series)) + "\n")


def compare(place: Path, rows: int, series: int) -> dict[str, Any]:
    """Measure a tenth and all of the rows."""
    module = "tests.benchmarks.ingest"
    costs = {}
    for name, count in (("tenth", rows // 10), ("all", rows)):
        source, root = place / name, place / f"{name}-root"
        write_source(source, max(count, series * FILES), series)
        words = ("--source", str(source), "--root", str(root))
        costs[name] = measure(module, "--step", "ingest", *words)
        sys.stderr.write(f"{count:,} rows: {costs[name].seconds:.1f} s\n")
    whole = costs["all"]
    again = measure(module, "--step", "look", "--source", str(place / "all"))
    if again.answer["source"] != whole.answer["source"]:
        raise SystemExit("found the unchanged source not recognised, needed its fingerprint equal")
    figures = {
        "rows": rows,
        "series": series,
        "seconds": round(whole.seconds, 2),
        "peak_rss_mb": round(whole.peak_rss_mb),
        "rows_per_s": round(rows / whole.seconds),
        "unchanged_s": round(again.seconds, 2),
        "exponent": round(math.log10(whole.seconds / costs["tenth"].seconds), 3),
    }
    if rows <= COMPARED_ROWS:
        from tests.benchmarks.validation import compare as compare_rules

        spec = make_spec(place / "all")
        ratios = compare_rules(Path(whole.answer["table"]), spec, AS_OF)
        figures |= {name: ratios[name] for name in ("ge_cpu_ratio", "ge_rss_ratio")}
    return figures


if __name__ == "__main__":
    main()

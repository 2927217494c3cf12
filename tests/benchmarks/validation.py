"""What judging costs: our streamed profile beside the same expectations on the whole pandas frame.

    python -m tests.benchmarks.validation TABLE_FOLDER [FREQ]

Each side runs in a process of its own, which says what CPU time and peak memory it took, imports
included, and what each rule found. The reference is what one writes with pandas and Great
Expectations: read the table, add a column for what a rule needs, validate.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from seqmodel.specs import PipelineSpec

ROOT = Path(__file__).resolve().parents[2]
#: Greatest finite double: infinities are beyond it.
FINITE = sys.float_info.max
FAR = 5 * 1.4826


def compare(table: Path, spec: PipelineSpec, as_of: datetime) -> dict[str, Any]:
    """Judge a table by both ways, one after the other.

    Args:
        table: folder of `part-*.parquet`.
        spec: the pipeline; `source.freq` must be a fixed step.
        as_of: the moment to judge at.

    Returns:
        `ge_cpu_ratio` and `ge_rss_ratio` (ours over theirs, imports included), the same without
        imports (`..._net`), the figures of both sides, and `same_verdicts`.
    """
    ours, theirs = (_run(side, table, spec, as_of) for side in ("ours", "whole"))
    figures: dict[str, Any] = {}
    for name in ("cpu_s", "rss_mb"):
        label = name.split("_")[0]
        figures[f"ge_{label}_ratio"] = ours[name] / theirs[name]
        net = [side[name] - side[f"import_{name}"] for side in (ours, theirs)]
        figures[f"ge_{label}_ratio_net"] = net[0] / net[1]
        figures |= {f"ours_{name}": ours[name], f"whole_{name}": theirs[name]}
        figures |= {f"ours_{name}_net": net[0], f"whole_{name}_net": net[1]}
    figures = {name: round(value, 3) for name, value in figures.items()}
    both = ours["passed"], theirs["passed"]
    shared = sorted(set(both[0]) & set(both[1]))
    differ = [name for name in shared if both[0][name] != both[1][name]]
    return figures | {"same_verdicts": not differ, "rules": len(shared), "differ": differ}


def _run(side: str, table: Path, spec: PipelineSpec, as_of: datetime) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.validation", side, str(table)]
    done = subprocess.run(
        [*command, spec.model_dump_json(), as_of.isoformat()],
        check=True,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def judge_ours(table: Path, spec: PipelineSpec, as_of: datetime) -> dict[str, bool]:
    """Return which rules pass, by the project's own way."""
    from tasks.judging import judge

    return {rule.rule: rule.outcome == "passed" for rule in judge(table, spec, as_of).rules}


def judge_whole(table: Path, spec: PipelineSpec, as_of: datetime) -> dict[str, bool]:
    """Return which rules pass, by Great Expectations on the whole frame."""
    import great_expectations as gx
    import pandas as pd
    from great_expectations.data_context.types.base import ProgressBarsConfig

    frame = pd.read_parquet(sorted(table.glob("part-*.parquet")))
    series = _add_columns(frame, spec)
    passed: dict[str, bool] = {}
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_pandas("whole")
    for name, looked_at, listed in (
        ("rows", frame, _expect_rows(spec, as_of)),
        ("series", series, _expect_series(spec)),
    ):
        suite = gx.ExpectationSuite(name=name)
        for rule, expectation in listed:
            suite.add_expectation(expectation.copy(update={"meta": {"rule": rule}}))
        definition = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe(name)
        batch = definition.get_batch({"dataframe": looked_at})
        for result in batch.validate(suite).results:
            rule = result.expectation_config.meta["rule"]
            passed[rule] = passed.get(rule, True) and bool(result.success)
    return passed


def _add_columns(frame: Any, spec: PipelineSpec) -> Any:
    """Add what the row rules need, and return a frame with a row a series."""
    import pandas as pd

    step = pd.Timedelta(pd.tseries.frequencies.to_offset(spec.source.freq))
    by = frame.groupby("series_id", sort=False)
    frame["apart"] = by["timestamp"].diff() / step
    frame["off_grid"] = frame["timestamp"] - frame["timestamp"].dt.floor(step)
    frame["off_grid"] = frame["off_grid"] / step
    fresh = (frame["series_id"] != frame["series_id"].shift()) | (frame["target"].diff() != 0)
    frame["stretch"] = fresh.cumsum()
    flat = frame.groupby("stretch")["target"].transform("size")
    frame["flat"] = flat.where(frame["target"].notna(), 0)
    off = (frame["target"] - by["target"].transform("median")).abs()
    spread = off.groupby(frame["series_id"], sort=False).transform("median")
    frame["far"] = (off > FAR * spread) & (spread > 0)
    by = frame.groupby("series_id", sort=False)
    series = by.agg(
        first=("timestamp", "min"),
        last=("timestamp", "max"),
        rows=("target", "size"),
        targets=("target", "count"),
        least=("target", "min"),
        most=("target", "max"),
        flat=("flat", "max"),
        outliers=("far", "mean"),
    )
    newest = series["last"].max()
    span = (series["last"] - series["first"]) / step + 1
    series["missing_share"] = 1 - series["targets"] / span
    series["behind"] = (newest - series["last"]) / step
    series["steps"] = (newest - series["first"]) / step + 1
    return series.reset_index()


def _expect_rows(spec: PipelineSpec, as_of: datetime) -> Iterator[tuple[str, Any]]:
    import great_expectations.expectations as gxe
    import pandas as pd

    from tasks.rules import Asked

    step = pd.Timedelta(pd.tseries.frequencies.to_offset(spec.source.freq))
    newest = Asked(spec, as_of).newest
    between, limits = gxe.ExpectColumnValuesToBeBetween, spec.quality
    for column, kind in (("timestamp", "Timestamp"), ("target", "float64")):
        yield "columns", gxe.ExpectColumnValuesToBeOfType(column=column, type_=kind)
    yield "some_series", gxe.ExpectTableRowCountToBeBetween(min_value=1)
    yield "ids", gxe.ExpectColumnValuesToNotBeNull(column="series_id")
    yield "timestamps", gxe.ExpectColumnValuesToNotBeNull(column="timestamp")
    yield "unique", gxe.ExpectCompoundColumnsToBeUnique(column_list=["series_id", "timestamp"])
    low, high = limits.minimum, limits.maximum
    if low is not None or high is not None:
        yield "limits", between(column="target", min_value=low, max_value=high)
    yield "finite", between(column="target", min_value=-FINITE, max_value=FINITE)
    oldest = newest - limits.max_age * step
    yield "fresh", gxe.ExpectColumnMaxToBeBetween(column="timestamp", min_value=oldest)
    yield "past", between(column="timestamp", max_value=newest)
    yield "regular", between(column="off_grid", min_value=0, max_value=0)
    yield "sorted", between(column="apart", min_value=0)
    for name in spec.source.covariates:
        yield "covariates", gxe.ExpectColumnValuesToNotBeNull(column=name, mostly=0.5)


def _expect_series(spec: PipelineSpec) -> Iterator[tuple[str, Any]]:
    import great_expectations.expectations as gxe

    from tasks.rules import Asked

    between, limits = gxe.ExpectColumnValuesToBeBetween, spec.quality
    steps = Asked(spec, datetime.fromtimestamp(0).astimezone()).steps
    enough = 1 - limits.max_bad_series
    yield "targets", between(column="missing_share", max_value=limits.max_missing, mostly=enough)
    yield "long_enough", gxe.ExpectColumnMaxToBeBetween(column="steps", min_value=steps)
    yield "all_long_enough", between(column="steps", min_value=steps)
    yield "varied", gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="most", column_B="least")
    yield "current", between(column="behind", max_value=0)
    yield "flat", between(column="flat", max_value=limits.max_flat)
    yield "outliers", between(column="outliers", max_value=limits.max_outliers)


def _read_usage() -> dict[str, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {"cpu_s": used.ru_utime + used.ru_stime, "rss_mb": used.ru_maxrss / 1024}


def _measure(side: str, table: str, spec: str, as_of: str) -> None:
    """Be one side: judge, and print one line of what it took."""
    import great_expectations.expectations
    import pandas as pd  # noqa: F401 - both sides load it

    import tasks.judging  # noqa: F401 - both sides load it

    assert great_expectations.__version__
    loaded = {f"import_{name}": value for name, value in _read_usage().items()}
    way = judge_ours if side == "ours" else judge_whole
    asked = PipelineSpec.model_validate_json(spec)
    passed = way(Path(table), asked, datetime.fromisoformat(as_of))
    print(json.dumps(_read_usage() | loaded | {"passed": passed}))


def main() -> None:
    """Compare both ways on a table, at the moment its newest step is over."""
    import pyarrow.parquet as pq

    from seqmodel.grid import Grid, to_datetime
    from seqmodel.table.profile import profile_table

    table, freq = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "h"
    columns = pq.read_schema(next(table.glob("part-*.parquet"))).names
    past = [name for name in columns if name not in ("series_id", "timestamp", "target")]
    source: dict[str, Any] = {"uri": "x", "freq": freq, "past": past}
    spec = PipelineSpec.model_validate({"name": "benchmark", "source": source})
    newest = profile_table(table, spec.source)["last"].max()
    as_of = to_datetime(newest.value // 1000 + (Grid(freq).step or 0))
    print(json.dumps(compare(table, spec, as_of)))


if __name__ == "__main__":
    if sys.argv[1] in ("ours", "whole"):
        _measure(*sys.argv[1:])
    else:
        main()

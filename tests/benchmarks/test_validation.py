"""Both sides of the benchmark give one verdict, on sound and on faulty tables."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seqmodel.specs import PipelineSpec
from tests.benchmarks.validation import judge_ours, judge_whole

HOURS = 200
AS_OF = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=HOURS)
SPEC = PipelineSpec.model_validate(
    {
        "name": "b",
        "source": {"uri": "x", "past": ["rain"]},
        "quality": {"minimum": 0, "maximum": 1000, "max_flat": 30, "max_age": 3},
        "window": {"lookback": 24, "horizon": 6},
        "backtest": {"cutoffs": 2, "step": 6},
    }
)


def make():
    times = pd.date_range("2024-01-01", periods=HOURS, freq="h", tz="UTC", unit="us")
    table = pd.DataFrame(
        {"series_id": np.repeat(["a", "b", "c"], HOURS), "timestamp": [*times] * 3}
    )
    return table.assign(target=50 + 10 * np.sin(np.arange(3.0 * HOURS)), rain=1.0)


def put(value, rows, column="target"):
    def change(table):
        table.loc[rows, column] = value
        return table

    return change


FAULTS = {
    "none": lambda table: table,
    "limits": put(1001.0, 5),
    "finite": put(np.inf, 5),
    "targets": put(np.nan, slice(0, 100)),
    "unique": lambda table: table.iloc[[*range(11), 10, *range(11, len(table))]],
    "regular": put(pd.Timestamp("2024-01-01T10:30Z"), 10, "timestamp"),
    "sorted": lambda table: table.iloc[[1, 0, *range(2, len(table))]],
    "flat": put(7.0, slice(5, 60)),
    "outliers": put(500.0, slice(0, 6)),
    "varied": put(1.0, slice(0, HOURS - 1)),
    "current": lambda table: table.drop([HOURS - 1]),
    "fresh": lambda table: table[table["timestamp"].dt.day < 8],
    "covariates": put(np.nan, slice(0, 450), "rain"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_both_ways_find_the_same(tmp_path, fault):
    table = pa.Table.from_pandas(FAULTS[fault](make()), preserve_index=False)
    pq.write_table(table, tmp_path / "part-00000.parquet")
    ours, whole = judge_ours(tmp_path, SPEC, AS_OF), judge_whole(tmp_path, SPEC, AS_OF)
    assert len(whole) == 19
    if fault == "finite":
        # Ours says once that a target is infinite, theirs that it is beyond the limits as well.
        assert (ours.pop("limits"), whole.pop("limits")) == (True, False)
    assert {name: ours[name] for name in whole} == whole
    assert fault == "none" or not whole[fault]

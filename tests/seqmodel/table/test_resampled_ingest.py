"""Finer rows become steps on their way into the table, and the ledger still counts the rows."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seqmodel.specs import PipelineSpec
from seqmodel.store.runs import name_run
from seqmodel.store.store import Store
from seqmodel.table.ingesting import ingest_table
from seqmodel.table.reading import look_at

MINUTES = 10
AS_OF = datetime(2024, 1, 2, 5, 30, tzinfo=UTC)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two days of a value every ten minutes."""
    n = 2 * 24 * 60 // MINUTES
    at = np.datetime64("2024-01-01T00:00", "us") + np.arange(n) * np.timedelta64(MINUTES, "m")
    rows = pa.table(
        {
            "series_id": ["a"] * n,
            "timestamp": pa.array(at).cast(pa.timestamp("us", tz="UTC")),
            "target": np.arange(float(n)),
            "plan": np.ones(n),
        }
    )
    pq.write_table(rows, tmp_path / "fine.parquet")
    return tmp_path / "fine.parquet"


def test_an_hour_is_the_sum_of_its_rows_and_comes_only_once_it_is_over(source, tmp_path):
    spec = PipelineSpec.model_validate(
        {
            "name": "p",
            "source": {"uri": str(source), "freq": "h", "known": ["plan"]},
            "grid": {"resample": "sum"},
            "window": {"lookback": 3, "horizon": 2},
        }
    )
    store, found = Store(tmp_path / "root"), look_at(spec.source)
    table = ingest_table(store, name_run(spec, AS_OF, found), AS_OF, found, spec)
    rows = pq.read_table(store.find(table.key) / "part-00000.parquet")
    assert rows.num_rows == 24 + 5
    assert rows["target"][0].as_py() == sum(range(6))
    assert table.cutoff == datetime(2024, 1, 2, 4, tzinfo=UTC)
    assert table.ledger.kept == 29 * 6
    assert table.ledger.after_as_of == table.ledger.read - 29 * 6
    assert table.future == 2

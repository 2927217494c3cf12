"""Make the golden bundle anew: only when bundles get another format, or a network is changed.

python -m tests.seqmodel.golden.build
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

HERE = Path(__file__).parent
AS_OF = datetime(2024, 1, 11, tzinfo=UTC)
#: A little of everything that a bundle holds: lags, statistics, categories, an embedding.
SECTIONS = {
    "window": {"lookback": 12, "horizon": 4},
    "features": {"lags": [24], "rolling": [{"statistic": "mean", "steps": 6}], "age": True},
    "model": {"kind": "gru", "units": 4, "dropout": 0.0, "embedding": 2},
    "train": {"epochs": 2, "batch_size": 64, "learning_rate": 0.01},
}


def split_table(table: pa.Table, horizon: int) -> tuple[pa.Table, pa.Table]:
    """Return the rows up to the cutoff, and what is known of the horizon."""
    moments = table["timestamp"].to_pylist()
    cutoff = max(moments) - timedelta(hours=horizon)
    past = pa.array([moment <= cutoff for moment in moments])
    later = table.filter(pc.invert(past)).select(["series_id", "timestamp", "plan"])
    return table.filter(past), later


def main() -> int:
    """Write `bundle/`, `history.parquet`, `future.parquet` and `expected.json`."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from seqmodel.forecasting import forecast_table
    from seqmodel.store.forecasts import read_forecast
    from seqmodel.store.store import Store
    from seqmodel.store.tables import write_table
    from seqmodel.training import train_model
    from seqmodel.windowing import make_windows
    from tests.seqmodel.small import ignore_progress, make_spec, make_table, put_table

    with tempfile.TemporaryDirectory() as folder:
        store, spec = Store(Path(folder)), make_spec(**SECTIONS)
        history, future = split_table(make_table(missing=0), spec.window.horizon)
        judged = put_table(store, history, spec, future)
        windows = make_windows(store, judged, spec)
        model = train_model(store, windows, spec, AS_OF, {}, ignore_progress)
        ref = forecast_table(store, judged.table, model, spec)
        rows = read_forecast(store.path(ref.key))
        shutil.rmtree(HERE / "bundle", ignore_errors=True)
        shutil.copytree(store.path(model.key), HERE / "bundle")
        write_table(HERE / "history.parquet", history)
        write_table(HERE / "future.parquet", future)
        (HERE / "expected.json").write_text(
            json.dumps(
                {
                    "series_id": rows["series_id"].to_pylist(),
                    "timestamp": [t.isoformat() for t in rows["timestamp"].to_pylist()],
                    **{f"q{q}": rows[f"q{q}"].to_pylist() for q in (0.1, 0.5, 0.9)},
                },
                indent=1,
            )
            + "\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

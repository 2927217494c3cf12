"""What all tests share: a Prefect home of their own, and small real data."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

# Before anything imports Prefect: its settings are read once.
HOME = tempfile.mkdtemp(prefix="seqmodel-tests-")
os.environ.update(
    {
        "PREFECT_HOME": HOME,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "tensorflow"),
    }
)
os.environ.pop("PREFECT_API_URL", None)

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def project() -> Path:
    """The repository."""
    return ROOT


def make_meters(days: int = 40, series: int = 3, *, seed: int = 0) -> pa.Table:
    """Hourly meters with a daily cycle, a known plan, a past temperature and a static kind.

    Rows begin at 2024-01-01T00:00Z; ids look like numbers, because real ones do.
    """
    rng = np.random.default_rng(seed)
    hours = np.arange(days * 24)
    start = np.datetime64("2024-01-01T00:00", "us")
    parts = []
    for s in range(series):
        plan = (rng.random(len(hours)) < 0.3).astype(float)
        cycle = 10 * (s + 1) + 4 * np.sin(2 * np.pi * hours / 24 + s)
        load = cycle + 5 * plan + rng.normal(0, 0.3, len(hours))
        parts.append(
            pa.table(
                {
                    "meter": pa.array([f"{s + 1:03d}"] * len(hours)),
                    "at": pa.array(start + hours * np.timedelta64(1, "h")).cast(
                        pa.timestamp("us", tz="UTC")
                    ),
                    "load": pa.array(load),
                    "plan": pa.array(plan),
                    "temperature": pa.array(rng.normal(10, 3, len(hours))),
                    "kind": pa.array(["home" if s % 2 else "shop"] * len(hours)),
                }
            )
        )
    return pa.concat_tables(parts)


@pytest.fixture(scope="session")
def meters() -> pa.Table:
    """Three meters over 40 days."""
    return make_meters()


@pytest.fixture
def meters_file(tmp_path: Path, meters: pa.Table) -> Path:
    """The meters as one Parquet file."""
    path = tmp_path / "source" / "meters.parquet"
    path.parent.mkdir()
    pq.write_table(meters, path)
    return path


def meters_spec(path: Path, **sections: object) -> dict[str, object]:
    """A spec for the meters, tiny enough to train in a second or two."""
    spec: dict[str, object] = {
        "name": "meters",
        "source": {
            "uri": str(path),
            "series_id": "meter",
            "timestamp": "at",
            "target": "load",
            "known": ["plan"],
            "past": ["temperature"],
            "static": ["kind"],
        },
        "window": {"lookback": 24, "horizon": 6, "stride": 2},
        "model": {"units": 8, "dropout": 0.0},
        "train": {"epochs": 2, "batch_size": 64, "learning_rate": 0.01},
        "backtest": {"cutoffs": 4, "step": 6},
    }
    for name, values in sections.items():
        spec[name] = {**spec.get(name, {}), **values}  # type: ignore[dict-item]
    return spec

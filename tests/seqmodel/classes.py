"""Small tables of events and of sequences whose next class can be told."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from seqmodel.specs import PipelineSpec

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = 3_600_000_000
MOMENT = pa.timestamp("us", tz="UTC")


def make_event_spec(uri="x", kind="categorical", **sections):
    """A pipeline of events small enough to train in a second."""
    chosen = {
        "source": {
            "uri": str(uri),
            "freq": "none",
            "target": "place",
            "past": ["load"],
            "static": ["fleet"],
        },
        "window": {"lookback": 6, "horizon": 1},
        "model": {"units": 12, "dropout": 0.0},
        "train": {"epochs": 16, "patience": 16, "batch_size": 32, "learning_rate": 0.02},
        "output": {"kind": kind, "top_k": 2},
        "backtest": {"cutoffs": 2},
    }
    for name, section in sections.items():
        chosen[name] = {**chosen.get(name, {}), **section}
    return PipelineSpec.model_validate({"name": "events", **chosen})


def make_events(series=6, events=60, seed=0, places="ABC"):
    """Vehicles that drive to the place that comes after the one before last, at uneven times."""
    rng = np.random.default_rng(seed)
    columns = {name: [] for name in ("series_id", "timestamp", "place", "load", "fleet")}
    begin = int(START.timestamp() * 1e6)
    for s in range(series):
        count = events - 3 * s
        codes = rng.integers(0, len(places), count)
        for i in range(2, count):
            if rng.random() < 0.9:
                codes[i] = (codes[i - 2] + 1) % len(places)
        moments = begin + np.cumsum(rng.integers(1, 5 * HOUR, count))
        columns["series_id"] += [f"{s:03}"] * count
        columns["timestamp"] += moments.tolist()
        columns["place"] += [places[c] for c in codes]
        columns["load"] += rng.normal(size=count).tolist()
        columns["fleet"] += ["north" if s % 2 else "south"] * count
    columns["timestamp"] = pa.array(columns["timestamp"], MOMENT)
    return pa.table(columns)


def make_sequences(count=200, seed=0, longest=9):
    """Lists of ids; the label says whether 7 is among them; the newest rows have none."""
    rng = np.random.default_rng(seed)
    tokens = [rng.integers(-2, 9, rng.integers(1, longest + 1)).tolist() for _ in range(count)]
    labels = ["yes" if 7 in t else "no" for t in tokens]
    labels[-10:] = [None] * 10
    begin = int(START.timestamp() * 1e6)
    return pa.table(
        {
            "series_id": [f"s{i:04}" for i in range(count)],
            "timestamp": pa.array([begin + i * HOUR for i in range(count)], MOMENT),
            "label": labels,
            "tokens": pa.array(tokens, pa.list_(pa.int64())),
            "shop": ["a" if i % 3 else "b" for i in range(count)],
        }
    )


def make_sequence_spec(uri="x", **sections):
    """A pipeline of sequences."""
    source = {
        "uri": str(uri),
        "layout": "sequences",
        "target": "label",
        "past": ["tokens"],
        "static": ["shop"],
    }
    chosen = {
        "source": source,
        "window": {"lookback": 8, "horizon": 1},
        "model": {"kind": "lstm", "units": 8, "dropout": 0.0},
        "train": {"epochs": 25, "patience": 25, "batch_size": 32, "learning_rate": 0.02},
        "output": {"kind": "binary"},
        "backtest": {"cutoffs": 2},
    }
    for name, section in sections.items():
        chosen[name] = {**chosen.get(name, {}), **section}
    return PipelineSpec.model_validate({"name": "lists", **chosen})


def put_source(folder, table, name="part"):
    """Write a source file."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / f"{name}.parquet")
    return folder

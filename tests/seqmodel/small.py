"""Small tables, panels and specs: real values, few rows."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from seqmodel.grid import Grid, to_datetime, to_microseconds
from seqmodel.panelling import build_panel
from seqmodel.rows import Rows
from seqmodel.specs import PipelineSpec, SourceSpec
from seqmodel.store.ledgers import Ledger
from seqmodel.store.refs import TableRef, ValidatedTableRef
from seqmodel.store.tables import FUTURE, fingerprint_table, table_key, write_table
from seqmodel.table.quality import Verdict

START = datetime(2024, 1, 1, tzinfo=UTC)
SOURCE = SourceSpec(
    uri="x", freq="h", past=("wind",), known=("plan",), static=("site", "size"), season_length=24
)


def make_spec(source=SOURCE, **sections):
    """A pipeline small enough to train in a second."""
    chosen = {
        "window": {"lookback": 24, "horizon": 6},
        "model": {"units": 8, "dropout": 0.0},
        "train": {"epochs": 2, "batch_size": 64},
        "backtest": {"cutoffs": 2, "step": 6},
    }
    return PipelineSpec.model_validate({"name": "small", "source": source, **chosen, **sections})


def make_table(series=3, steps=240, freq="h", *, missing=0.05, noise=0.3):
    """Canonical rows, sorted: a daily season with noise, gaps, staggered beginnings."""
    rng = np.random.default_rng(0)
    grid = Grid(freq)
    begin = int(grid.number(np.array([to_microseconds(START)]))[0])
    columns = {name: [] for name in ("series_id", "timestamp", "target", *SOURCE.covariates)}
    for s in range(series):
        numbers = np.arange(begin + 5 * s, begin + steps)
        kept = rng.random(len(numbers)) >= missing
        kept[[0, -1]] = True
        numbers = numbers[kept]
        plan = rng.normal(size=len(numbers))
        wave = np.sin(2 * np.pi * numbers / 24)
        target = 10 * (s + 1) + 3 * wave + plan + noise * rng.normal(size=len(numbers))
        columns["series_id"] += [f"{s:03}"] * len(numbers)
        columns["timestamp"] += grid.moment(numbers).tolist()
        columns["target"] += target.tolist()
        columns["wind"] += rng.normal(5, 2, len(numbers)).tolist()
        columns["plan"] += plan.tolist()
        columns["site"] += ["east" if s % 2 else "west"] * len(numbers)
        columns["size"] += [float(s)] * len(numbers)
    columns["timestamp"] = pa.array(columns["timestamp"], pa.timestamp("us", tz="UTC"))
    return pa.table(columns)


def count_steps(table, freq="h"):
    """Grid number of the newest row."""
    return int(Grid(freq).number(table["timestamp"].cast(pa.int64()).to_numpy()).max())


def make_panel(table=None, source=SOURCE, *, cutoff=None, horizon=6, future=None):
    """A panel that ends at the table's newest row, or at `cutoff`."""
    table = make_table() if table is None else table
    end = count_steps(table, source.freq) if cutoff is None else cutoff
    return build_panel(table, future, source, cutoff=end, horizon=horizon)


def make_rows(lengths=(40, 3, 60), *, features=6, codes=3, hole=0.0, filled=False, seed=0):
    """Encoded rows of random numbers: target, observed, then covariates; a fifth is missing."""
    rng = np.random.default_rng(seed)
    rows, series = sum(lengths), len(lengths)
    values = rng.normal(size=(rows, features)).astype(np.float32)
    values[:, 1] = rng.random(rows) > 0.2
    target = np.where(values[:, 1] > 0, values[:, 0], 0).astype(np.float32)
    if not filled:
        values[values[:, 1] == 0, 0] = hole
    return Rows(
        values=values,
        codes=rng.integers(0, 5, (rows, codes), dtype=np.int32),
        target=target if filled else target[:0],
        gap=np.zeros(rows if filled else 0, dtype=np.int32),
        begins=np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64),
        first=rng.integers(-50, 50, series),
        static=rng.normal(size=(series, 2)).astype(np.float32),
        static_codes=rng.integers(0, 3, (series, 1), dtype=np.int32),
        series_codes=np.arange(1, series + 1, dtype=np.int32)[:, None],
        scale=rng.uniform(1, 2, (series, 1)).astype(np.float32),
        location=np.zeros((series, 1), dtype=np.float32),
    )


def put_table(store, table, spec, future=None):
    """Write a table below the root as ingest does, and vouch for it."""
    with store.workshop(spec.name) as shop:
        folder = shop / "table"
        folder.mkdir()
        write_table(folder / "part-00000.parquet", table)
        if future is not None:
            write_table(folder / FUTURE, future)
        fingerprint = fingerprint_table(folder)
        key = table_key(spec.name, fingerprint)
        store.publish(folder, key)
    moments = table["timestamp"].cast(pa.int64()).to_numpy()
    rows = table.num_rows
    ref = TableRef(
        key=key,
        fingerprint=fingerprint,
        series=len(table["series_id"].unique()),
        first=to_datetime(int(moments.min())),
        cutoff=to_datetime(int(moments.max())),
        future=future.num_rows if future is not None else 0,
        ledger=Ledger(read=rows, kept=rows, quarantined=0, duplicates=0, after_as_of=0),
        files=(),
    )
    return ValidatedTableRef(table=ref, verdict=Verdict(table=fingerprint, rules=()))


def ignore_progress(_figures):
    """Progress that nobody follows."""


def store_windows(root, spec, table=None):
    """Windows of a table, stored and mapped again."""
    from seqmodel.store.store import Store
    from seqmodel.windowing import load_windows, make_windows

    store = Store(root)
    judged = put_table(store, make_table() if table is None else table, spec)
    return load_windows(store, make_windows(store, judged, spec))

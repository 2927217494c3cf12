"""What both comparisons with other libraries need: their environment, series, our windows."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqmodel.encoding import encode_panel
from seqmodel.features import Preprocessor
from seqmodel.grid import Grid
from seqmodel.panel import Panel
from seqmodel.specs import PipelineSpec
from seqmodel.windowing import StoredWindows
from seqmodel.windows import index_windows
from tests.benchmarks.measuring import ROOT

Floats = NDArray[np.float64]

VENV = ROOT / ".venv-peers"
PINS = Path(__file__).with_name("peers.txt")
SIDE = Path(__file__).with_name("peers_side.py")
#: What is asked of the environment; everything else follows, at the versions of peers.txt.
PEERS = ("torch", "neuralforecast")
#: Grid number of the newest step, 2020-01-01T00:00Z: any would do.
NEWEST = 438_288
SEASON = 24


def prepare_environment() -> Path:
    """Make the peers' environment, once for each content of peers.txt, and return its Python."""
    python, stamp = VENV / "bin" / "python", VENV / ".installed"
    pins = PINS.read_text()
    if stamp.exists() and stamp.read_text() == pins:
        return python
    print(f"making {VENV}: two minutes, 1.7 GB", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
    quiet = ["--quiet", "--disable-pip-version-check"]
    install = [str(python), "-m", "pip", "install", *quiet, "--constraint", str(PINS), *PEERS]
    subprocess.run(install, check=True, stdout=sys.stderr)
    stamp.write_text(pins)
    return python


def read_series(path: Path) -> dict[str, Floats]:
    """Read the wide files of the M4 competition: a line a series, its id first, blanks at the end.

    Returns:
        id -> values, ids ascending.
    """
    with path.open(newline="") as lines:
        rows = csv.reader(lines)
        next(rows)
        found = {row[0]: np.array([float(v) for v in row[1:] if v.strip()]) for row in rows}
    return dict(sorted(found.items()))


def invent_series(count: int, steps: int) -> dict[str, Floats]:
    """Return hourly series with a daily course of their own, and noise."""
    rng = np.random.default_rng(0)
    hours = np.arange(steps)
    shift, size = rng.uniform(0, 24, (count, 1)), rng.uniform(0.5, 2, (count, 1))
    course = 10 + size * np.sin(2 * np.pi * (hours + shift) / 24)
    values = course + 0.2 * rng.normal(size=(count, steps))
    return {f"{number:05}": one for number, one in enumerate(values)}


def write_series(series: dict[str, Floats], path: Path) -> None:
    """Write series for the other side, which numbers them in their order."""
    values = list(series.values())
    np.savez(path, values=np.concatenate(values), lengths=[len(one) for one in values])


def make_spec(**sections: Any) -> PipelineSpec:
    """Return a spec of hourly series without covariates."""
    source = {"uri": "in memory", "freq": "h", "season_length": SEASON}
    # The other side sees the target alone, so do we.
    chosen = {"features": {"calendar": ()}, **sections}
    return PipelineSpec.model_validate({"name": "peers", "source": source, **chosen})


def make_panel(series: dict[str, Floats], horizon: int) -> Panel:
    """Return a panel whose series all end at one cutoff, a horizon of empty rows after it."""
    lengths = np.array([len(one) for one in series.values()])
    empty = np.full(horizon, np.nan)
    rows = [part for one in series.values() for part in (one, empty)]
    return Panel(
        grid=Grid("h"),
        ids=list(series),
        first=NEWEST - lengths + 1,
        offsets=np.concatenate([[0], np.cumsum(lengths + horizon)]),
        cutoff=NEWEST,
        horizon=horizon,
        values={"target": np.concatenate(rows)},
        labels={},
        static={},
    )


def cut_panel(panel: Panel, spec: PipelineSpec) -> StoredWindows:
    """Encode a panel and list its windows, all of them for training.

    The holdout is the newest window of each series, which is trained on as well: nothing is chosen
    by it here.
    """
    fitted = Preprocessor.fit(panel, spec, panel.cutoff)
    rows = encode_panel(fitted, panel, until=panel.cutoff)
    lookback, horizon = spec.window.lookback, spec.window.horizon
    train, holdout = (
        index_windows(
            panel.first, panel.offsets, lookback, horizon, after=after, until=panel.cutoff
        )
        for after in (int(panel.first.min()), panel.cutoff - horizon)
    )
    return StoredWindows(fitted, rows, train, holdout)

"""Time to accuracy: the course of MASE over the seconds of training, ours beside others'.

Steps, checkpoints and settings are fixed before anything is trained; the test part is looked at for
the curve, and nothing is chosen by it. Of each training only its own time counts: not the imports,
not the encoding of the series, not the forecasts from the checkpoints. What XLA takes to compile
our step and the holdout's is part of the training's time; `compile_s` says how much that was, and
`seconds_to_1_compiled` what is left without it. The other libraries compile nothing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.metrics import Scored, measure_scale, score
from seqmodel.panel import Panel
from seqmodel.specs import PipelineSpec
from seqmodel.windowing import StoredWindows
from tests.benchmarks.peers_setup import (
    SIDE,
    cut_panel,
    make_panel,
    make_spec,
    prepare_environment,
    read_series,
    write_series,
)

Floats = NDArray[np.float64]

#: Training steps in all, and between two checkpoints; windows of a step.
STEPS, EVERY, BATCH = 1500, 50, 128
UNITS = 128
GOAL = 1.0
#: Name of a curve -> the other side's settings. Width, windows of a step and steps are ours; GRU
#: and LSTM have one layer (default: two), and all scale their windows (DeepAR's default: none). The
#: rest is what its authors have as defaults. None of it was tuned, whereas our recipe was.
PEERS: dict[str, dict[str, Any]] = {
    "neuralforecast LSTM": {"kind": "lstm", "lookback": 168, "scaler": "robust", "decays": -1},
    "neuralforecast GRU": {"kind": "gru", "lookback": 168, "scaler": "robust", "decays": -1},
    "neuralforecast DeepAR": {"kind": "deepar", "lookback": 168, "scaler": "robust", "decays": 3},
}
OURS = "seqmodel segment"


def choose_spec(season: int, horizon: int) -> PipelineSpec:
    """Return our recipe: two weeks of daily tokens, compared with a week ago, in logarithms."""
    return make_spec(
        window={"lookback": 14 * season, "horizon": horizon, "short": "drop"},
        scaling={"transform": "log1p", "series": "none"},
        model={
            "kind": "segment",
            "units": UNITS,
            "dropout": 0.1,
            "normalise": "seasonal",
            "cycle": 7 * season,
            "gates": True,
        },
        output={"kind": "point", "loss": "mae"},
        train={
            "epochs": STEPS // EVERY,
            "patience": STEPS,
            "windows_per_epoch": EVERY * BATCH,
            "batch_size": BATCH,
            "learning_rate": 3e-3,
            "schedule": "cosine",
        },
    )


@final
class Course:
    """Keeps nothing and forecasts at the end of every epoch; the clock stands still meanwhile.

    Takes the place of `seqmodel.training.keeping.Keeper`, and follows the progress.

    Args:
        stored: encoded rows and windows.
        spec: of the training.
        panel: to forecast from its cutoff.
    """

    every = float("inf")
    place = "nowhere"

    def __init__(self, stored: StoredWindows, spec: PipelineSpec, panel: Panel) -> None:
        from seqmodel.models.outputs import choose_head
        from seqmodel.models.registry import build_model
        from seqmodel.windows import index_cutoffs

        self.stored, self.spec, self.panel = stored, spec, panel
        self.head = choose_head(spec.output)
        # The training's own network is not to be seen from here: one with its weights.
        self.model = build_model(spec.model, stored.shapes(spec), spec.output)
        self.model.compile(jit_compile=True)
        self.reader = stored.reader(spec)
        self.windows = index_cutoffs(
            panel.first, panel.offsets, spec.window.lookback, np.array([panel.cutoff])
        )
        self.seconds: list[float] = []
        self.forecasts: list[Floats] = []
        self._parts: list[tuple[float, float]] = []
        self._begun = self._trained = 0.0

    def restore(self, variables: list[Any]) -> None:
        """Begin to count: the network is built, and nothing of it compiled."""
        del variables
        self._begun = time.perf_counter()

    def __call__(self, figures: dict[str, float]) -> None:
        """Note when the steps of an epoch are done: the holdout comes after."""
        del figures
        self._trained = time.perf_counter()

    def keep(self, variables: list[Any], state: Any) -> None:
        """Forecast with the weights at the end of an epoch."""
        del state
        now = time.perf_counter()
        self._parts.append((self._trained - self._begun, now - self._trained))
        self.seconds.append(sum(map(sum, self._parts)))
        self.forecasts.append(self._forecast(variables))
        self._begun = time.perf_counter()

    @property
    def compile_s(self) -> float:
        """What the first epoch took longer than the others (seconds)."""
        first, *others = self._parts
        usual = (statistics.median(one) for one in zip(*others, strict=True))
        return max(sum(a - b for a, b in zip(first, usual, strict=True)), 0.0)

    def _forecast(self, variables: list[Any]) -> Floats:
        from seqmodel.predicting import predict_windows

        fitted, batch_size = self.stored.fitted, self.spec.train.batch_size
        for own, learned in zip(self.model.variables, variables, strict=False):
            own.assign(learned)
        scaled = predict_windows(self.model, self.head, self.reader, self.windows, batch_size)
        scaler = fitted.align(self.panel, self.panel.cutoff)["target"]
        return fitted.inverse(scaled, scaler, self.windows.series)[:, :, 0]


def follow_ours(panel: Panel, spec: PipelineSpec) -> tuple[Floats, Floats, float]:
    """Train ours.

    Returns:
        C seconds, C x S x H forecasts, and the seconds that compiling took.
    """
    from seqmodel.training import fit_model

    stored = cut_panel(panel, spec)
    course = Course(stored, spec, panel)
    fit_model(stored, spec, course, keeper=course)
    return np.array(course.seconds), np.array(course.forecasts), course.compile_s


def follow_peer(
    data: Path, settings: dict[str, Any], horizon: int, asked: argparse.Namespace
) -> tuple[Floats, Floats]:
    """Train another library's network.

    Returns:
        C seconds, C x S x H forecasts.
    """
    out = data.with_name("forecasts.npz")
    knobs = {
        "data": data,
        "out": out,
        "units": UNITS,
        "horizon": horizon,
        "batch": BATCH,
        "series-a-step": 32,
        "steps": STEPS,
        "every": EVERY,
        "limit": asked.limit,
        "threads": asked.threads,
        "rate": 1e-3,
        **settings,
    }
    words = [word for name, value in knobs.items() for word in (f"--{name}", str(value))]
    subprocess.run([str(prepare_environment()), str(SIDE), *words], check=True)
    with np.load(out) as found:
        return found["seconds"], found["forecasts"]


def compare_curves(asked: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the curve of each network, ours first."""
    series, test = read_series(asked.train), read_series(asked.test)
    actual = np.array([test[name] for name in series])
    horizon = actual.shape[1]
    panel, data = make_panel(series, horizon), folder / "series.npz"
    write_series(series, data)
    scale = measure_scale(
        panel.values["target"], panel.offsets, asked.season, panel.offsets[1:] - horizon
    )

    def describe(name: str, seconds: Floats, forecasts: Floats, load: float) -> dict[str, Any]:
        scores = [
            score(Scored(actual, one[:, :, None], (0.5,), scale))["mase"] for one in forecasts
        ]
        return {
            "model": name,
            "curve": [
                (round(float(s), 2), round(m, 4)) for s, m in zip(seconds, scores, strict=True)
            ],
            "seconds_to_1": find_moment(seconds, scores),
            "steps": EVERY * len(seconds),
            "load": round(load, 2),
        }

    if not asked.only or OURS in asked.only:
        load = os.getloadavg()[0]
        seconds, forecasts, compiling = follow_ours(panel, choose_spec(asked.season, horizon))
        line = describe(OURS, seconds, forecasts, load)
        moment = line["seconds_to_1"]
        yield line | {
            "compile_s": round(compiling, 2),
            "seconds_to_1_compiled": moment and round(moment - compiling, 2),
        }
    for name, settings in PEERS.items():
        if not asked.only or name in asked.only:
            load = os.getloadavg()[0]
            yield describe(name, *follow_peer(data, settings, horizon, asked), load)


def find_moment(seconds: Floats, scores: list[float]) -> float | None:
    """Return the seconds at the first checkpoint that reached the goal, None where none did."""
    reached = np.flatnonzero(np.array(scores) <= GOAL)
    return round(float(seconds[reached[0]]), 2) if len(reached) else None

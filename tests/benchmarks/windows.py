"""How fast windows are cut, and in how much memory.

python -m tests.benchmarks.windows [--rows 1000000] [--lookback 168] [--series 1000]

One run measures, in turns on the same rows: our feeder (shuffled, several series a batch, prefetch
on), Keras's own `timeseries_dataset_from_array`, and a plain memory copy. Memory is measured in a
process of its own without Keras, over a memory-mapped array of rows: what it takes beside the
pages of that file.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from seqmodel.feeding import Feeder
from seqmodel.gathering import WindowReader
from seqmodel.rows import Cut, Rows
from seqmodel.specs import TrainSpec
from seqmodel.windows import index_windows
from tasks.child import make_environment
from tests.benchmarks.measuring import ROOT

#: One target a window, as the other function makes.
FEATURES, HORIZON, BATCH = 8, 1, 256
TURNS = 5
#: Training steps whose time is taken.
STEPS = 30
#: Batches of a turn: ours, and Keras's, whose batches take a hundred times as long.
OURS, THEIRS = 2000, 20
MB = 2**20
#: Set in the process that measures.
CHILD = "SEQMODEL_BENCHMARK_CHILD"
#: Time between two looks at the memory (seconds).
LOOK_EVERY = 0.002


def make_feeder(values: np.ndarray, series: int, lookback: int) -> Feeder:
    """Return a feeder over R x F rows cut into equal series."""
    rows = len(values)
    offsets = np.linspace(0, rows, series + 1).astype(np.int64)
    first = np.zeros(series, dtype=np.int64)
    whole = Rows(
        values=values,
        codes=np.zeros((rows, 0), dtype=np.int32),
        target=values[:0, 0],
        gap=np.zeros(0, dtype=np.int32),
        begins=offsets[:-1],
        first=first,
        static=np.zeros((series, 0), dtype=np.float32),
        static_codes=np.zeros((series, 0), dtype=np.int32),
        series_codes=np.arange(1, series + 1, dtype=np.int32)[:, None],
        scale=np.ones((series, 1), dtype=np.float32),
        location=np.zeros((series, 1), dtype=np.float32),
    )
    longest = int(np.diff(offsets).max())
    index = index_windows(first, offsets, lookback, HORIZON, after=0, until=longest)
    reader = WindowReader(whole, Cut(lookback=lookback, horizon=HORIZON))
    return Feeder(reader, index, TrainSpec(batch_size=BATCH))


def write_rows(path: Path, rows: int) -> None:
    """Write R x F rows, a part at a time."""
    rng = np.random.default_rng(0)
    values = np.lib.format.open_memmap(path, "w+", np.float32, (rows, FEATURES))
    for begin in range(0, rows, 1_000_000):
        part = values[begin : begin + 1_000_000]
        part[:] = rng.standard_normal(part.shape, dtype=np.float32)
        part[:, 1] = 1.0
    values.flush()


def time_ours(feeder: Feeder, epoch: int) -> float:
    """Return windows a second of our feeder."""
    begun, done = time.perf_counter(), 0
    for batch in feeder.batches(epoch):
        done += len(batch.targets)
        if done >= OURS * BATCH:
            break
    return done / (time.perf_counter() - begun)


def time_keras(values: np.ndarray, lookback: int) -> float:
    """Return windows a second of Keras's function, once it runs."""
    import keras

    whole = keras.utils.timeseries_dataset_from_array(
        values[:-lookback], values[lookback:, 0], lookback, batch_size=BATCH, shuffle=True, seed=0
    )
    batches = iter(whole)
    next(batches)
    begun = time.perf_counter()
    for _ in range(THEIRS):
        next(batches)
    return THEIRS * BATCH / (time.perf_counter() - begun)


def time_copy(lookback: int) -> float:
    """Return the bytes a second of a plain copy of arrays of a batch's size."""
    size = BATCH * (lookback + HORIZON) * FEATURES
    # Larger than the caches in all, as the rows are.
    source = np.ones((32, size), dtype=np.float32)
    target = np.empty_like(source)
    np.copyto(target, source)
    begun = time.perf_counter()
    for _ in range(10):
        np.copyto(target, source)
    return 10 * source.nbytes / (time.perf_counter() - begun)


def measure_feeding(feeder: Feeder) -> float:
    """Return the time of gathering a batch as a share of a GRU(64)'s training step.

    Were the gathering not done beside the step: what it costs at most.
    """
    import keras

    from seqmodel.models.outputs import choose_head
    from seqmodel.models.protocol import InputShapes
    from seqmodel.models.registry import build_model
    from seqmodel.predicting import choose_inputs
    from seqmodel.specs import ModelSpec, OutputSpec

    cut, output = feeder.reader.cut, OutputSpec()
    shapes = InputShapes(cut.lookback, cut.horizon, FEATURES)
    model = build_model(ModelSpec(units=64), shapes, output)
    model.compile(keras.optimizers.Adam(1e-3), choose_head(output).loss(), jit_compile=True)
    gathering, training = [], []
    for turn, windows in enumerate(feeder.windows(epoch=1)):
        begun = time.perf_counter()
        batch = feeder.reader.read(windows)
        gathered = time.perf_counter()
        inputs = choose_inputs(model, batch)
        model.train_on_batch(inputs, batch.targets, sample_weight=batch.weights)
        gathering.append(gathered - begun)
        training.append(time.perf_counter() - gathered)
        if turn == STEPS:
            break
    return statistics.median(gathering) / statistics.median(training)


def read_own_memory() -> int:
    """Return the memory of this process that belongs to no file (bytes)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("found no RssAnon in /proc/self/status, needed Linux; run it there")


def measure_memory(path: Path, series: int, lookback: int) -> float:
    """Return the greatest growth of this process' own memory while it feeds (MB)."""
    values = np.load(path, mmap_mode="r")
    before = read_own_memory()
    peak, over = [before], threading.Event()

    def look() -> None:
        while not over.wait(LOOK_EVERY):
            peak[0] = max(peak[0], read_own_memory())

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    time_ours(make_feeder(values, series, lookback), epoch=1)
    over.set()
    watcher.join()
    return (max(peak[0], read_own_memory()) - before) / MB


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--series", type=int, default=1_000)
    parser.add_argument("--lookback", type=int, default=168)
    parser.add_argument("--memory-of", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if CHILD not in os.environ:
        # In the environment of a training process, which is read when a process begins.
        os.execve(  # noqa: S606 - this very program
            sys.executable,
            [sys.executable, "-m", "tests.benchmarks.windows", *sys.argv[1:]],
            {**make_environment(), CHILD: "1"},
        )
    if asked.memory_of:
        print(measure_memory(asked.memory_of, asked.series, asked.lookback))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        write_rows(path, asked.rows)
        words = ["--memory-of", str(path), "--series", str(asked.series)]
        words += ["--lookback", str(asked.lookback)]
        child = [sys.executable, "-m", "tests.benchmarks.windows", *words]
        extra = float(subprocess.check_output(child, cwd=ROOT, text=True))
        values = np.load(path)
    feeder = make_feeder(values, asked.series, asked.lookback)
    turns = []
    for turn in range(1, TURNS + 1):
        ours, theirs = time_ours(feeder, turn), time_keras(values, asked.lookback)
        turns.append((ours, theirs, time_copy(asked.lookback)))
        print(f"turn {turn}: ours {ours:,.0f} windows/s, Keras {theirs:,.0f}", file=sys.stderr)
    ours, theirs, copied = (statistics.median(column) for column in zip(*turns, strict=True))
    size = (asked.lookback + HORIZON) * FEATURES * 4
    answer = {
        "rows": asked.rows,
        "series": asked.series,
        "lookback": asked.lookback,
        "windows_per_s": round(ours),
        "keras_windows_per_s": round(theirs),
        "ratio": round(ours / theirs, 1),
        "copy_share": round(ours * size / copied, 3),
        "extra_rss_mb": round(extra, 1),
        "feed_share": round(measure_feeding(feeder), 4),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()

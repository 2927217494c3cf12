"""How fast we train, beside neuralforecast in an environment of its own.

    python -m tests.benchmarks.peers [--kind gru|lstm|segment] [--train FILE.csv]
    python -m tests.benchmarks.peers --accuracy --train FILE.csv --test FILE.csv --season 24

Both train on the same series with the same cell, width, lookback, horizon, loss and number of
windows a step (the kind `segment` is set beside the GRU of its width). They take turns within one
run, each going on with its own training: ours in the training loop itself, which the benchmark
only holds up when it reports its progress; the other's held up by a callback after a step, where
the windows counted are those that reached its network. Everything before the first turns (imports,
windows listed, compilation, first steps) is left out; reading batches is not. The last line is
JSON; its rates are medians of the turns, the ratio the median of the turns' own.

The other side draws the windows of a step from `--series-a-step` series and makes all windows of
these anew at each step: fewer series make it faster. By default it is given the fastest setting,
one series, and no scaling of windows; and the better of one thread and a thread a core (on a busy
machine more threads wait for one another). A batch of ours mixes all series.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

from seqmodel.specs import PipelineSpec
from tests.benchmarks.peers_setup import (
    SIDE,
    cut_panel,
    invent_series,
    make_panel,
    make_spec,
    prepare_environment,
    read_series,
    write_series,
)

KINDS = ("gru", "lstm", "segment")
#: Series and steps of the data made up.
SERIES, STEPS = 100, 2000


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=KINDS, default="gru")
    parser.add_argument("--train", type=Path, help="series to train on, in the format of M4")
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--lookback", type=int, default=168, help="(steps)")
    parser.add_argument("--horizon", type=int, default=24, help="(steps)")
    parser.add_argument("--batch", type=int, default=256, help="windows of a training step")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0, help="length of a turn")
    parser.add_argument("--series-a-step", type=int, default=1, help="the other side's")
    parser.add_argument("--accuracy", action="store_true", help="time to accuracy instead")
    parser.add_argument("--test", type=Path, help="what came after --train")
    parser.add_argument("--season", type=int, default=24, help="of MASE (steps)")
    parser.add_argument("--limit", type=float, default=180.0, help="training of another (seconds)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of another")
    parser.add_argument("--only", nargs="*", help="names of the curves wanted, all without it")
    asked = parser.parse_args(words)
    if asked.accuracy and not (asked.train and asked.test):
        parser.error("found --accuracy without --train or --test, needed both; add them")
    return asked


def choose_spec(asked: argparse.Namespace) -> PipelineSpec:
    """Return the spec of our side: nothing that the other does not do as well."""
    return make_spec(
        window={"lookback": asked.lookback, "horizon": asked.horizon},
        model={"kind": asked.kind, "units": asked.units, "dropout": 0.0},
        output={"kind": "point", "loss": "mae"},
        train={"epochs": 10_000, "patience": 10_000, "batch_size": asked.batch},
    )


class Over(Exception):  # noqa: N818 - no error: how a benchmark leaves a training
    """The last turn is over."""


@final
class Peer:
    """The other side's training, at rest but in its turns.

    Args:
        command: that starts it.
    """

    def __init__(self, command: list[str]) -> None:
        self.threads = 1
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._listen()

    def choose_threads(self, seconds: float) -> None:
        """Let it train with one thread, and with a thread a core; keep to the better."""
        tried = {}
        for self.threads in {1, os.cpu_count() or 1}:
            self.take_turn(seconds / 4)
            tried[self.threads] = self.take_turn(seconds)
        self.threads = max(tried, key=lambda threads: tried[threads])
        print(f"peer's windows/s by threads: {tried}", file=sys.stderr)

    def take_turn(self, seconds: float) -> float:
        """Let it train, and return its windows a second."""
        answer = self._say(f"{seconds} {self.threads}")
        return float(answer["windows"] / answer["seconds"])

    def stop(self) -> None:
        """End it."""
        self._process.communicate("stop\n")

    def _say(self, line: str) -> dict[str, float]:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._listen()

    def _listen(self) -> dict[str, float]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("found the other side's training at an end, needed it; see above")
        answer: dict[str, float] = json.loads(line)
        return answer


@final
class Turns:
    """Follows our training, and holds it up while the other side has its turn.

    Args:
        peer: the other side.
        turns: of each that count; one before them does not.
        seconds: length of a turn.
        batch_size: windows of a step.
    """

    def __init__(self, peer: Peer, turns: int, seconds: float, batch_size: int) -> None:
        self.peer, self.turns, self.length, self.batch_size = peer, turns, seconds, batch_size
        self.rates: list[tuple[float, float]] = []
        self._steps, self._seconds = 0, 0.0
        self._epoch, self._step, self._since = 0.0, 0.0, 0.0

    def __call__(self, figures: dict[str, float]) -> None:
        """Take note of the progress: what lies between two epochs is no training."""
        now = time.perf_counter()
        if figures["epoch"] == self._epoch:
            self._steps += int(figures["step"] - self._step)
            self._seconds += now - self._since
        if self._seconds >= self.length:
            ours = self._steps * self.batch_size / self._seconds
            self.rates.append((ours, self.peer.take_turn(self.length)))
            print(f"ours {ours:,.0f}, peer {self.rates[-1][1]:,.0f} windows/s", file=sys.stderr)
            self._steps, self._seconds = 0, 0.0
            if len(self.rates) > self.turns:
                raise Over
        self._epoch, self._step, self._since = (
            figures["epoch"],
            figures["step"],
            time.perf_counter(),
        )


def compare(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Train both by turns and return the figures."""
    from seqmodel.training import fit_model

    load = os.getloadavg()[0]
    series = read_series(asked.train) if asked.train else invent_series(SERIES, STEPS)
    spec = choose_spec(asked)
    stored = cut_panel(make_panel(series, asked.horizon), spec)
    write_series(series, folder / "series.npz")
    knobs = {
        "data": folder / "series.npz",
        "kind": "gru" if asked.kind == "segment" else asked.kind,
        **{name: getattr(asked, name) for name in ("units", "lookback", "horizon", "batch")},
        "series-a-step": asked.series_a_step,
    }
    words = [word for name, value in knobs.items() for word in (f"--{name}", str(value))]
    peer = Peer([str(prepare_environment()), str(SIDE), *words])
    peer.choose_threads(asked.seconds)
    turns = Turns(peer, asked.turns, asked.seconds, asked.batch)
    try:
        fit_model(stored, spec, turns)
    except Over:
        peer.stop()
    return {
        "kind": asked.kind,
        "units": asked.units,
        "lookback": asked.lookback,
        "horizon": asked.horizon,
        "batch": asked.batch,
        "series": len(series),
        **summarise(turns.rates[1:]),
        "peer_threads": peer.threads,
        "load": round(load, 2),
    }


def summarise(rates: list[tuple[float, float]]) -> dict[str, float]:
    """Return the figures of some turns, (ours, the other's) windows a second each."""
    ours, theirs = zip(*rates, strict=True)
    return {
        "ours_windows_per_s": round(statistics.median(ours)),
        "peer_windows_per_s": round(statistics.median(theirs)),
        "ratio": round(statistics.median(a / b for a, b in rates), 2),
    }


def main() -> None:
    """Measure and print."""
    asked = parse()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with tempfile.TemporaryDirectory() as folder:
        if asked.accuracy:
            from tests.benchmarks.peers_accuracy import compare_curves

            for line in compare_curves(asked, Path(folder)):
                print(json.dumps(line), flush=True)
        else:
            print(json.dumps(compare(asked, Path(folder))))


if __name__ == "__main__":
    main()

"""The peer's side of `tests.benchmarks.peers`: neuralforecast, in an environment of its own.

Imports nothing of this project. Speed: trains on and on, a turn for each line of standard input
(seconds and threads, or `stop`), and answers each with what it trained in that turn. Accuracy:
trains once, forecasts from every checkpoint, and writes the forecasts down.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from typing import Any

# What libraries print goes to standard error: standard output is the conversation.
TALK = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

import numpy as np
import pandas as pd
import torch
from neuralforecast import NeuralForecast
from neuralforecast.losses.pytorch import MAE, DistributionLoss, MQLoss
from neuralforecast.models import GRU, LSTM, DeepAR
from pytorch_lightning.callbacks import Callback

#: More than any turn needs.
ENDLESS = 10_000_000
QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "enable_checkpointing": False,
    "num_sanity_val_steps": 0,
    "limit_val_batches": 0,
}


def read_frame(path: str) -> Any:
    """Return series end to end as neuralforecast's frame.

    Args:
        path: npz with `values`, R numbers series by series, and `lengths`, S of them.
    """
    stored = np.load(path)
    lengths = stored["lengths"]
    return pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(len(lengths)), lengths),
            "ds": np.concatenate([np.arange(lengths.max() - n, lengths.max()) for n in lengths]),
            "y": stored["values"].astype(np.float32),
        }
    )


class Turns(Callback):
    """Trains a turn at a time and counts the windows that reach the network."""

    def __init__(self) -> None:
        super().__init__()
        self.windows, self.begun, self.limit = 0, 0.0, 0.0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Count what the network is really given, whatever was asked for."""
        del trainer
        pl_module.register_forward_pre_hook(self._count)

    def _count(self, _module: Any, given: tuple[Any, ...]) -> None:
        self.windows += len(given[0]["insample_y"])

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        """Answer when the turn is over, and wait for the next."""
        took = time.perf_counter() - self.begun
        if self.begun and took < self.limit:
            return
        TALK.write(json.dumps({"windows": self.windows, "seconds": took}) + "\n")
        line = sys.stdin.readline().strip()
        if line in {"stop", ""}:
            trainer.should_stop = True
            return
        seconds, threads = line.split()
        torch.set_num_threads(int(threads))
        self.windows, self.limit, self.begun = 0, float(seconds), time.perf_counter()


def make_recurrent(asked: argparse.Namespace, **options: Any) -> Any:
    """Return neuralforecast's one-layer GRU or LSTM with a decoder of the same width."""
    kinds = {"gru": GRU, "lstm": LSTM}
    loss = MAE() if len(asked.quantiles) == 1 else MQLoss(quantiles=asked.quantiles)
    return kinds[asked.kind](
        h=asked.horizon,
        input_size=asked.lookback,
        encoder_n_layers=1,
        encoder_hidden_size=asked.units,
        encoder_dropout=0.0,
        decoder_hidden_size=asked.units,
        decoder_layers=2,
        windows_batch_size=asked.batch,
        batch_size=asked.series_a_step,
        loss=loss,
        alias="peer",
        **options,
        **QUIET,
    )


def make_deepar(asked: argparse.Namespace, **options: Any) -> Any:
    """Return neuralforecast's DeepAR, two layers as by default."""
    return DeepAR(
        h=asked.horizon,
        input_size=asked.lookback,
        lstm_hidden_size=asked.units,
        windows_batch_size=asked.batch,
        batch_size=asked.series_a_step,
        loss=DistributionLoss("StudentT", level=[80], return_params=False),
        alias="peer",
        **options,
        **QUIET,
    )


def train_in_turns(asked: argparse.Namespace) -> None:
    """Train until told to stop."""
    # Identity: no work at all on the scale of windows, as on our side.
    model = make_recurrent(asked, max_steps=ENDLESS, scaler_type="identity", callbacks=[Turns()])
    NeuralForecast(models=[model], freq=1).fit(read_frame(asked.data))


class Checkpoints(Callback):
    """Keeps the weights at some steps, and the seconds of training until then.

    Args:
        every: steps between two of them.
        limit: training seconds after which it stops at the next one.
    """

    def __init__(self, every: int, limit: float) -> None:
        super().__init__()
        self.every, self.limit = every, limit
        self.kept: list[tuple[float, dict[str, Any]]] = []
        self.paused = self.begun = 0.0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin to count."""
        del trainer, pl_module
        self.begun = time.perf_counter()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        """Copy the weights where it is time."""
        if trainer.global_step % self.every:
            return
        now = time.perf_counter()
        seconds = now - self.begun - self.paused
        weights = {name: value.clone() for name, value in pl_module.state_dict().items()}
        self.kept.append((seconds, weights))
        sys.stderr.write(f"{pl_module}: step {trainer.global_step}, {seconds:.1f} s\n")
        trainer.should_stop = trainer.should_stop or seconds > self.limit
        self.paused += time.perf_counter() - now


def train_to_accuracy(asked: argparse.Namespace) -> None:
    """Train once, forecast from each checkpoint, and write all forecasts.

    Writes:
        npz with `seconds` (C) and `forecasts` (C x S x H), C checkpoints.
    """
    watcher = Checkpoints(asked.every, asked.limit)
    options = {
        "max_steps": asked.steps,
        "learning_rate": asked.rate,
        "scaler_type": asked.scaler,
        "num_lr_decays": asked.decays,
        "callbacks": [watcher],
    }
    make = make_deepar if asked.kind == "deepar" else make_recurrent
    whole = NeuralForecast(models=[make(asked, **options)], freq=1)
    frame = read_frame(asked.data)
    whole.fit(frame)
    model = whole.models[0]
    # The network may have been copied on its way, and the callback with it.
    found = [c for c in model.trainer_kwargs["callbacks"] if isinstance(c, Checkpoints)]
    kept = next(c.kept for c in [*found, watcher] if c.kept)
    forecasts = []
    for _, weights in kept:
        model.load_state_dict(weights)
        answer = whole.predict().sort_values(["unique_id", "ds"])
        column = "peer-median" if "peer-median" in answer else "peer"
        forecasts.append(answer[column].to_numpy().reshape(-1, asked.horizon))
    np.savez(asked.out, seconds=[seconds for seconds, _ in kept], forecasts=forecasts)


def main() -> None:
    """Do what the other side asks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--kind", choices=("gru", "lstm", "deepar"), required=True)
    parser.add_argument("--quantiles", type=float, nargs="+", default=[0.5])
    for name in ("units", "lookback", "horizon", "batch", "series-a-step"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", help="write forecasts there: the accuracy of one training")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--every", type=int)
    parser.add_argument("--limit", type=float)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--scaler")
    parser.add_argument("--decays", type=int)
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(asked.threads)
    if asked.out:
        train_to_accuracy(asked)
    else:
        train_in_turns(asked)


if __name__ == "__main__":
    main()

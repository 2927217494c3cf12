"""The peer's side of `tests.benchmarks.forecast`: neuralforecast, in an environment of its own.

Imports nothing of this project. `--fit` trains a step on a table's series and saves the model;
without it the saved model forecasts every series of a table, Parquet in to Parquet out, and the
last line tells the seconds of reading, of `predict` alone, and of writing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from neuralforecast import NeuralForecast
from neuralforecast.losses.pytorch import MQLoss
from neuralforecast.models import GRU

NAMES = {"series_id": "unique_id", "timestamp": "ds", "target": "y"}


def read_table(folder: Path, newest: int | None = None) -> Any:
    """Return a table as neuralforecast's frame, the newest rows of each series alone if wanted."""
    frame = pd.read_parquet(folder, columns=list(NAMES)).rename(columns=NAMES)
    frame["unique_id"] = frame["unique_id"].astype(str)
    frame["ds"] = frame["ds"].dt.tz_localize(None)
    frame["y"] = frame["y"].astype("float32")
    return frame if newest is None else frame.groupby("unique_id", sort=False).tail(newest)


def fit(asked: argparse.Namespace) -> None:
    """Train one step and save: how long it was trained does not change how long it forecasts."""
    model = GRU(
        h=asked.horizon,
        input_size=asked.lookback,
        encoder_n_layers=1,
        encoder_hidden_size=asked.units,
        encoder_dropout=0.0,
        decoder_hidden_size=asked.units,
        decoder_layers=2,
        max_steps=1,
        loss=MQLoss(quantiles=[0.1, 0.5, 0.9]),
        inference_windows_batch_size=asked.batch,
        valid_batch_size=asked.batch,
        scaler_type="standard",
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    whole = NeuralForecast(models=[model], freq="h")
    whole.fit(read_table(asked.table))
    whole.save(str(asked.model), save_dataset=False, overwrite=True)


def forecast(asked: argparse.Namespace) -> dict[str, Any]:
    """Forecast every series."""
    begun = time.perf_counter()
    whole = NeuralForecast.load(str(asked.model))
    frame = read_table(asked.table, asked.lookback)
    read = time.perf_counter()
    found = whole.predict(df=frame)
    predicted = time.perf_counter()
    found.to_parquet(asked.out, compression="zstd", index=False)
    return {
        "rows": len(found),
        "read_s": round(read - begun, 2),
        "predict_s": round(predicted - read, 2),
        "write_s": round(time.perf_counter() - predicted, 2),
    }


def main() -> None:
    """Do what the other side asks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--table", type=Path, required=True, help="folder of Parquet files")
    parser.add_argument("--model", type=Path, required=True, help="folder of the saved model")
    parser.add_argument("--out", type=Path, help="file to write")
    for name, default in (("units", 64), ("lookback", 168), ("horizon", 24), ("batch", 1024)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(asked.threads)
    if asked.fit:
        fit(asked)
    else:
        sys.stdout.write(f"\n{json.dumps(forecast(asked))}\n")


if __name__ == "__main__":
    main()

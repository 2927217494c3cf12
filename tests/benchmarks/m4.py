"""Accuracy on files in the layout of the M4 competition, any of its frequencies.

    python -m tests.benchmarks.m4 --train TRAIN.csv --test TEST.csv --season 24 \
        --out forecasts.parquet [--quick]

Both files have a header and a line a series, its id first, blanks at the end; the horizon is the
test file's width. One global model is trained on windows of the training file; its forecasts from
the end of every series are written (series_id, step, a column a quantile) and then scored: sMAPE,
MASE with the in-sample seasonal difference, and OWA against Naive 2 computed here. The test file is
read for ids and width before training and for scoring afterwards. With `--back N` the newest N
horizons of the training file are cut off and the last of them is scored instead: what recipes are
chosen by. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
from pydantic import BaseModel, ConfigDict

from seqmodel.encoding import encode_panel
from seqmodel.errors import DataError
from seqmodel.features import Preprocessor
from seqmodel.panel import Panel
from seqmodel.specs import PipelineSpec
from seqmodel.store.fingerprints import digest_file
from seqmodel.store.store import Store
from seqmodel.windowing import StoredWindows
from seqmodel.windows import index_windows
from tasks.child import run_in_child
from tests.benchmarks.learning import Teller, Training, name_training, run_program
from tests.benchmarks.m4_files import (
    FREQ,
    Floats,
    make_panel,
    read_both,
    read_series,
    score_forecasts,
    write_forecasts,
)
from tests.benchmarks.recipes import (
    FOLDER,
    choose_recipe,
    fill_recipe,
)

#: From this season on a week of seasons is thought to be a longer cycle.
DAILY = 24
DAYS_A_WEEK = 7
#: Lookback in seasons and in horizons, the longer of which counts.
SEASONS, HORIZONS = 3, 3
#: Of so many series one is held out.
ONE_IN = 4
DEADLINE = 24 * 3600.0


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", type=Path, required=True, help="CSV, a line a series")
    parser.add_argument("--test", type=Path, required=True, help="what came after")
    parser.add_argument("--season", type=int, required=True, help="of the data and MASE (steps)")
    parser.add_argument("--cycle", type=int, help="a longer one (steps), by default a week of days")
    parser.add_argument("--lookback", type=int, help="(steps)")
    parser.add_argument("--out", type=Path, required=True, help="Parquet file of the forecasts")
    parser.add_argument("--spec", type=Path, default=FOLDER / "m4.yaml", help="recipe")
    parser.add_argument("--set", nargs="*", default=[], help="knobs, such as train.seed=1")
    parser.add_argument("--back", type=int, default=0, help="score inside the training file")
    parser.add_argument("--quick", action="store_true", help="a tiny network, one short epoch")
    return parser.parse_args(words)


@final
class TrainingJob(BaseModel):
    """What the process that trains is asked to do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: Path
    cut: int
    spec: PipelineSpec
    root: Path
    out: Path
    name: str


def main(words: Sequence[str] | None = None) -> None:
    """Train, forecast, write, score; the last line is JSON."""
    asked = parse(words)
    history, actual = read_both(asked)
    horizon = actual.shape[1]
    recipe = choose_recipe(asked.spec, asked.set, quick=asked.quick)
    cycle = asked.cycle or choose_cycle(asked.season)
    lookback = asked.lookback or choose_lookback(history, asked.season, cycle, horizon)
    spec = fill_recipe(
        recipe,
        name="m4",
        freq=FREQ,
        season=asked.season,
        cycle=cycle,
        lookback=lookback,
        horizon=horizon,
        least=choose_history(history, lookback, horizon),
    )
    cut = asked.back * horizon
    name = name_training(spec, digest_file(asked.train), cut)
    out = asked.out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    state = out.with_name(f"{out.name}.training")
    job = TrainingJob(
        train=asked.train.absolute(), cut=cut, spec=spec, root=state, out=out, name=name
    )
    figures = read_done(job) or run_in_child(
        "tests.benchmarks.m4:forecast_series",
        job.model_dump(mode="json"),
        deadline=DEADLINE,
        tell=Teller("m4"),
        log=logging.getLogger("m4"),
    )
    scores = score_forecasts(out, history, actual, asked.season, spec.output.levels)
    print(json.dumps({**scores, **figures}), flush=True)


def choose_cycle(season: int) -> int | None:
    """Return the steps of the week where the season is a day of hours or less, else None."""
    return DAYS_A_WEEK * season if season >= DAILY else None


def choose_lookback(
    history: dict[str, Floats], season: int, cycle: int | None, horizon: int
) -> int:
    """Return two cycles, or some seasons or horizons; not more than any series has."""
    wanted = max(2 * cycle if cycle else SEASONS * season, HORIZONS * horizon, season + 1)
    longest = max(map(len, history.values()))
    return int(max(min(-(-wanted // season) * season, longest), season + 1))


def choose_history(history: dict[str, Floats], lookback: int, horizon: int) -> int:
    """Return the past that a training window has at least: all of it, where series are long enough.

    Windows padded on the left are another question than the one that is asked in the end. Where
    series are short, so much that nine in ten have a training window and a horizon after it.
    """
    lengths = [len(one) for one in history.values()]
    usual = int(np.quantile(lengths, 0.1)) - 2 * horizon
    return min(max(usual, horizon), lookback, max(max(lengths) - horizon, 1))


def read_done(job: TrainingJob) -> dict[str, Any] | None:
    """Return the figures of forecasts that were written by the same spec, data and code."""
    path = job.root / "result.json"
    if not path.is_file() or not job.out.is_file():
        return None
    found = json.loads(path.read_text())
    return dict(found["figures"]) if found["name"] == job.name else None


def forecast_series(job: dict[str, Any], tell: Any) -> dict[str, Any]:
    """Train, and forecast from the end of every series."""
    asked = TrainingJob.model_validate(job)
    spec, horizon = asked.spec, asked.spec.window.horizon
    history = read_series(asked.train)
    if asked.cut:
        history = {
            name: one[: len(one) - asked.cut]
            for name, one in history.items()
            if len(one) > asked.cut + horizon
        }
    panel = make_panel(history, horizon)
    training = Training(spec, Store(asked.root), asked.name)
    predictor = training.run(panel, cut_panel, tell)
    _, found = predictor.predict(panel, np.array([panel.cutoff]), 1)
    write_forecasts(asked.out, panel.ids, found, spec.output.levels)
    figures = {
        "seconds": round(training.seconds, 2),
        "parameters": training.parameters,
        "series": len(panel.ids),
        "horizon": horizon,
        "lookback": spec.window.lookback,
    }
    path = asked.root / "result.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".part").write_text(json.dumps({"name": asked.name, "figures": figures}))
    path.with_suffix(".part").replace(path)
    training.forget()
    return figures


def cut_panel(panel: Panel, spec: PipelineSpec) -> StoredWindows:
    """Encode a panel and list its windows.

    The newest cycle, or horizon, of every fourth series is the holdout, which intervals are
    calibrated on: its targets are in no training window. All others, and those too short for both,
    are trained on whole: the newest steps are those most like what comes. Where all are too short
    the newest windows are both.
    """
    window = spec.window
    fitted = Preprocessor.fit(panel, spec, panel.cutoff)
    rows = encode_panel(fitted, panel, until=panel.cutoff)
    history = panel.cutoff - panel.first + 1
    held = max(window.horizon, spec.model.cycle or 0)
    parted = history >= window.least_history + window.horizon + held
    parted &= np.arange(len(history)) % ONE_IN == 0
    until = np.where(parted, panel.cutoff - held, panel.cutoff)
    after = until if parted.any() else panel.cutoff - window.horizon
    borders = {"train": (int(panel.first.min()), until), "holdout": (after, panel.cutoff)}
    train, holdout = (
        index_windows(
            panel.first,
            panel.offsets,
            window.lookback,
            window.horizon,
            after=begin,
            until=last,
            least=window.least_history,
        )
        for begin, last in borders.values()
    )
    if not len(train):
        raise DataError(
            f"found no series of {window.least_history} + {window.horizon} steps, needed one for"
            " training; bring longer ones or set window.minimum_history in the recipe"
        )
    return StoredWindows(fitted, rows, train, holdout)


if __name__ == "__main__":
    run_program(main)

"""Long-horizon accuracy on a wide CSV, by the protocol that papers on the ETT data follow.

    python -m tests.benchmarks.ltsf --data FILE.csv --parts 8640 2880 2880 --lookback 96 \
        --horizons 96 192 336 720 --out DIR [--quick]

    rows  |------- train -------|--- holdout ---|--- test ---|  left over
                       lookbacks reach back ^          every window at stride 1 is predicted

Each column is standardised by mean and deviation of the training rows and is a series of one global
model. The newest parts serve early stopping (the holdout's loss) and nothing but scoring (test).
For each horizon a line of JSON: errors in these units over all test windows, steps and columns; the
same over the holdout, which is what a recipe may be chosen by; seconds of training. DIR gets
pred_H.npy and true_H.npy (N x H x C, float32). A run that was killed goes on where it stood, and
finished horizons are not repeated.
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

from seqmodel.errors import DataError, SpecError
from seqmodel.specs import PipelineSpec
from seqmodel.store.fingerprints import digest_file
from seqmodel.store.store import Store
from tasks.child import run_in_child
from tests.benchmarks.learning import Teller, Training, name_training, run_program
from tests.benchmarks.ltsf_parts import Scorer, cut_parts
from tests.benchmarks.recipes import (
    FOLDER,
    choose_cycle,
    choose_recipe,
    choose_season,
    fill_recipe,
)
from tests.benchmarks.wide import Wide, make_panel, read_wide, scale_wide

DEADLINE = 24 * 3600.0


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="CSV, a column a series")
    parser.add_argument(
        "--parts", type=int, nargs=3, required=True, help="rows of training, holdout and test"
    )
    parser.add_argument("--lookback", type=int, default=96, help="(steps)")
    parser.add_argument("--horizons", type=int, nargs="+", default=[96], help="(steps)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the predictions")
    parser.add_argument("--date", default="date", help="column that says when")
    parser.add_argument("--season", type=int, help="by default a day, or what suits longer steps")
    parser.add_argument("--cycle", type=int, help="longer than the season, by default a week")
    parser.add_argument("--spec", type=Path, default=FOLDER / "ltsf.yaml", help="recipe")
    parser.add_argument("--set", nargs="*", default=[], help="knobs, such as train.seed=1")
    parser.add_argument("--holdout-only", action="store_true", help="leave the test part alone")
    parser.add_argument("--quick", action="store_true", help="a tiny network, one short epoch")
    return parser.parse_args(words)


@final
class HorizonJob(BaseModel):
    """What the process of one horizon is asked to do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Path
    date: str
    parts: tuple[int, int, int]
    spec: PipelineSpec
    out: Path
    name: str
    test: bool

    @property
    def store(self) -> Store:
        """Where checkpoints lie."""
        return Store(self.out / "training")


def main(words: Sequence[str] | None = None) -> None:
    """Train and score horizon after horizon, a line of JSON each."""
    asked = parse(words)
    wide = read_wide(asked.data, asked.date)
    check_parts(wide, asked)
    recipe = choose_recipe(asked.spec, asked.set, quick=asked.quick)
    season = asked.season or choose_season(wide.freq)
    cycle = asked.cycle or choose_cycle(wide.freq, season)
    digest = digest_file(asked.data)
    for horizon in asked.horizons:
        spec = fill_recipe(
            recipe,
            name="ltsf",
            freq=wide.freq,
            season=season,
            cycle=cycle,
            lookback=asked.lookback,
            horizon=horizon,
        )
        name = name_training(spec, digest, asked.date, asked.parts, asked.holdout_only)
        job = HorizonJob(
            data=asked.data.absolute(),
            date=asked.date,
            parts=asked.parts,
            spec=spec,
            out=asked.out.absolute(),
            name=name,
            test=not asked.holdout_only,
        )
        print(json.dumps(read_done(job) or measure(job)), flush=True)


def check_parts(wide: Wide, asked: argparse.Namespace) -> None:
    """Refuse parts, lookbacks and horizons that the file does not hold.

    Raises:
        SpecError: if a number is below 1.
        DataError: if the file is too short.
    """
    train_rows, holdout, test = asked.parts
    if min(*asked.parts, asked.lookback, *asked.horizons) < 1:
        raise SpecError(
            f"found --parts {train_rows} {holdout} {test} --lookback {asked.lookback} --horizons"
            f" {asked.horizons}, needed 1 or more of each; correct them"
        )
    if sum(asked.parts) > len(wide.numbers):
        raise DataError(
            f"found {len(wide.numbers)} rows in {asked.data.name}, needed the {sum(asked.parts)} of"
            " --parts; make these smaller or bring a longer file"
        )
    longest = max(asked.horizons)
    needed = {"training": asked.lookback + longest, "holdout": longest, "test": longest}
    for (part, least), rows in zip(needed.items(), asked.parts, strict=True):
        if rows < least:
            raise DataError(
                f"found {rows} rows in the {part} part, needed {least} for lookback"
                f" {asked.lookback} and horizon {longest}; change --parts or shorten them"
            )


def read_done(job: HorizonJob) -> dict[str, Any] | None:
    """Return the figures of a horizon that was finished by the same spec, data and code."""
    path = job.out / f"result_{job.spec.window.horizon}.json"
    if not path.is_file():
        return None
    found = json.loads(path.read_text())
    there = all((job.out / name).is_file() for name in found["files"])
    return dict(found["figures"]) if found["name"] == job.name and there else None


def measure(job: HorizonJob) -> dict[str, Any]:
    """Run one horizon in a process of its own and return its figures."""
    job.out.mkdir(parents=True, exist_ok=True)
    answer = run_in_child(
        "tests.benchmarks.ltsf:measure_horizon",
        job.model_dump(mode="json"),
        deadline=DEADLINE,
        tell=Teller(f"H={job.spec.window.horizon}"),
        log=logging.getLogger("ltsf"),
    )
    return dict(answer)


def measure_horizon(job: dict[str, Any], tell: Any) -> dict[str, Any]:
    """Train for one horizon, predict, write and score."""
    asked = HorizonJob.model_validate(job)
    spec, horizon = asked.spec, asked.spec.window.horizon
    wide = read_wide(asked.data, asked.date)
    values = scale_wide(wide, asked.parts[0])[: sum(asked.parts)]
    panel = make_panel(wide, values)
    training = Training(spec, asked.store, asked.name)
    predictor = training.run(panel, lambda rows, one: cut_parts(rows, one, asked.parts), tell)
    figures: dict[str, Any] = {
        "data": asked.data.name,
        "lookback": spec.window.lookback,
        "horizon": horizon,
    }
    scorer = Scorer(predictor, panel, horizon)
    last = (int(panel.first[0]) + np.cumsum(asked.parts) - 1).tolist()
    files: list[str] = []
    if asked.test:
        files = [f"pred_{horizon}.npy", f"true_{horizon}.npy"]
        figures |= scorer.score((last[1], last[2]), tell, [asked.out / name for name in files])
    held = scorer.score((last[0], last[1]), tell)
    figures |= {f"holdout_{key}": value for key, value in held.items()}
    figures |= {
        "seconds": round(training.seconds, 2),
        "parameters": training.parameters,
        "epoch": [best for best, _ in training.epochs],
        "epochs": [count for _, count in training.epochs],
    }
    done = {"name": asked.name, "figures": figures, "files": files}
    path = asked.out / f"result_{horizon}.json"
    path.with_suffix(".part").write_text(json.dumps(done))
    path.with_suffix(".part").replace(path)
    training.forget()
    return figures


if __name__ == "__main__":
    run_program(main)

"""Files in the layout of the M4 competition: read, laid out as a panel, forecast, scored."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seqmodel.errors import DataError, SourceError, SpecError
from seqmodel.grid import Grid
from seqmodel.metrics import Scored, measure_scale, score
from seqmodel.panel import Panel
from tests.benchmarks.naive2 import predict_naive2

Floats = NDArray[np.float64]
#: The files name no moments: steps are numbered as hours, the newest one 2020-01-01T00:00Z.
FREQ, NEWEST = "h", 438_288


def read_series(path: Path) -> dict[str, Floats]:
    """Read a file of the competition: id -> values, ids ascending.

    Raises:
        DataError: if it cannot be read, names a series twice, or holds text or a gap.
    """
    try:
        with path.open(newline="") as lines:
            rows = [row for row in csv.reader(lines) if row][1:]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(
            f"found {path} not readable ({error}), needed a CSV in the layout of M4; correct the"
            " path"
        ) from None
    found: dict[str, Floats] = {}
    for name, *cells in rows:
        if name in found:
            raise DataError(
                f"found series {name!r} twice in {path.name}, needed each once; remove one"
            )
        found[name] = _read_values(name, cells, path)
    if not found:
        raise DataError(f"found no series in {path.name}, needed a header and a line each")
    return dict(sorted(found.items()))


def _read_values(name: str, cells: Sequence[str], path: Path) -> Floats:
    filled = [bool(cell.strip()) and cell.strip() not in {"NA", "NaN"} for cell in cells]
    length = max((place + 1 for place, there in enumerate(filled) if there), default=0)
    try:
        values = np.array([float(cell) for cell in cells[:length]])
    except ValueError:
        values = np.array([np.nan])
    if not length or not np.isfinite(values).all():
        raise DataError(
            f"found series {name!r} of {path.name} empty, with text or with a gap, needed finite"
            " numbers and blanks only at the end; correct it"
        )
    return values


def read_both(asked: argparse.Namespace) -> tuple[dict[str, Floats], Floats]:
    """Return the series to learn from and the S x H values to come.

    Raises:
        SpecError: if the season or --back is out of bounds.
        DataError: if the files do not fit each other.
    """
    if asked.season < 1 or asked.back < 0 or (asked.lookback or 1) < 1:
        raise SpecError(
            f"found --season {asked.season} --back {asked.back} --lookback {asked.lookback}, needed"
            " a season and a lookback of 1 or more and no negative --back; correct them"
        )
    history, test = read_series(asked.train), read_series(asked.test)
    if set(history) != set(test):
        other = sorted(set(history) ^ set(test))
        raise DataError(
            f"found {len(other)} series in only one of {asked.train.name} and {asked.test.name}"
            f" ({', '.join(other[:3])}), needed the same in both; bring files that belong together"
        )
    widths = {len(one) for one in test.values()}
    if len(widths) > 1:
        raise DataError(
            f"found series of {min(widths)} to {max(widths)} steps in {asked.test.name}, needed one"
            " horizon for all; cut them to one length"
        )
    horizon = widths.pop()
    if not asked.back:
        return history, np.array([test[name] for name in history])
    rest = asked.back * horizon
    # Series that have nothing before are left out: this is for choosing, not for reporting.
    kept = {name: one for name, one in history.items() if len(one) > rest + horizon}
    if not kept:
        raise DataError(
            f"found no series longer than {rest + horizon} steps in {asked.train.name}, needed one"
            f" for --back {asked.back}; lower it"
        )
    actual = np.array([one[len(one) - rest :][:horizon] for one in kept.values()])
    return {name: one[: len(one) - rest] for name, one in kept.items()}, actual


def make_panel(history: dict[str, Floats], horizon: int) -> Panel:
    """Return a panel whose series all end at one cutoff, a horizon of empty rows after it."""
    lengths = np.array([len(one) for one in history.values()])
    empty = np.full(horizon, np.nan)
    return Panel(
        grid=Grid(FREQ),
        ids=list(history),
        first=NEWEST - lengths + 1,
        offsets=np.concatenate([[0], np.cumsum(lengths + horizon)]),
        cutoff=NEWEST,
        horizon=horizon,
        values={"target": np.concatenate([p for one in history.values() for p in (one, empty)])},
        labels={},
        static={},
    )


def write_forecasts(path: Path, ids: Sequence[str], found: Floats, levels: Sequence[float]) -> None:
    """Write S x H x Q forecasts as rows, whole or not at all."""
    count, horizon, _ = found.shape
    columns: dict[str, pa.Array] = {
        "series_id": pa.array(np.repeat(np.array(ids, dtype=object), horizon), pa.string()),
        "step": pa.array(np.tile(np.arange(1, horizon + 1, dtype=np.int32), count)),
    }
    for place, level in enumerate(levels):
        columns[f"q{level:g}"] = pa.array(found[:, :, place].ravel())
    draft = path.with_name(f"{path.name}.part")
    pq.write_table(pa.table(columns), draft)
    draft.replace(path)


def score_forecasts(
    path: Path,
    history: dict[str, Floats],
    actual: Floats,
    season: int,
    levels: Sequence[float],
) -> dict[str, float | None]:
    """Score the forecasts of a file, and Naive 2 beside them; None for what is not defined."""
    rows = pq.read_table(path)
    found = np.stack([rows[f"q{level:g}"].to_numpy() for level in levels], axis=1)
    found = found.reshape(*actual.shape, len(levels))
    target = np.concatenate(list(history.values()))
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in history.values()])])
    scale = measure_scale(target, offsets, season, offsets[1:])
    ours = score(Scored(actual, found, tuple(levels), scale))
    naive = np.array([predict_naive2(h, season, actual.shape[1]) for h in history.values()])
    theirs = score(Scored(actual, naive[:, :, None], (0.5,), scale))
    known = all(theirs[name] > 0 for name in ("smape", "mase"))
    parts = [ours[name] / theirs[name] for name in ("smape", "mase") if known]
    scores = {
        "smape": ours["smape"],
        "mase": ours["mase"],
        "owa": sum(parts) / 2 if known else None,
        "naive2_smape": theirs["smape"],
        "naive2_mase": theirs["mase"],
        "wql": ours["wql"],
    }
    # Series that never change have no MASE.
    scores = {n: v if v is not None and np.isfinite(v) else None for n, v in scores.items()}
    for low, high in zip(levels, reversed(levels), strict=True):
        if low < high:
            low_at, high_at = levels.index(low), levels.index(high)
            between = (actual >= found[:, :, low_at]) & (actual <= found[:, :, high_at])
            scores[f"coverage_{round(100 * (high - low))}"] = float(between.mean())
    return scores

"""Published forecasts beside what came: each cutoff is scored again until it is complete.

forecast of night 1   |-- step 1 ... H --|
tonight's table       ........observed|            the rest is late, or comes tomorrow
kept                  sums of a group, step and candidate: they add up over whatever one asks for
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from seqmodel.errors import StoreError
from seqmodel.grid import to_microseconds
from seqmodel.grouping import group_panel
from seqmodel.metrics import Scored, measure_scale
from seqmodel.models.naive import BASELINES
from seqmodel.panel import Panel
from seqmodel.scoring.real import take_actuals
from seqmodel.specs import PipelineSpec
from seqmodel.store.fingerprints import digest_file
from seqmodel.store.forecasts import MANIFEST, read_forecast
from seqmodel.store.histories import read_history, write_history
from seqmodel.store.store import Store
from seqmodel.tallying import Tally
from seqmodel.windows import Windows, index_cutoffs

log = logging.getLogger(__name__)
Floats = NDArray[np.float64]
KEYS = ("cutoff", "model_version", "group", "candidate")
PREFIX = "cutoff="
FORECAST, BASELINE = "forecast", "baseline"


@final
@dataclass(frozen=True)
class Published:
    """A forecast that is out.

    Attributes:
        name: of its folder.
        cutoff: its moment.
        folder: where it is.
        digest: of its manifest: one that is published again is scored again.
    """

    name: str
    cutoff: datetime
    folder: Path
    digest: str


def score_published(store: Store, panel: Panel, spec: PipelineSpec) -> tuple[list[str], list[str]]:
    """Score the last forecasts that are not complete yet, and write what was found down.

    Args:
        store: the data root.
        panel: tonight's rows.
        spec: the pipeline; `monitor.nights` forecasts are looked back at.

    Returns:
        Names of the forecasts scored, and a sentence for each that could not be.
    """
    known = {
        name: (notes["digest"], notes["complete"])
        for name, _, notes in read_history(store, spec.name, "accuracy")
    }
    scored, notes = [], []
    for one in _list_published(store, spec, panel):
        if known.get(one.name) == (one.digest, True):
            continue
        try:
            tally, complete = _score(one, panel, spec)
        except StoreError as error:
            notes.append(f"the forecast {one.name} is not scored: {error}")
            continue
        facts = {"digest": one.digest, "complete": complete}
        write_history(store, spec.name, "accuracy", one.name, tally.table, facts)
        scored.append(one.name)
    return scored, notes


def _list_published(store: Store, spec: PipelineSpec, panel: Panel) -> Iterator[Published]:
    """Yield the forecasts from before the panel's cutoff, the newest `monitor.nights` of them."""
    found = []
    for folder in sorted(store.path(f"{spec.name}/forecasts").glob(f"{PREFIX}*")):
        text = folder.name.removeprefix(PREFIX)
        cutoff = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if (folder / MANIFEST).is_file() and _number(panel, cutoff) < panel.cutoff:
            found.append(Published(folder.name, cutoff, folder, digest_file(folder / MANIFEST)))
    yield from found[-spec.monitor.nights :]


def _number(panel: Panel, moment: datetime) -> int:
    return int(panel.grid.number(np.array([to_microseconds(moment)]))[0])


def _score(one: Published, panel: Panel, spec: PipelineSpec) -> tuple[Tally, bool]:
    """Return the sums of a forecast and of the baseline, and whether every target has come."""
    rows = read_forecast(one.folder)
    number = _number(panel, one.cutoff)
    index, values, version = _align(rows, panel, number, spec)
    actual = take_actuals(panel, index, spec)
    until = panel.offsets[:-1] + np.maximum(number + 1 - panel.first, 0)
    measured = (panel.values["target"], panel.offsets, spec.source.season, until)
    scale = measure_scale(*measured)[index.series]
    root = measure_scale(*measured, squared=True)[index.series]
    levels = spec.output.levels
    base = BASELINES[spec.baseline](
        panel, index, spec.window.lookback, spec.window.horizon, spec.source.season, levels, number
    )
    named = group_panel(panel, spec.promotion.group_by, panel.cutoff) or ("all",) * len(panel.ids)
    groups = np.array(named, dtype=object)[index.series]
    total = Tally.zero(*KEYS, "step")
    for candidate, quantiles in ((FORECAST, values), (BASELINE, base)):
        keys = {
            "cutoff": pa.repeat(pa.scalar(one.cutoff, pa.timestamp("us", "UTC")), len(index)),
            "model_version": [version] * len(index),
            "group": groups.tolist(),
            "candidate": [candidate] * len(index),
        }
        scored = Scored(actual, quantiles, levels, scale, root)
        total = total + Tally.of(scored, keys, by_step=True)
    return total, bool(np.isfinite(actual).all())


def _align(
    rows: pa.Table, panel: Panel, number: int, spec: PipelineSpec
) -> tuple[Windows, Floats, str]:
    """Return the windows that a forecast speaks of, its N x H x Q quantiles and its version.

    Raises:
        StoreError: if it was made for another horizon or other quantiles than those of the spec.
    """
    horizon = spec.window.horizon
    names = [f"q{level:g}" for level in spec.output.levels]
    sizes = rows.group_by("series_id", use_threads=False).aggregate([("step", "count")])
    other = [name for name in names if name not in rows.column_names]
    if other or pc.any(pc.not_equal(sizes["step_count"], horizon)).as_py():
        raise StoreError(
            f"found a forecast of other steps or quantiles, needed {horizon} steps of"
            f" {', '.join(names)}; it was made under another spec"
        )
    rows = rows.sort_by([("series_id", "ascending"), ("step", "ascending")])
    ids = rows["series_id"].take(pa.array(np.arange(0, rows.num_rows, horizon)))
    places = pc.index_in(ids, value_set=pa.array(panel.ids, pa.string()))
    index = index_cutoffs(panel.first, panel.offsets, spec.window.lookback, np.array([number]))
    # A series that has gone since, or begins later in tonight's table, has nothing to compare with.
    of_series = np.full(len(panel.ids), -1)
    of_series[index.series] = np.arange(len(index))
    found = np.array([-1 if p is None else of_series[p] for p in places.to_pylist()])
    values = np.stack([rows[name].to_numpy().reshape(-1, horizon) for name in names], axis=-1)
    return index.take(found[found >= 0]), values[found >= 0], rows["model_version"][0].as_py()

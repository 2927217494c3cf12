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

from seqmodel.errors import DataError, StoreError
from seqmodel.grouping import group_panel
from seqmodel.monitoring.accuracy import KEYS
from seqmodel.monitoring.comparing import NothingToCompareError, compare_forecast
from seqmodel.panel import Panel
from seqmodel.specs import PipelineSpec
from seqmodel.store.fingerprints import digest_file
from seqmodel.store.forecasts import MANIFEST, read_chunks, read_figures, read_forecast
from seqmodel.store.histories import read_history, write_history
from seqmodel.store.newest import KEY
from seqmodel.store.store import Store
from seqmodel.tallying import Tally

log = logging.getLogger(__name__)
Integers = NDArray[np.int64]
PREFIX = "cutoff="
#: Forecast rows in hand at once: about 5,000 series of a day of hours.
CHUNK = 1 << 17
SECOND = 1_000_000


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
        except (StoreError, DataError) as error:
            notes.append(f"the forecast {one.name} is not scored: {error}")
            continue
        facts = {"digest": one.digest, "complete": complete}
        write_history(store, spec.name, "accuracy", one.name, tally.table, facts)
        scored.append(one.name)
    return scored, notes


def _list_published(store: Store, spec: PipelineSpec, panel: Panel) -> Iterator[Published]:
    """Yield the forecasts from before the panel's cutoff, the newest `monitor.nights` of them."""
    found = []
    newest = _find_newest(panel, spec)
    for folder in sorted(store.path(f"{spec.name}/forecasts").glob(f"{PREFIX}*")):
        text = folder.name.removeprefix(PREFIX)
        cutoff = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        number = panel.grid.locate(cutoff)
        if (folder / MANIFEST).is_file() and number < newest:
            found.append(Published(folder.name, cutoff, folder, digest_file(folder / MANIFEST)))
    yield from found[-spec.monitor.nights :]


def _find_newest(panel: Panel, spec: PipelineSpec) -> int:
    """Return the grid number before which forecasts can have come true."""
    if panel.moments is None:
        return panel.cutoff
    newest = int(panel.moments[panel.number_of_row <= panel.cutoff].max())
    newest -= newest % SECOND  # as the names of the forecasts are
    # A sequence gets its label later, when no newer sequence need have come.
    return newest + (spec.source.layout == "sequences")


def _score(one: Published, panel: Panel, spec: PipelineSpec) -> tuple[Tally, bool]:
    """Return the sums of a forecast and of the baseline, and whether every target has come."""
    named = group_panel(panel, spec.promotion.group_by, panel.cutoff) or ("all",) * len(panel.ids)
    groups = np.array(named, dtype=object)
    version = read_figures(one.folder).get("model_version", "")
    total, complete, nothing = Tally.zero(*KEYS, "step"), True, None
    for rows, own, series in _cut(one, panel, spec):
        try:
            found = compare_forecast(rows, own, spec)
        except NothingToCompareError as error:
            nothing = error
            continue
        for candidate, parts in found.parts.items():
            count = len(found.index)
            keys = {
                "cutoff": pa.repeat(pa.scalar(one.cutoff, pa.timestamp("us", "UTC")), count),
                "model_version": [version] * count,
                "group": groups[series[found.index.series]].tolist(),
                "candidate": [candidate] * count,
            }
            total = total + Tally.of(parts, keys, by_step=True)
        complete = complete and found.complete
    if nothing and not total.table.num_rows:
        raise nothing
    return total, complete


def _cut(
    one: Published, panel: Panel, spec: PipelineSpec
) -> Iterator[tuple[pa.Table, Panel, Integers]]:
    """Yield some rows of a forecast, the panel of their series, and the S numbers of these.

    Baselines of classes look at all series at once, and so get everything.
    """
    if spec.output.of_classes:
        yield read_forecast(one.folder), panel, np.arange(len(panel.ids))
        return
    columns = [KEY, "cutoff", "step", *(f"q{level:g}" for level in spec.output.levels)]
    ids = pa.array(panel.ids, pa.string())
    for rows in read_chunks(one.folder, columns, CHUNK):
        found = pc.index_in(rows[KEY].unique(), value_set=ids).drop_null()
        series = np.sort(found.to_numpy()).astype(np.int64)
        yield rows, panel.take(series), series

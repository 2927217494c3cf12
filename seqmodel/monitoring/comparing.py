"""A published forecast and the baseline beside what came: what each metric is a mean of.

numbers   quantiles; the baseline is made again at the forecast's cutoff
classes   probabilities, of events too: the next event of a series is whatever came after its last
          one at the cutoff, and the label of a sequence is what it has got since
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from seqmodel.classifying import PROBABILITY, predict_class_baseline
from seqmodel.errors import StoreError
from seqmodel.metrics import Scored, measure_scale
from seqmodel.models.naive import BASELINES
from seqmodel.monitoring.accuracy import BASELINE, FORECAST
from seqmodel.panel import Panel
from seqmodel.scoring.classes import ClassScoring
from seqmodel.scoring.protocol import Prediction
from seqmodel.scoring.real import take_actuals
from seqmodel.specs import PipelineSpec
from seqmodel.tallying import Parts, part_scored
from seqmodel.windows import Windows

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@final
class NothingToCompareError(StoreError):
    """None of a forecast's series is in tonight's table."""


@final
@dataclass(frozen=True)
class Compared:
    """A forecast that is out, and what the baseline would have said.

    Attributes:
        index: the N windows that both speak of.
        parts: candidate -> what its scores are made of, N x H.
    """

    index: Windows
    parts: dict[str, Parts]

    @property
    def complete(self) -> bool:
        """Whether every target has come."""
        return bool(self.parts[FORECAST].observed.all())


def compare_forecast(rows: pa.Table, panel: Panel, spec: PipelineSpec) -> Compared:
    """Put a published forecast and the baseline beside what came.

    Numbers may be compared some series at a time, with a panel of these alone: no figure of a
    series depends on another one.

    Args:
        rows: of the forecast.
        panel: tonight's rows.
        spec: the pipeline.

    Raises:
        NothingToCompareError: if none of its series is there tonight.
        StoreError: if it was made for another horizon, other quantiles or another kind of target.
    """
    compare = _compare_classes if spec.output.of_classes else _compare_numbers
    return compare(rows, panel, spec)


def _compare_numbers(rows: pa.Table, panel: Panel, spec: PipelineSpec) -> Compared:
    levels, season = spec.output.levels, spec.source.season
    number = int(panel.grid.number(_read_cutoff(rows))[0])
    numbers = np.full(len(panel.ids), number)
    names = [f"q{level:g}" for level in levels]
    index, values = _align(rows, panel, numbers, names, spec)
    actual = take_actuals(panel, index, spec)
    until = panel.offsets[:-1] + np.maximum(number + 1 - panel.first, 0)
    measured = (panel.values["target"], panel.offsets, season, until)
    scale = measure_scale(*measured)[index.series]
    root = measure_scale(*measured, squared=True)[index.series]
    base = BASELINES[spec.baseline](
        panel, index, spec.window.lookback, spec.window.horizon, season, levels, number
    )
    said = {FORECAST: values, BASELINE: base}
    parts = {n: part_scored(Scored(actual, q, levels, scale, root)) for n, q in said.items()}
    return Compared(index, parts)


def _compare_classes(rows: pa.Table, panel: Panel, spec: PipelineSpec) -> Compared:
    names = [name for name in rows.column_names if name.startswith(PROBABILITY)]
    numbers = _number_cutoffs(rows, panel, spec)
    index, values = _align(rows, panel, numbers, names or [f"{PROBABILITY}<class>"], spec)
    classes = tuple(name.removeprefix(PROBABILITY) for name in names)
    base, _ = predict_class_baseline(panel, index, spec, numbers)
    scoring = ClassScoring(spec, panel, index)
    said = {FORECAST: Prediction(values, classes), BASELINE: base}
    parts = {name: scoring.part(one) for name, one in said.items()}
    return Compared(index, parts)


def _read_cutoff(rows: pa.Table) -> Integers:
    """Return the moment of the cutoff (microseconds UTC), one number."""
    if not rows.num_rows:
        raise StoreError("found a forecast without a row, needed one at least; nothing was asked")
    moments: Integers = rows["cutoff"].slice(0, 1).cast(pa.int64()).to_numpy()
    return moments


def _number_cutoffs(rows: pa.Table, panel: Panel, spec: PipelineSpec) -> Integers:
    """Return the S numbers of the last row of each series that the forecast knew."""
    numbers = panel.number_at(int(_read_cutoff(rows)[0]))
    if spec.source.layout == "sequences":
        # The label of a sequence has the moment of its elements, and was what was asked.
        asked = np.isin(panel.ids, rows["series_id"].to_numpy(zero_copy_only=False))
        told = np.bincount(panel.series_of_row[panel.seen], minlength=len(panel.ids)) > 0
        numbers = numbers - (asked & told)
    return numbers


def _align(
    rows: pa.Table, panel: Panel, numbers: Integers, names: list[str], spec: PipelineSpec
) -> tuple[Windows, Floats]:
    """Return the windows that a forecast speaks of, and what it says, N x H x P.

    Args:
        rows: of the forecast.
        panel: tonight's rows.
        numbers: S numbers of the rows at the cutoff.
        names: P columns.
        spec: the pipeline.
    """
    horizon = spec.window.horizon
    sizes = rows.group_by("series_id", use_threads=False).aggregate([("step", "count")])
    other = [name for name in names if name not in rows.column_names]
    if other or pc.any(pc.not_equal(sizes["step_count"], horizon)).as_py():
        raise StoreError(
            f"found a forecast of other steps or columns, needed {horizon} steps of"
            f" {', '.join(names)}; it was made under another spec"
        )
    rows = rows.sort_by([("series_id", "ascending"), ("step", "ascending")])
    ids = rows["series_id"].take(pa.array(np.arange(0, rows.num_rows, horizon)))
    found = pc.fill_null(pc.index_in(ids, value_set=pa.array(panel.ids, pa.string())), -1)
    series = found.to_numpy().astype(np.int32)
    # A series that has gone since, or begins later in tonight's table, has nothing to compare with.
    there = series >= 0
    there[there] = (numbers >= panel.first)[series[there]]
    if not there.any():
        raise NothingToCompareError(
            "found none of its series in tonight's table, needed one at least to score"
        )
    starts = panel.offsets[:-1] + numbers - panel.first - spec.window.lookback + 1
    values = np.stack([rows[name].to_numpy().reshape(-1, horizon) for name in names], axis=-1)
    return Windows(starts[series[there]], series[there]), values[there]

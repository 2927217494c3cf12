"""A panel encoded under a fitted preprocessor: column by column into one float32 array."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqmodel.calendar_features import make_calendar, make_holidays
from seqmodel.covariates import demand_kinds
from seqmodel.features import Preprocessor
from seqmodel.filling import fill_target, measure_open
from seqmodel.labelling import encode_labels
from seqmodel.panel import Panel
from seqmodel.rows import Rows
from seqmodel.scaling import Scaler, bend
from seqmodel.target_features import hold, measure_age, roll, shift

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
#: A scaled covariate beyond this is a fault of the sensor, not a signal.
CLIP = 10.0
#: Logarithm of the seconds of a day, the unit of a pause.
DAY = float(np.log1p(86_400))


def encode_panel(
    fitted: Preprocessor,
    panel: Panel,
    *,
    until: int | Integers,
    scalers: dict[str, Scaler] | None = None,
) -> Rows:
    """Encode every row of a panel.

    A window cut from the rows depends on nothing after its cutoff but known covariates.

    Args:
        fitted: feature order, scalers and category maps.
        panel: rows of S series.
        until: grid number of the earliest cutoff that will be forecast from: series that were
            never seen in training are scaled by their rows up to here, and static covariates are
            those known here.
        scalers: what `fitted.align` returns for them, if it was asked before.
    """
    demand_kinds(panel, fitted.source, set(fitted.categories))
    if fitted.classes:
        return _encode_classes(fitted, panel, until)
    scalers = scalers or fitted.align(panel, until)
    constants = panel.static_at(until)
    values = np.empty((panel.rows, len(fitted.names)), dtype=np.float32)
    # What a window's own scale is still to be applied to keeps its holes.
    kept = () if fitted.scaling.window == "none" else fitted.target_columns
    target = _scale_target(fitted, panel, scalers["target"], panel.values["target"])
    for column, made in enumerate(_make_columns(fitted, panel, scalers, target, until)):
        values[:, column] = made if column in kept else _drop_holes(made)
    dates = _make_dates(fitted, panel)
    values[:, values.shape[1] - dates.shape[1] :] = dates
    filled = fitted.grid.fill != "none"
    return Rows(
        values=values,
        codes=_encode_labels(fitted, panel),
        target=np.nan_to_num(target if filled else target[:0]).astype(np.float32),
        gap=measure_open(panel, fitted.grid) if filled else np.zeros(0, dtype=np.int32),
        begins=panel.offsets[:-1].copy(),
        first=panel.first,
        static=_encode_static(fitted, constants, len(panel.ids)),
        static_codes=_encode_codes(fitted, constants, len(panel.ids)),
        series_codes=(fitted.find(panel.ids) + 1).astype(np.int32)[:, None],
        scale=scalers["target"].spread.astype(np.float32)[:, None],
        location=scalers["target"].location.astype(np.float32)[:, None],
    )


def _encode_classes(fitted: Preprocessor, panel: Panel, until: int | Integers) -> Rows:
    """Encode a panel whose target is a class: it has no scale, and no column of reals."""
    scalers = fitted.align(panel, until)
    constants = panel.static_at(until)
    values = np.empty((panel.rows, len(fitted.names)), dtype=np.float32)
    nothing = np.zeros(panel.rows)
    for column, made in enumerate(_make_columns(fitted, panel, scalers, nothing, until)):
        values[:, column] = _drop_holes(made)
    dates = _make_dates(fitted, panel)
    values[:, values.shape[1] - dates.shape[1] :] = dates
    return Rows(
        values=values,
        codes=_encode_labels(fitted, panel),
        target=encode_labels(panel.labels["target"], fitted.classes).astype(np.float32),
        gap=np.zeros(0, dtype=np.int32),
        begins=panel.offsets[:-1].copy(),
        first=panel.first,
        static=_encode_static(fitted, constants, len(panel.ids)),
        static_codes=_encode_codes(fitted, constants, len(panel.ids)),
        series_codes=(fitted.find(panel.ids) + 1).astype(np.int32)[:, None],
        scale=np.ones((len(panel.ids), 1), dtype=np.float32),
        location=np.zeros((len(panel.ids), 1), dtype=np.float32),
    )


def _drop_holes(values: Floats) -> NDArray[np.float32]:
    """Return R values in single precision, zero where they are missing."""
    found = values.astype(np.float32)
    found[np.isnan(found)] = 0
    return found


def _scale_target(fitted: Preprocessor, panel: Panel, scaler: Scaler, values: Floats) -> Floats:
    """Return R scaled targets, NaN where missing and after the panel's cutoff."""
    history = panel.number_of_row <= panel.cutoff
    bent = bend(values, fitted.scaling.transform)
    return np.where(history, scaler.transform(bent, panel.lengths), np.nan)


def _make_columns(
    fitted: Preprocessor,
    panel: Panel,
    scalers: dict[str, Scaler],
    target: Floats,
    until: int | Integers,
) -> Iterator[Floats]:
    """Yield the columns in the order of `fitted.names`, NaN where missing; the dates follow."""
    source, features = fitted.source, fitted.features
    begins = panel.spread(panel.offsets[:-1])
    shown = target
    if fitted.grid.fill != "none":
        seen = fill_target(panel, fitted.grid, source.season)
        shown = _scale_target(fitted, panel, scalers["target"], seen)
    yield shown
    # Of a class: whether there is a row. That its class is missing its code says.
    there = panel.number_of_row <= panel.cutoff if fitted.classes else np.isfinite(target)
    yield there.astype(np.float64)
    for name in source.past:
        if name in panel.values:
            yield _scale_covariate(fitted, panel, scalers, name, begins)
    yield from (roll(target, begins, r.statistic, r.steps) for r in features.rolling)
    if source.timed:
        yield from _make_event_columns(fitted, panel, begins)
    for name in source.known:
        if name in panel.values:
            yield _scale_covariate(fitted, panel, scalers, name, begins)
    yield from (shift(target, begins, lag) for lag in features.lags)
    if features.age:
        yield measure_age(panel.number_of_row, panel.spread(_find_births(fitted, panel, until)))


def _make_event_columns(fitted: Preprocessor, panel: Panel, begins: Integers) -> Iterator[Floats]:
    """Yield the pause before each event, in logarithms of days, and the calendar of it."""
    rows = np.arange(panel.rows)
    moments = panel.when(rows)
    happened = panel.number_of_row <= panel.cutoff
    known = np.where(happened, moments, 0)
    before = np.where(rows > begins, known[rows - 1], known)
    pause = np.maximum(known - before, 0) / 1e6
    yield np.where(happened, np.log1p(pause) / DAY, 0.0)
    waves = make_calendar(known, fitted.features.calendar or (), fitted.source.timezone)
    for column in waves.T:
        yield np.where(happened, column, 0.0)


def _scale_covariate(
    fitted: Preprocessor,
    panel: Panel,
    scalers: dict[str, Scaler],
    name: str,
    begins: NDArray[np.int64],
) -> Floats:
    values = panel.values[name]
    if fitted.features.missing == "forward":
        values = hold(values, begins, fitted.lookback)
    if name in fitted.features.in_target_unit:
        bent = bend(values, fitted.scaling.transform)
        scaled = scalers["target"].transform(bent, panel.lengths)
    else:
        scaled = scalers[name].transform(values, panel.lengths)
    return np.clip(scaled, -CLIP, CLIP)


def _find_births(fitted: Preprocessor, panel: Panel, until: int | Integers) -> NDArray[np.int64]:
    """Return S grid numbers of the first observed steps.

    Of a series never seen in training nobody but its newest L rows is asked: a night reads no more.
    """
    rows = fitted.list_newest(panel, until) & panel.seen
    own = np.broadcast_to(until, len(panel.ids)).astype(np.int64)
    np.minimum.at(own, panel.series_of_row[rows], panel.number_of_row[rows])
    places = fitted.find(panel.ids)
    births = np.array([*fitted.births, 0], dtype=np.int64)
    return np.where(places >= 0, births[places], own)


def _make_dates(fitted: Preprocessor, panel: Panel) -> NDArray[np.float32]:
    """Return calendar and holidays, R x D: made once for the grid, then taken for every series."""
    if fitted.source.irregular:
        return np.empty((panel.rows, 0), dtype=np.float32)
    start = int(panel.first.min()) if panel.rows else 0
    moments = panel.grid.moment(np.arange(start, panel.end))
    zone, features = fitted.source.timezone, fitted.features
    blocks = [make_calendar(moments, features.calendar or (), zone)]
    if features.holidays:
        blocks.append(make_holidays(moments, features.holidays, zone))
    table = _drop_holes(np.concatenate(blocks, axis=1))
    return np.take(table, panel.number_of_row - start, axis=0)


def _encode_labels(fitted: Preprocessor, panel: Panel) -> NDArray[np.int32]:
    names = fitted.code_names
    codes = np.zeros((panel.rows, len(names)), dtype=np.int32)
    for column, name in enumerate(names):
        known = {c: i + 1 for i, c in enumerate(fitted.categories[name])}
        labels = panel.labels[name]
        # The last place stands for what is missing: position -1.
        found = np.array([*(known.get(n, 0) for n in labels.names), 0], dtype=np.int32)
        codes[:, column] = found[labels.codes]
    return codes


def _encode_static(
    fitted: Preprocessor, constants: dict[str, NDArray[Any]], series: int
) -> NDArray[np.float32]:
    columns = [
        np.clip((constants[name].astype(np.float64) - mean) / spread, -CLIP, CLIP)
        for name, (mean, spread) in fitted.reals.items()
    ]
    stacked = np.stack(columns, axis=1) if columns else np.empty((series, 0))
    return np.nan_to_num(stacked).astype(np.float32)


def _encode_codes(
    fitted: Preprocessor, constants: dict[str, NDArray[Any]], series: int
) -> NDArray[np.int32]:
    columns = []
    for name in fitted.static_names:
        codes = {c: i + 1 for i, c in enumerate(fitted.categories[name])}
        columns.append([0 if v is None else codes.get(str(v), 0) for v in constants[name]])
    return np.array(columns, dtype=np.int32).reshape(len(columns), series).T

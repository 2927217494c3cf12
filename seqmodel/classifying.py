"""A stored model, or a baseline, and the newest rows: probabilities of the classes to come."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqmodel.covariates import demand_known
from seqmodel.encoding import encode_panel
from seqmodel.errors import DataError
from seqmodel.gathering import WindowReader
from seqmodel.grid import to_microseconds
from seqmodel.labelling import list_categories, order_classes
from seqmodel.loading import load_model
from seqmodel.models.frequencies import predict_frequencies
from seqmodel.panel import NO_MOMENT, Panel
from seqmodel.predicting import predict_windows
from seqmodel.scoring.protocol import Prediction
from seqmodel.specs import PipelineSpec
from seqmodel.store.champion import BASELINE
from seqmodel.store.refs import ModelRef, TableRef
from seqmodel.store.store import Store
from seqmodel.windows import Windows, index_cutoffs

#: Classes whose probabilities are all shown beside a forecast.
FEW = 8
PROBABILITY = "p_"


def predict_classes(
    store: Store,
    key: str,
    panel: Panel,
    windows: Windows,
    until: int | NDArray[np.int64],
    lookback: int,
) -> Prediction:
    """Predict the classes of some windows with a stored model.

    Args:
        store: the data root.
        key: of the bundle.
        panel: rows of S series.
        windows: N windows.
        until: number of the earliest cutoff, or S numbers, up to which new series are measured.
        lookback: of the windows; the model's own may be another (steps).

    Returns:
        N x H x K probabilities of the classes that the model knows.
    """
    from seqmodel.models.outputs import choose_head

    model, fitted, spec = load_model(store, key)
    head = choose_head(spec.output, len(fitted.classes))
    reader = WindowReader(encode_panel(fitted, panel, until=until), fitted.cut(spec))
    own = Windows(windows.starts + lookback - spec.window.lookback, windows.series)
    values = predict_windows(model, head, reader, own, spec.train.batch_size)
    return Prediction(values, fitted.classes)


def predict_class_baseline(
    panel: Panel, windows: Windows, spec: PipelineSpec, until: int | NDArray[np.int64]
) -> tuple[Prediction, str]:
    """Predict the classes of some windows by the pipeline's baseline.

    Args:
        panel: rows of S series.
        windows: N windows.
        spec: the pipeline.
        until: number of the last row that is counted, or S numbers.

    Returns:
        N x H x K probabilities of the classes counted, and the input that the baseline reads.
    """
    labels, rows = panel.labels["target"], panel.until(until)
    names = order_classes(list_categories(labels, rows, spec.features.minimum_count), spec)
    found = predict_frequencies(
        spec.baseline,
        panel,
        windows,
        spec.window.lookback,
        spec.window.horizon,
        names,
        spec.source.known,
        until,
    )
    return Prediction(found.values, names), found.feature


def forecast_classes(
    store: Store, panel: Panel, table: TableRef, model: ModelRef | None, spec: PipelineSpec
) -> tuple[Windows, pa.Table]:
    """Return the windows told, one a series, and their rows."""
    lookback, cutoffs = spec.window.lookback, np.array([panel.cutoff])
    windows = index_cutoffs(panel.first, panel.offsets, lookback, cutoffs, spec.window.least_rows)
    if spec.source.layout == "sequences":
        # Those without a label are the question.
        told = np.bincount(panel.series_of_row[panel.seen], minlength=len(panel.ids)) > 0
        windows = windows.take(np.flatnonzero(~told[windows.series]))
    if spec.source.irregular and spec.source.known:
        # Where no next event is planned there is nothing to ask about.
        planned = panel.when(panel.offsets[1:] - panel.horizon) != NO_MOMENT
        if not planned.any():
            raise DataError(
                f"found no event after {table.cutoff:%Y-%m-%dT%H:%M:%SZ}, needed the known columns"
                f" ({', '.join(spec.source.known)}) of those to forecast; bring rows of what is"
                " planned, without a target, or move these columns to past"
            )
        windows = windows.take(np.flatnonzero(planned[windows.series]))
        demand_known(panel.take(np.flatnonzero(planned)), spec.source, spec.features)
    elif model:
        demand_known(panel, spec.source, spec.features)
    if model:
        said = predict_classes(store, model.key, panel, windows, panel.cutoff, lookback)
    else:
        said, _ = predict_class_baseline(panel, windows, spec, panel.cutoff)
    version = model.version if model else BASELINE
    return windows, arrange_classes(panel, windows, said, to_microseconds(table.cutoff), version)


def arrange_classes(
    panel: Panel, windows: Windows, said: Prediction, cutoff: int, version: str
) -> pa.Table:
    """Lay probabilities out as rows, a row a series and step.

    Args:
        panel: rows of S series.
        windows: N windows, each of which ends at the newest row of its series.
        said: N x H x K.
        cutoff: newest moment of the table (microseconds UTC).
        version: of the model.

    Returns:
        `series_id, cutoff, timestamp, step, label, p_<class>...` and `model_version`; the
        timestamp of an event is null where the source does not say when it will be.
    """
    count, horizon, _ = said.values.shape
    kind = pa.timestamp("us", tz="UTC")
    ends = panel.offsets[1:][windows.series] - panel.horizon
    moments = panel.when((ends[:, None] + np.arange(horizon)).ravel())
    names = pa.array(said.names, pa.string())
    likely = said.values.argmax(axis=-1).ravel()
    columns: dict[str, pa.Array] = {
        "series_id": pa.array(panel.ids, pa.string()).take(
            pa.array(np.repeat(windows.series, horizon))
        ),
        "cutoff": pa.array(np.full(count * horizon, cutoff)).cast(kind),
        "timestamp": pa.array(moments, mask=moments == NO_MOMENT).cast(kind),
        "step": pa.array(np.tile(np.arange(1, horizon + 1, dtype=np.int32), count)),
        "label": names.take(pa.array(likely)),
    }
    for i, name in enumerate(said.names):
        columns[f"{PROBABILITY}{name}"] = pa.array(said.values[:, :, i].ravel())
    columns["model_version"] = pa.array([version] * (count * horizon), pa.string())
    return pa.table(columns)


def drop_unsaid(rows: pa.Table) -> pa.Table:
    """Return first rows for a person to look at: of many classes only those that are said there."""
    names = [name for name in rows.column_names if name.startswith(PROBABILITY)]
    if len(names) <= FEW:
        return rows
    said = {f"{PROBABILITY}{label}" for label in rows["label"].to_pylist()}
    return rows.drop_columns([name for name in names if name not in said])

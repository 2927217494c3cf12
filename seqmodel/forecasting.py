"""A stored model and the newest rows: quantiles of the steps to come, as an Arrow table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqmodel.calibrating import Calibrated
from seqmodel.calibration import Calibration
from seqmodel.classifying import drop_unsaid, forecast_classes
from seqmodel.covariates import demand_known
from seqmodel.limiting import limit_forecast
from seqmodel.loading import load_model
from seqmodel.models.naive import BASELINES, Baseline
from seqmodel.panel import Panel
from seqmodel.predictors import Ensemble, Network, Predictor, Statistical
from seqmodel.specs import PipelineSpec
from seqmodel.store.bundles import BASELINE as BASELINE_FILE
from seqmodel.store.bundles import CALIBRATION, ENSEMBLE, member_key, read_manifest, read_spec
from seqmodel.store.champion import BASELINE
from seqmodel.store.forecasts import forecast_key, publish_forecast
from seqmodel.store.refs import ForecastRef, ModelRef, TableRef
from seqmodel.store.store import Store
from seqmodel.windowing import load_panel
from seqmodel.windows import Windows, index_cutoffs

Floats = NDArray[np.float64]
HEAD_ROWS = 5


def load_predictor(store: Store, key: str) -> Predictor:
    """Load whatever a bundle holds, calibrated or not, after checking every byte of it.

    Raises:
        StoreError: if a file is missing, changed, or cannot be loaded safely.
    """
    manifest = read_manifest(store, key)
    if ENSEMBLE in manifest["files"]:
        found: Predictor = _load_ensemble(store, key, read_spec(store, key, manifest))
    else:
        found = Network(*load_model(store, key))
    if CALIBRATION not in manifest["files"]:
        return found
    calibration = Calibration.from_json(store.read_json(f"{key}/{CALIBRATION}"))
    return Calibrated(found, calibration, read_spec(store, key, manifest))


def _load_ensemble(store: Store, key: str, spec: PipelineSpec) -> Ensemble:
    said = store.read_json(f"{key}/{ENSEMBLE}")
    members = [
        Statistical(Baseline.from_json(store.read_json(f"{place}/{BASELINE_FILE}")), spec)
        if kind == "baseline"
        else Network(*load_model(store, place))
        for position, kind in enumerate(said["kinds"], start=1)
        for place in (member_key(key, position),)
    ]
    weights = said["weights"]
    return Ensemble(spec, tuple(members), None if weights is None else tuple(weights))


def predict_quantiles(
    store: Store, key: str, panel: Panel, cutoffs: NDArray[np.int64], least: int = 1
) -> tuple[Windows, Floats]:
    """Forecast every series of a panel from every cutoff with a stored version.

    Args:
        store: the data root.
        key: of the bundle.
        panel: rows of S series.
        cutoffs: grid numbers, ascending.
        least: history that a series must have at a cutoff (steps).

    Returns:
        The windows forecast, and N x H x Q in the target's unit.
    """
    return load_predictor(store, key).predict(panel, cutoffs, least)


def forecast_table(
    store: Store, table: TableRef, model: ModelRef | None, spec: PipelineSpec
) -> ForecastRef:
    """Forecast from the table's cutoff and publish.

    Args:
        store: the data root.
        table: a judged table.
        model: the version that serves; None for the seasonal naive.
        spec: the pipeline.
    """
    if spec.output.of_classes:
        panel = load_panel(store, table, spec)
        windows, rows = forecast_classes(store, panel, table, model, spec)
        return _publish(store, table, model, windows, rows, spec)
    levels, least = spec.output.levels, spec.window.least_rows
    if model is None:
        # The baseline measures its quantiles on the whole history.
        panel = load_panel(store, table, spec)
        cutoffs = np.array([panel.cutoff])
        lookback = spec.window.lookback
        windows = index_cutoffs(panel.first, panel.offsets, lookback, cutoffs, least)
        quantiles = BASELINES[spec.baseline](
            panel,
            windows,
            lookback,
            spec.window.horizon,
            spec.source.season,
            levels,
            panel.cutoff,
        )
    else:
        predictor = load_predictor(store, model.key)
        # What the version itself looks back to counts, whatever the spec says today.
        history, births = predictor.history, predictor.births
        panel = load_panel(store, table, spec, history=history, births=births)
        demand_known(panel, spec.source, spec.features)
        windows, quantiles = predictor.predict(panel, np.array([panel.cutoff]), least)
    quantiles = limit_forecast(quantiles, spec.forecast, levels)
    version = model.version if model else BASELINE
    rows = arrange_rows(panel, windows, quantiles, levels, version)
    return _publish(store, table, model, windows, rows, spec)


def _publish(
    store: Store,
    table: TableRef,
    model: ModelRef | None,
    windows: Windows,
    rows: pa.Table,
    spec: PipelineSpec,
) -> ForecastRef:
    version = model.version if model else BASELINE
    key = forecast_key(spec.name, table.cutoff)
    figures = {
        "cutoff": table.cutoff.isoformat(),
        "model_version": version,
        "series": len(windows),
        "table": table.fingerprint,
    }
    digest, manifest = publish_forecast(store, key, rows, figures)
    return ForecastRef(
        key=key,
        cutoff=table.cutoff,
        model_version=version,
        rows=manifest["rows"],
        series=manifest["series"],
        fingerprint=digest,
        head=tuple(_show(row) for row in drop_unsaid(rows.slice(0, HEAD_ROWS)).to_pylist()),
    )


def arrange_rows(
    panel: Panel, windows: Windows, quantiles: Floats, levels: tuple[float, ...], version: str
) -> pa.Table:
    """Lay forecasts from the panel's cutoff out as rows, a row a series and step.

    Returns:
        `series_id, cutoff, timestamp, step, q...,` and `model_version`.
    """
    count, horizon, _ = quantiles.shape
    moment = pa.timestamp("us", tz="UTC")
    moments = panel.grid.moment(panel.cutoff + np.arange(horizon + 1))
    columns: dict[str, pa.Array] = {
        "series_id": pa.array(panel.ids, pa.string()).take(
            pa.array(np.repeat(windows.series, horizon))
        ),
        "cutoff": pa.array(np.full(count * horizon, moments[0])).cast(moment),
        "timestamp": pa.array(np.tile(moments[1:], count)).cast(moment),
        "step": pa.array(np.tile(np.arange(1, horizon + 1, dtype=np.int32), count)),
    }
    for i, level in enumerate(levels):
        columns[f"q{level:g}"] = pa.array(quantiles[:, :, i].ravel())
    columns["model_version"] = pa.array([version] * (count * horizon), pa.string())
    return pa.table(columns)


def _show(row: dict[str, Any]) -> dict[str, Any]:
    """Make a row JSON-able and short, for a person to look at."""
    shown: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, float):
            shown[name] = round(value, 3)
        else:
            moment = hasattr(value, "isoformat")
            shown[name] = f"{value:%Y-%m-%dT%H:%M:%SZ}" if moment else value
    return shown

"""A stored model and the newest rows: quantiles of the steps to come, published.

table ── plan ──► shard 0 ── chunk by chunk: rows, panel, predict, judge ──► staged part ──┐
             ├──► shard 1 ─────────────────────────────────────────────────► staged part ──┤
             └──► ...                                                          publish ◄───┘

Shards know nothing of each other: each can be made again alone, and gives the same bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqmodel.calibrating import Calibrated
from seqmodel.calibration import Calibration
from seqmodel.classifying import drop_unsaid, forecast_classes
from seqmodel.errors import SeqmodelError, StoreError
from seqmodel.graphs import load_graph
from seqmodel.loading import load_model
from seqmodel.models.naive import Baseline
from seqmodel.panel import Panel
from seqmodel.planning import plan_forecast
from seqmodel.predictors import Ensemble, Network, Predictor, Statistical
from seqmodel.publishing import publish_shards
from seqmodel.specs import PipelineSpec
from seqmodel.store.bundles import BASELINE as BASELINE_FILE
from seqmodel.store.bundles import (
    CALIBRATION,
    ENSEMBLE,
    MANIFEST,
    member_key,
    read_manifest,
    read_spec,
)
from seqmodel.store.champion import BASELINE
from seqmodel.store.fingerprints import digest_file
from seqmodel.store.forecasts import drop_parts, forecast_key, read_fence, stage_part
from seqmodel.store.parts import PartRef, Shard
from seqmodel.store.refs import ForecastRef, GraphRef, ModelRef, TableRef
from seqmodel.store.store import Store
from seqmodel.telling import Tally, Teller
from seqmodel.windowing import load_panel
from seqmodel.windows import Windows

Floats = NDArray[np.float64]
HEAD_ROWS = 5


def load_predictor(store: Store, key: str, graph: GraphRef | None = None) -> Predictor:
    """Load whatever a bundle holds, calibrated or not, after checking every byte of it.

    Args:
        store: the data root.
        key: of the bundle.
        graph: its networks as graphs, to do without Keras.

    Raises:
        StoreError: if a file is missing, changed, or cannot be loaded safely.
    """
    manifest = read_manifest(store, key)
    if graph and graph.made_of != digest_file(store.path(key) / MANIFEST):
        raise StoreError(
            f"found {graph.key} made of another version than {key}, needed its own graphs; run"
            " again"
        )
    if ENSEMBLE in manifest["files"]:
        found: Predictor = _load_ensemble(store, key, read_spec(store, key, manifest), graph)
    else:
        found = _load_network(store, key, graph)
    if CALIBRATION not in manifest["files"]:
        return found
    calibration = Calibration.from_json(store.read_json(f"{key}/{CALIBRATION}"))
    return Calibrated(found, calibration, read_spec(store, key, manifest))


def _load_network(store: Store, key: str, graph: GraphRef | None, member: str = "") -> Network:
    if graph is None:
        return Network(*load_model(store, key))
    return Network(*load_graph(store, graph, key, member))


def _load_ensemble(store: Store, key: str, spec: PipelineSpec, graph: GraphRef | None) -> Ensemble:
    said = store.read_json(f"{key}/{ENSEMBLE}")
    members = [
        Statistical(Baseline.from_json(store.read_json(f"{place}/{BASELINE_FILE}")), spec)
        if kind == "baseline"
        else _load_network(store, place, graph, place.removeprefix(f"{key}/"))
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
        model: the version that serves; None for the baseline.
        spec: the pipeline.

    Raises:
        StoreError: if another run publishes the same cutoff meanwhile.
        QualityError: if too many series have no sane forecast.
        DataError: if a shard lacks known covariates; nothing is published then.
    """
    fence = read_fence(store, forecast_key(spec.name, table.cutoff))
    if spec.output.of_classes:
        parts = [_forecast_whole(store, table, model, spec)]
    else:
        shards = plan_forecast(store, table, spec)
        teller = load_teller(store, table, model, spec)
        parts = []
        try:
            for shard in shards:
                parts.append(forecast_shard(store, table, teller, shard, spec))
        except SeqmodelError:
            drop_parts(store, [part.key for part in parts])
            raise
    return publish_shards(store, table, model, parts, spec, fence)


def load_teller(
    store: Store,
    table: TableRef,
    model: ModelRef | None,
    spec: PipelineSpec,
    graph: GraphRef | None = None,
) -> Teller:
    """Load what forecasts a table: the version that serves, or the baseline.

    Args:
        store: the data root.
        table: what is forecast.
        model: the version; None for the baseline.
        spec: the pipeline.
        graph: the version's networks as graphs, to do without Keras.

    Raises:
        StoreError: if the version is damaged, or the graphs are not its own.
    """
    predictor = load_predictor(store, model.key, graph) if model else None
    return Teller.open(store, table, predictor, model.version if model else BASELINE, spec)


def forecast_shard(
    store: Store, table: TableRef, teller: Teller, shard: Shard, spec: PipelineSpec
) -> PartRef:
    """Forecast one shard into a staged part file; the same again gives the same bytes.

    Args:
        store: the data root.
        table: what is forecast.
        teller: of the same table.
        shard: which series.
        spec: the pipeline.
    """
    tally = Tally()
    key = forecast_key(spec.name, table.cutoff)
    name, digest = stage_part(store, key, shard.number, teller.schema, teller.tell(shard, tally))
    head = () if tally.head is None else tally.head.slice(0, HEAD_ROWS).to_pylist()
    return PartRef(
        key=name,
        number=shard.number,
        digest=digest,
        rows=tally.rows,
        series=tally.series,
        seen=tally.seen,
        first=tally.first,
        last=tally.last,
        counts=tally.counts,
        head=tuple(_show(row) for row in head),
    )


def _forecast_whole(
    store: Store, table: TableRef, model: ModelRef | None, spec: PipelineSpec
) -> PartRef:
    """Forecast classes in one go into a staged part file."""
    panel = load_panel(store, table, spec)
    windows, rows = forecast_classes(store, panel, table, model, spec)
    key = forecast_key(spec.name, table.cutoff)
    name, digest = stage_part(store, key, 0, rows.schema, [rows])
    return PartRef(
        key=name,
        number=0,
        digest=digest,
        rows=rows.num_rows,
        series=len(windows),
        seen=table.series,
        first=None,
        last=None,
        head=tuple(_show(row) for row in drop_unsaid(rows.slice(0, HEAD_ROWS)).to_pylist()),
    )


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

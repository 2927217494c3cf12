"""The publication of a forecast's shards: nothing that needs a network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from seqmodel.errors import QualityError, quote
from seqmodel.specs import PipelineSpec
from seqmodel.store.champion import BASELINE
from seqmodel.store.forecasts import drop_parts, forecast_key, publish_parts
from seqmodel.store.parts import Counts, PartRef
from seqmodel.store.refs import ForecastRef, ModelRef, TableRef
from seqmodel.store.store import Store


def publish_shards(
    store: Store,
    table: TableRef,
    model: ModelRef | None,
    parts: Sequence[PartRef],
    spec: PipelineSpec,
    fence: str | None = None,
) -> ForecastRef:
    """Publish the parts of all shards at once, after counting them.

    Args:
        store: the data root.
        table: what was forecast.
        model: the version that was asked.
        parts: of all shards, by their number.
        spec: the pipeline.
        fence: what was published when the run began.

    Raises:
        QualityError: if more series than `forecast.max_failed` allows have no sane forecast, or if
            a series is missing or double.
        StoreError: see `publish_parts`.
    """
    counts = sum((part.counts for part in parts), Counts())
    counts = counts.model_copy(
        update={"stale": counts.stale + table.series - sum(part.seen for part in parts)}
    )
    try:
        _check_parts(parts, counts, spec)
    except QualityError:
        drop_parts(store, [part.key for part in parts])
        raise
    version = model.version if model else BASELINE
    key = forecast_key(spec.name, table.cutoff)
    figures: dict[str, Any] = {
        "cutoff": table.cutoff.isoformat(),
        "model_version": version,
        "series": sum(part.series for part in parts),
        "table": table.fingerprint,
        "stale": counts.stale,
        "short": counts.short,
        "fallen_back": counts.failed,
        "rows": sum(part.rows for part in parts),
    }
    files = {part.key: part.digest for part in parts}
    digest, manifest = publish_parts(store, key, files, figures, fence)
    return ForecastRef(
        key=key,
        cutoff=table.cutoff,
        model_version=version,
        rows=manifest["rows"],
        series=manifest["series"],
        fingerprint=digest,
        head=next((part.head for part in parts if part.head), ()),
        counts=counts,
    )


def _check_parts(parts: Sequence[PartRef], counts: Counts, spec: PipelineSpec) -> None:
    """Refuse a forecast with missing or double series, or with too many that are not sane."""
    horizon, done = spec.window.horizon, [part for part in parts if part.first is not None]
    ordered = all(a.last < b.first for a, b in pairwise(done))  # type: ignore[operator]
    if not ordered or any(part.rows != part.series * horizon for part in parts):
        raise QualityError(
            f"found shards of the forecast that overlap or lack steps, needed {horizon} rows of"
            " each series once; run again, and report it if it stays so"
        )
    series, failed = sum(part.series for part in parts), counts.fallen_back
    most = 0 if spec.forecast.sanity == "critical" else int(spec.forecast.max_failed * series)
    if failed > most and spec.forecast.sanity != "info":
        reasons = ", ".join(f"{count} {reason}" for reason, count in counts.failed.items())
        raise QualityError(
            f"found {failed} of {series} series whose forecast is not sane ({reasons}; such as"
            f" {', '.join(map(quote, counts.failed_ids))}), needed at most {most}; look at the"
            " model, roll back, or change forecast.sanity, bound or max_failed"
        )

"""Which moments a backfill has to forecast."""

from __future__ import annotations

from datetime import datetime

from seqmodel.backfilling import Which, choose_moments, list_moments
from seqmodel.specs import PipelineSpec
from seqmodel.store.store import Store


def list_open(
    spec: PipelineSpec, start: datetime, end: datetime, step: str, which: Which
) -> tuple[tuple[datetime, ...], int]:
    """Return the moments to forecast, and how many there are in all."""
    moments = list_moments(start, end, step)
    return choose_moments(Store.from_environment(), spec, moments, which), len(moments)

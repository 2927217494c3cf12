"""Timestamps of any kind as microseconds in UTC.

aware              07:00+02:00            the moment it is
naive              07:00, source.timezone the moment its clock shows; folds and gaps by policy
date               2024-07-01             the midnight of UTC: a date names a day
naive, freq D, MS  2024-07-01 00:00       the same: its wall clock is kept as if it were UTC
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import final

import pyarrow as pa
import pyarrow.compute as pc

from seqmodel.grid import EARLIEST, LATEST
from seqmodel.specs import SourceSpec
from seqmodel.specs.steps import read_step

MICROSECONDS = pa.timestamp("us", tz="UTC")


@final
@dataclass(frozen=True)
class Moments:
    """A column of n timestamps.

    Attributes:
        utc: n moments, microseconds UTC; null where they are null, or of another century.
        faults: n flags a reason to set rows aside.
    """

    utc: pa.Array
    faults: tuple[tuple[pa.Array, str], ...] = ()


def read_moments(column: pa.Array, source: SourceSpec) -> Moments:
    """Return timestamps or dates in UTC, and which of them a policy sets aside.

    Naive timestamps are read in `source.timezone`, unless a step of the grid is made of whole days:
    then their wall clock stays as it is, since the grid counts days of UTC and a naive daily
    timestamp means its date. Such a midnight is never ambiguous.
    """
    column = _decode(column)
    if pa.types.is_timestamp(column.type) and column.type.tz is None:
        return _read_naive(_drop_implausible(column), source)
    return Moments(to_utc(column, source.timezone))


def _read_naive(column: pa.Array, source: SourceSpec) -> Moments:
    zone = source.timezone or "UTC"
    naive = column.cast(pa.timestamp("us"), safe=False)
    latest = source.ambiguous == "latest"
    utc = _place(naive, zone, "latest" if latest else "earliest")
    faults = []
    if source.ambiguous == "quarantine":
        twice = pc.not_equal(utc, _place(naive, zone, "latest"))
        faults.append((twice, f"timestamp is ambiguous in {zone}"))
    if source.nonexistent == "quarantine":
        skipped = pc.not_equal(pc.local_timestamp(utc.cast(pa.timestamp("us", tz=zone))), naive)
        faults.append((skipped, f"timestamp does not exist in {zone}"))
    if not source.irregular and read_step(source.freq).counts_days:
        utc = naive.cast(MICROSECONDS)
        between = pc.not_equal(pc.floor_temporal(naive, unit="day"), naive)
        faults = [(pc.and_(mask, between), reason) for mask, reason in faults]
    return Moments(utc, tuple(faults))


def _place(naive: pa.Array, zone: str, ambiguous: str) -> pa.Array:
    moments = pc.assume_timezone(naive, zone, ambiguous=ambiguous, nonexistent="latest")
    return moments.cast(MICROSECONDS, safe=False)


def to_utc(column: pa.Array, timezone: str | None) -> pa.Array:
    """Return moments as microseconds in UTC.

    Naive moments are read in `timezone`. Of an hour that comes twice in autumn the first is meant,
    and a moment that spring leaves out becomes the first one after the gap. A date names a day, not
    a moment: it is the midnight of UTC whatever the zone. Moments of other centuries are damage,
    and those that microseconds cannot hold would turn up at another time: both become null.
    """
    column = _decode(column)
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("s"), safe=False)
        timezone = "UTC"
    column = _drop_implausible(column)
    if column.type.tz is None:
        return _place(column.cast(pa.timestamp("us"), safe=False), timezone or "UTC", "earliest")
    return column.cast(MICROSECONDS, safe=False)


def _decode(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _drop_implausible(column: pa.Array) -> pa.Array:
    raw = column.cast(pa.int64())
    a_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[column.type.unit]
    low, high = (
        min(int(datetime.fromisoformat(f"{day}T00:00Z").timestamp()) * a_second, 2**63 - 1)
        for day in (EARLIEST, LATEST)
    )
    inside = pc.and_(pc.greater_equal(raw, low), pc.less(raw, high))
    return pc.if_else(inside, column, pa.scalar(None, column.type))

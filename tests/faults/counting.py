"""An independent count of a source: pyarrow reads, plain Python judges, nothing of seqmodel.

It is slow and plain on purpose: it says what the ledger must say, and which rows are where.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from glob import glob
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

STEPS = {"15min": 900, "h": 3600, "D": 86_400}
A_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
NAIVE_EPOCH, EPOCH = datetime(1970, 1, 1), datetime(1970, 1, 1, tzinfo=UTC)  # noqa: DTZ001
MICROSECOND = timedelta(microseconds=1)
WORDS = ("read", "kept", "quarantined", "duplicates", "after_as_of")
SUFFIXES = (".parquet", ".pq", ".parq")
Key = tuple[str, int]
#: File, row, target, covariates.
Sound = tuple[int, int, float | None, list[Any]]


def microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND


OLDEST, NEWEST = (microseconds(datetime(year, 1, 1, tzinfo=UTC)) for year in (1700, 2200))


@dataclass(frozen=True)
class Meaning:
    """What the columns mean and which policies hold, as plain values."""

    as_of: datetime
    uri: str = ""
    series_id: tuple[str, ...] = ("series_id",)
    separator: str = "|"
    timestamp: str = "timestamp"
    target: str = "target"
    covariates: tuple[str, ...] = ()
    freq: str = "h"
    timezone: str | None = None
    duplicates: str = "last"
    ambiguous: str = "earliest"
    nonexistent: str = "forward"
    minimum: float | None = None
    maximum: float | None = None

    @property
    def last(self) -> int:
        """The last moment whose step is over at as_of (microseconds)."""
        step = STEPS[self.freq] * 10**6
        return microseconds(self.as_of) // step * step - step


@dataclass
class Count:
    """What became of every row.

    Attributes:
        files: for each file the five figures of its ledger.
        names: for each file its path.
        rows: series and moment of the rows that are sound -> what each of them says.
        aside: file and row number of what must be in the quarantine.
        columns: file -> its columns.
    """

    files: list[Counter[str]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    rows: dict[Key, list[Sound]] = field(default_factory=dict)
    aside: set[tuple[str, int]] = field(default_factory=set)
    columns: dict[str, list[str]] = field(default_factory=dict)

    @property
    def total(self) -> dict[str, int]:
        return {word: sum(file[word] for file in self.files) for word in WORDS}

    def values(self, policy: str) -> dict[Key, float | None]:
        """Return the target that stays at each series and moment."""
        return {key: _choose(found, policy) for key, found in self.rows.items()}

    def covariates(self, policy: str) -> dict[Key, list[Any]]:
        """Return the covariates that stay at each series and moment."""
        stays = 0 if policy == "first" else -1
        return {key: found[stays][3] for key, found in self.rows.items()}


def _choose(found: list[Sound], policy: str) -> float | None:
    if policy == "mean":
        numbers = [one[2] for one in found if one[2] is not None]
        return sum(numbers) / len(numbers) if numbers else None
    return found[0 if policy == "first" else -1][2]


def list_sources(uri: str) -> list[str]:
    """Return the files that a uri means, in order."""
    if os.path.isdir(uri):  # noqa: PTH112 - nothing but the standard library's oldest
        found = []
        for folder, folders, names in os.walk(uri):
            folders[:] = [name for name in folders if name[0] not in "._"]
            plain = [name for name in names if name[0] not in "._"]
            found += [Path(folder) / n for n in plain if n.lower().endswith(SUFFIXES)]
        return [str(path) for path in sorted(found)]
    return [uri] if os.path.exists(uri) else sorted(glob(uri, recursive=True))  # noqa: PTH110, PTH207


def count_source(meaning: Meaning) -> Count:
    """Count what must become of every row of a source."""
    count = Count()
    for number, name in enumerate(list_sources(meaning.uri)):
        figures: Counter[str] = Counter(dict.fromkeys(WORDS, 0))
        for row, (series, moment, target, others) in enumerate(_read(name, meaning)):
            figures["read"] += 1
            if moment is not None and moment > meaning.last:
                figures["after_as_of"] += 1
            elif series is None or moment is None or _is_unusable(target, others, meaning):
                figures["quarantined"] += 1
                count.aside.add((name, row))
            else:
                figures["kept"] += 1
                value = None if target is None or math.isnan(target) else target
                count.rows.setdefault((series, moment), []).append((number, row, value, others))
        count.files.append(figures)
        count.names.append(name)
        with pq.ParquetFile(name) as file:
            count.columns[name] = file.schema_arrow.names
    for found in count.rows.values():
        stays = found[0 if meaning.duplicates == "first" else -1]
        for one in found:
            if one is not stays:
                count.files[one[0]]["kept"] -= 1
                count.files[one[0]]["duplicates"] += 1
    return count


def _is_unusable(target: float | None, others: list[Any], meaning: Meaning) -> bool:
    if any(isinstance(value, float) and math.isinf(value) for value in (target, *others)):
        return True
    if target is None or math.isnan(target):
        return False
    below = meaning.minimum is not None and target < meaning.minimum
    return below or (meaning.maximum is not None and target > meaning.maximum)


def _read(
    name: str, meaning: Meaning
) -> list[tuple[str | None, int | None, float | None, list[Any]]]:
    # Nanoseconds cannot hold what INT96 can: they would turn up in another century.
    with pq.ParquetFile(name, coerce_int96_timestamp_unit="us") as file:
        table = file.read()
    ids = [_values(table, column, name) for column in meaning.series_id]
    moments = _moments(table, meaning, name)
    targets = [None if v is None else float(v) for v in _values(table, meaning.target, name)]
    others = [_values(table, column, name) for column in meaning.covariates]
    return [
        (
            _join([_text(one[i]) for one in ids], meaning.separator),
            moments[i],
            targets[i],
            [one[i] for one in others],
        )
        for i in range(table.num_rows)
    ]


def _values(table: pa.Table, column: str, name: str) -> list[Any]:
    if column in table.column_names:
        found = table.column(column)
        try:
            values: list[Any] = found.to_pylist()
        except UnicodeDecodeError:
            values = [_decode(value) for value in found.cast(pa.binary()).to_pylist()]
        return values
    keys = dict(part.split("=", 1) for part in Path(name).parts if "=" in part)
    value = unquote(keys[column]) if column in keys else None
    return [None if value == "__HIVE_DEFAULT_PARTITION__" else value] * table.num_rows


def _decode(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _text(value: Any) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, (str, int, float, Decimal)) else repr(value)


def _join(texts: list[str | None], separator: str) -> str | None:
    """Join parts so that no two keys read alike: a mark stands before a separator in a part."""
    known = [text for text in texts if text is not None]
    if len(known) < len(texts):
        return None
    if len(known) == 1:
        return known[0]
    special = {"\\", *separator}
    marked = ("".join("\\" * (sign in special) + sign for sign in text) for text in known)
    return separator.join(marked)


def _moments(table: pa.Table, meaning: Meaning, name: str) -> list[int | None]:
    if meaning.timestamp not in table.column_names:
        raise KeyError(f"no column {meaning.timestamp} in {name}")
    column = table.column(meaning.timestamp)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if pa.types.is_date(kind):
        days = column.cast(pa.date32()).cast(pa.int32()).to_pylist()
        raw = [None if day is None else day * 86_400 * 10**6 for day in days]
        return [_plausible(value) for value in raw]
    a_second = A_SECOND[kind.unit]
    whole = column.cast(pa.int64()).to_pylist()
    raw = [None if value is None else value * 10**6 // a_second for value in whole]
    plausible = [_plausible(value) for value in raw]
    if kind.tz is not None or meaning.freq == "D":  # a naive day is a date, not a moment of a zone
        return plausible
    zone = ZoneInfo(meaning.timezone or "UTC")
    seen = {wall: _to_utc(wall, zone, meaning) for wall in set(plausible)}
    return [seen[wall] for wall in plausible]


def _plausible(moment: int | None) -> int | None:
    return moment if moment is not None and OLDEST <= moment < NEWEST else None


def _to_utc(wall: int | None, zone: ZoneInfo, meaning: Meaning) -> int | None:
    if wall is None:
        return None
    shown = NAIVE_EPOCH + timedelta(microseconds=wall)
    before, after = (
        (shown.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta()) // MICROSECOND
        for fold in (0, 1)
    )
    if before == after:
        return wall - before
    if before > after:  # autumn: the clock shows it twice
        choice = {"earliest": wall - before, "latest": wall - after, "quarantine": None}
        return choice[meaning.ambiguous]
    if meaning.nonexistent == "quarantine":
        return None
    low, high = wall - after, wall - before  # spring: the clock jumps between these two
    while high - low > 1:
        middle = (low + high) // 2
        offset = (EPOCH + timedelta(microseconds=middle)).astimezone(zone).utcoffset()
        low, high = (
            (low, middle) if (offset or timedelta()) // MICROSECOND == after else (middle, high)
        )
    return high

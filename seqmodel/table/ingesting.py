"""From source files to a staged canonical table, every row accounted for.

    files -> batches -> clean --+--> sort, one row a step --> part-*.parquet     kept, duplicates
                                +--> after as_of: known covariates -> future.parquet
                                +--> quarantine/<fingerprint>.parquet            with reasons
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqmodel.errors import DataError, StoreError
from seqmodel.grid import Grid, to_datetime
from seqmodel.specs import PipelineSpec
from seqmodel.store.fingerprints import SHORT
from seqmodel.store.refs import FileLedger, Ledger, RunRef, SourceRef, TableRef
from seqmodel.store.store import Store
from seqmodel.store.tables import (
    FUTURE,
    fingerprint_table,
    table_key,
    write_parts,
    write_table,
)
from seqmodel.table.cleaning import canonical_schema, clean_batch
from seqmodel.table.reading import check_columns, open_file, read_batches
from seqmodel.table.sorting import ORIGIN, Resolver, Sorter

log = logging.getLogger(__name__)


@final
@dataclass
class _Tally:
    """Rows counted where they pass, per file."""

    files: int
    read: np.ndarray = field(init=False)
    quarantined: np.ndarray = field(init=False)
    after: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.read, self.quarantined, self.after = (
            np.zeros(self.files, dtype=np.int64) for _ in range(3)
        )


@final
@dataclass
class _Asides:
    """Rows that leave the stream before the sort."""

    quarantined: list[pa.Table] = field(default_factory=list)
    future: list[pa.Table] = field(default_factory=list)


@final
@dataclass(frozen=True)
class _Extent:
    """What the written rows cover."""

    series: int
    first: int
    newest: int


def ingest_table(
    store: Store, run: RunRef, as_of: datetime, source: SourceRef, spec: PipelineSpec
) -> TableRef:
    """Clean a source into a staged table, with its quarantine and ledger.

    Args:
        store: the data root.
        run: which run asks: its folder gets the ledger.
        as_of: rows that are not over at this moment are left out.
        source: the files, as `look_at` found them.
        spec: the pipeline.

    Returns:
        The staged table. Nothing below `tables/` changes.

    Raises:
        DataError: if no row is left, or more than the tolerated share is set aside.
        SourceError: if a file cannot be read or changed its columns.
    """
    paths = [Path(stamp.uri) for stamp in source.files]
    with open_file(paths[0]) as file:
        schema = canonical_schema(spec.source, file.schema_arrow)
    tally, asides = _Tally(len(paths)), _Asides()
    resolver = Resolver(spec.source.duplicates, len(paths))
    with store.workshop(run.pipeline) as shop:
        folder = shop / "table"
        folder.mkdir()
        with Sorter(shop, schema) as sorter:
            for number, path in enumerate(paths):
                log.info("reading %s", path)
                _read_file(path, number, sorter, asides, tally, as_of, spec)
            extent = _Follower()
            write_parts(folder, schema, extent.follow(resolver.resolve(sorter.read())))
        ledgers = _balance(paths, tally, resolver)
        future = _write_future(folder, asides.future)
        fingerprint = fingerprint_table(folder)
        quarantine = _write_quarantine(store, run, fingerprint, asides.quarantined)
        write_ledger(store, run, ledgers)
        total = sum((f.ledger for f in ledgers[1:]), start=ledgers[0].ledger)
        _refuse_broken(total, quarantine and store.path(quarantine), as_of, spec)
        key = table_key(run.pipeline, fingerprint)
        store.stage(folder, key)
    cover = extent.extent()
    return TableRef(
        key=key,
        fingerprint=fingerprint,
        series=cover.series,
        first=to_datetime(cover.first),
        cutoff=to_datetime(cover.newest),
        future=future,
        ledger=total,
        files=tuple(ledgers),
        quarantine=quarantine,
    )


def _read_file(
    path: Path,
    number: int,
    sorter: Sorter,
    asides: _Asides,
    tally: _Tally,
    as_of: datetime,
    spec: PipelineSpec,
) -> None:
    grid = Grid(spec.source.freq)
    last = grid.last_complete(as_of)
    reach = int(grid.moment(grid.number(np.array([last])) + spec.window.horizon)[0])
    schema = pa.schema(list(sorter.schema)[: -len(ORIGIN)])
    row = 0
    for batch in read_batches(path):
        if row == 0:
            check_columns(path, batch.schema, spec.source)
        cleaned = clean_batch(batch, schema, spec.source, spec.quality)
        origin = np.arange(row, row + batch.num_rows, dtype=np.int64)
        row += batch.num_rows
        broken = cleaned.reasons.is_valid().to_numpy(zero_copy_only=False)
        moments = pc.fill_null(cleaned.rows["timestamp"].cast(pa.int64()), 0).to_numpy()
        after = ~broken & (moments > last)
        kept = ~broken & ~after
        tally.read[number] += batch.num_rows
        tally.quarantined[number] += int(broken.sum())
        tally.after[number] += int(after.sum())
        if broken.any():
            aside = pa.Table.from_batches([batch])
            aside = aside.append_column("reason", cleaned.reasons)
            aside = aside.append_column("source_file", pa.array([str(path)] * batch.num_rows))
            aside = aside.append_column("row_number", pa.array(origin))
            asides.quarantined.append(aside.filter(pa.array(broken)))
        if spec.source.known and after.any():
            near = pa.array(after & (moments <= reach))
            wanted = ["series_id", "timestamp", *spec.source.known]
            asides.future.append(pa.Table.from_batches([cleaned.rows.select(wanted).filter(near)]))
        rows = cleaned.rows
        rows = rows.append_column(ORIGIN[0], pa.array(np.full(batch.num_rows, number, np.int32)))
        rows = rows.append_column(ORIGIN[1], pa.array(origin))
        sorter.add(rows if kept.all() else rows.filter(pa.array(kept)))


@final
class _Follower:
    """Watches the sorted rows go by: number of series, first and newest moment."""

    def __init__(self) -> None:
        self._series, self._first, self._newest = 0, 2**62, -(2**62)
        self._id: str | None = None

    def follow(self, batches: object) -> object:
        for batch in batches:  # type: ignore[attr-defined]
            if batch.num_rows:
                ids = batch["series_id"]
                changes = pc.sum(pc.not_equal(ids.slice(1), ids.slice(0, len(ids) - 1))).as_py()
                self._series += (changes or 0) + (ids[0].as_py() != self._id)
                self._id = ids[-1].as_py()
                edge = pc.min_max(batch["timestamp"].cast(pa.int64()))
                self._first = min(self._first, edge["min"].as_py())
                self._newest = max(self._newest, edge["max"].as_py())
            yield batch

    def extent(self) -> _Extent:
        return _Extent(self._series, self._first, self._newest)


def _balance(paths: list[Path], tally: _Tally, resolver: Resolver) -> list[FileLedger]:
    ledgers = []
    for i, path in enumerate(paths):
        ledger = Ledger(
            read=int(tally.read[i]),
            kept=int(resolver.kept[i]),
            quarantined=int(tally.quarantined[i]),
            duplicates=int(resolver.dropped[i]),
            after_as_of=int(tally.after[i]),
        )
        if not ledger.balances:
            raise StoreError(
                f"found a ledger of {path} that does not add up ({ledger}), needed every row"
                " accounted for; report this as a bug, nothing was published"
            )
        ledgers.append(FileLedger(file=str(path), ledger=ledger))
    return ledgers


def _write_future(folder: Path, pieces: list[pa.Table]) -> int:
    """Write known covariates after the cutoff, the last row of a step winning; return rows."""
    if not pieces:
        return 0
    rows = pa.concat_tables(pieces)
    order = pa.array(np.arange(rows.num_rows))
    rows = rows.append_column("__order", order)
    keys = ["series_id", "timestamp"]
    newest = rows.group_by(keys).aggregate([("__order", "max")])["__order_max"]
    rows = rows.take(newest).drop_columns("__order").sort_by([(k, "ascending") for k in keys])
    write_table(folder / FUTURE, rows)
    return int(rows.num_rows)


def _write_quarantine(
    store: Store, run: RunRef, fingerprint: str, pieces: list[pa.Table]
) -> str | None:
    """Publish the rows set aside beside the table they are missing from; return the key."""
    if not pieces:
        return None
    rows = pa.concat_tables(pieces, promote_options="permissive")
    key = f"{run.pipeline}/quarantine/{fingerprint[:SHORT]}.parquet"
    with store.workshop(run.pipeline) as shop:
        draft = shop / "quarantine.parquet"
        write_table(draft, rows)
        store.path(key).parent.mkdir(parents=True, exist_ok=True)
        draft.replace(store.path(key))
    return key


def write_ledger(store: Store, run: RunRef, files: Sequence[FileLedger]) -> None:
    """Write `ledger.json` of a run: the total, and the same for each file."""
    total = sum((f.ledger for f in files[1:]), start=files[0].ledger)
    value = {**total.model_dump(), "files": {f.file: f.ledger.model_dump() for f in files}}
    store.write_json(f"{run.key}/ledger.json", value)


def _refuse_broken(
    total: Ledger, quarantine: Path | str | None, as_of: datetime, spec: PipelineSpec
) -> None:
    share = total.quarantined / max(total.read, 1)
    if share > spec.quality.max_quarantined:
        raise DataError(
            f"found {total.quarantined:,} of {total.read:,} rows ({share:.1%}) unusable, needed at"
            f" most {spec.quality.max_quarantined:.1%} (quality.max_quarantined); look at"
            f" {quarantine} for the reasons"
        )
    if total.kept == 0:
        raise DataError(
            f"found no row of {spec.source.uri} that was over at {as_of:%Y-%m-%dT%H:%M:%SZ}"
            f" ({total.after_as_of:,} come later), needed history to learn from; choose a later"
            " --as-of or bring older data"
        )

"""From source files to a staged canonical table, every row accounted for.

files -> batches -> clean --+--> sort, one row a step --> part-*.parquet     kept, duplicates
                            +--> after as_of: known covariates -> future.parquet
                            +--> quarantine/<fingerprint>.parquet            with reasons
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Self, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqmodel.errors import DataError, SourceError
from seqmodel.grid import Grid, to_datetime
from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import FileStamp, Ledger, RunRef, SourceRef, TableRef
from seqmodel.store.store import Store
from seqmodel.store.tables import (
    fingerprint_table,
    publish_quarantine,
    table_key,
    write_future,
    write_parts,
)
from seqmodel.table.cleaning import Cleaned, canonical_schema, clean_batch
from seqmodel.table.ledger import Tally, sum_ledgers, write_ledger
from seqmodel.table.quarantine import Quarantine
from seqmodel.table.reading import check_columns, check_kinds, open_file, read_batches
from seqmodel.table.sorting import ORIGIN, Resolver, Sorter

log = logging.getLogger(__name__)


@final
@dataclass(frozen=True)
class _Borders:
    """Moments (microseconds UTC) that divide the rows of a run.

    Attributes:
        last: the last moment whose step is over at `as_of`.
        reach: the last moment of which a forecast wants known covariates.
    """

    last: int
    reach: int

    @classmethod
    def at(cls, as_of: datetime, spec: PipelineSpec) -> Self:
        """Return the borders of a run at `as_of`."""
        grid = Grid(spec.source.freq)
        last = grid.last_complete(as_of)
        number = grid.number(np.array([last], dtype=np.int64))
        return cls(last, int(grid.moment(number + spec.window.horizon)[0]))


@final
@dataclass
class _Streams:
    """Where the rows of the source files go."""

    spec: PipelineSpec
    schema: pa.Schema
    borders: _Borders
    tally: Tally
    sorter: Sorter
    quarantine: Quarantine = field(default_factory=Quarantine)
    future: list[pa.RecordBatch] = field(default_factory=list)

    def take_file(self, number: int, stamp: FileStamp) -> None:
        """Read one file and send its rows on.

        Raises:
            SourceError: if it is not the file that was looked at.
        """
        path, row = Path(stamp.uri), 0
        log.info("reading %s", path)
        with open_file(path) as file:
            check_columns(path, file.schema_arrow, self.spec.source)
            check_kinds(path, file.schema_arrow, self.schema, self.spec.source)
        for batch in read_batches(path):
            cleaned = clean_batch(batch, self.schema, self.spec.source, self.spec.quality)
            self._divide(number, stamp.uri, row, batch, cleaned)
            row += batch.num_rows
        if row != stamp.rows:
            raise SourceError(
                f"found {row:,} rows in {path}, needed the {stamp.rows:,} it had when the source"
                " was looked at; run again once nobody writes to it"
            )

    def _divide(
        self, number: int, file: str, row: int, batch: pa.RecordBatch, cleaned: Cleaned
    ) -> None:
        moments = pc.fill_null(cleaned.rows["timestamp"].cast(pa.int64()), self.borders.last)
        moments = moments.to_numpy()
        unsound = cleaned.reasons.is_valid().to_numpy(zero_copy_only=False)
        # What comes later is unknown at as_of, and so is whether it is sound: a backfill must not
        # be refused for it.
        after = moments > self.borders.last
        broken, kept = unsound & ~after, ~unsound & ~after
        self.tally.count(
            number, read=batch.num_rows, quarantined=int(broken.sum()), after=int(after.sum())
        )
        self.quarantine.add(batch, cleaned.reasons, broken, file, row)
        near = after & ~unsound & (moments <= self.borders.reach)
        if self.spec.source.known and near.any():
            wanted = ["series_id", "timestamp", *self.spec.source.known]
            self.future.append(cleaned.rows.select(wanted).filter(pa.array(near)))
        origin = np.arange(row, row + batch.num_rows, dtype=np.int64)
        rows = cleaned.rows
        rows = rows.append_column(ORIGIN[0], pa.array(np.full(batch.num_rows, number, np.int32)))
        rows = rows.append_column(ORIGIN[1], pa.array(origin))
        self.sorter.add(rows if kept.all() else rows.filter(pa.array(kept)))


@final
class _Extent:
    """What the sorted rows that go by cover: number of series, first and newest moment."""

    def __init__(self) -> None:
        self.series, self.first, self.newest = 0, 2**62, -(2**62)
        self._id: str | None = None

    def follow(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the batches as they come."""
        for batch in batches:
            if batch.num_rows:
                ids = batch["series_id"]
                changes = pc.sum(pc.not_equal(ids.slice(1), ids.slice(0, len(ids) - 1))).as_py()
                self.series += (changes or 0) + (ids[0].as_py() != self._id)
                self._id = ids[-1].as_py()
                edge = pc.min_max(batch["timestamp"].cast(pa.int64()))
                self.first = min(self.first, edge["min"].as_py())
                self.newest = max(self.newest, edge["max"].as_py())
            yield batch


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
        SourceError: if a file cannot be read or changed since it was looked at.
    """
    with open_file(Path(source.files[0].uri)) as file:
        check_columns(Path(source.files[0].uri), file.schema_arrow, spec.source)
        schema = canonical_schema(spec.source, file.schema_arrow)
    tally = Tally([stamp.uri for stamp in source.files])
    resolver, extent = Resolver(spec.source.duplicates, len(source.files)), _Extent()
    with store.workshop(run.pipeline) as shop:
        folder = shop / "table"
        with Sorter(shop, schema) as sorter:
            streams = _Streams(spec, schema, _Borders.at(as_of, spec), tally, sorter)
            for number, stamp in enumerate(source.files):
                streams.take_file(number, stamp)
            write_parts(folder, schema, extent.follow(resolver.resolve(sorter.read())))
        ledgers = tally.balance(resolver.kept, resolver.dropped)
        future = write_future(folder, _newest_of_each_step(streams.future))
        fingerprint = fingerprint_table(folder)
        quarantine = publish_quarantine(
            store, run.pipeline, fingerprint, streams.quarantine.collect()
        )
        write_ledger(store, run, ledgers)
        total = sum_ledgers(ledgers)
        _refuse_broken(total, quarantine and store.path(quarantine), as_of, spec)
        key = table_key(run.pipeline, fingerprint)
        store.stage(folder, key)
    return TableRef(
        key=key,
        fingerprint=fingerprint,
        series=extent.series,
        first=to_datetime(extent.first),
        cutoff=to_datetime(extent.newest),
        future=future,
        ledger=total,
        files=ledgers,
        quarantine=quarantine,
    )


def _newest_of_each_step(pieces: list[pa.RecordBatch]) -> pa.Table | None:
    """Sort rows by series and time; of several for one step the last read stays."""
    if not pieces:
        return None
    rows = pa.Table.from_batches(pieces)
    keys = ["series_id", "timestamp"]
    ordered = rows.append_column("__order", pa.array(np.arange(rows.num_rows)))
    newest = ordered.group_by(keys).aggregate([("__order", "max")])["__order_max"]
    return rows.take(newest).sort_by([(key, "ascending") for key in keys])


def _refuse_broken(
    total: Ledger, quarantine: Path | str | None, as_of: datetime, spec: PipelineSpec
) -> None:
    known = total.read - total.after_as_of
    share = total.quarantined / max(known, 1)
    if share > spec.quality.max_quarantined:
        raise DataError(
            f"found {total.quarantined:,} of {known:,} rows ({share:.1%}) unusable, needed at"
            f" most {spec.quality.max_quarantined:.1%} (quality.max_quarantined); look at"
            f" {quarantine} for the reasons"
        )
    if total.kept == 0:
        raise DataError(
            f"found no row of {spec.source.uri} that was over at {as_of:%Y-%m-%dT%H:%M:%SZ}"
            f" ({total.after_as_of:,} come later), needed history to learn from; choose a later"
            " --as-of or bring older data"
        )

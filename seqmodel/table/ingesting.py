"""From source files to a staged canonical table, every row accounted for.

each new file -> batches -> clean --+--> sound rows    kept beside those of older files
                                    +--> rows set aside, with reasons
all files -> up to as_of -> sort, one row a step --> part-*.parquet
          -> after it: known covariates         --> future.parquet
          -> set aside                          --> quarantine/<fingerprint>.parquet
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqmodel.errors import DataError
from seqmodel.grid import Grid, to_datetime, to_microseconds
from seqmodel.resampling import Resampler
from seqmodel.specs import PipelineSpec
from seqmodel.store.cleaned import SOUND
from seqmodel.store.ledgers import Ledger
from seqmodel.store.refs import RunRef, SourceRef, TableRef
from seqmodel.store.store import Store
from seqmodel.store.tables import (
    fingerprint_table,
    publish_quarantine,
    table_key,
    write_future,
    write_parts,
)
from seqmodel.table.cleaned import clean_source, read_aside, read_schema, split_aside
from seqmodel.table.ledger import Tally, sum_ledgers, write_ledger
from seqmodel.table.lists import count_long
from seqmodel.table.merging import Merger
from seqmodel.table.quarantine import unite
from seqmodel.table.resolving import Resolver

log = logging.getLogger(__name__)
#: No event is later (microseconds UTC).
LAST_DAY = to_microseconds(datetime(2200, 1, 1, tzinfo=UTC))


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
        if spec.source.irregular:
            return cls(last, int(grid.number(np.array([LAST_DAY]))[0]))
        number = grid.number(np.array([last], dtype=np.int64))
        reach = number + spec.window.horizon
        if spec.grid.resample:
            # A finer row counts once the whole step that it belongs to is over.
            return cls(int(grid.end(number)[0]) - 1, int(grid.end(reach)[0]) - 1)
        return cls(last, int(grid.moment(reach)[0]))


@final
class _Extent:
    """What the sorted rows that go by cover: series, rows, first and newest moment, and classes."""

    def __init__(self) -> None:
        self.series, self.rows, self.first, self.newest = 0, 0, 2**62, -(2**62)
        self.classes: set[str] = set()
        self._id: str | None = None

    def follow(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the batches as they come."""
        for batch in batches:
            if batch.num_rows:
                ids = batch.column(0)
                changes = pc.sum(pc.not_equal(ids.slice(1), ids.slice(0, len(ids) - 1))).as_py()
                self.series += (changes or 0) + (ids[0].as_py() != self._id)
                self._id = ids[-1].as_py()
                edge = pc.min_max(batch.column(1).cast(pa.int64()))
                self.first = min(self.first, edge["min"].as_py())
                self.newest = max(self.newest, edge["max"].as_py())
                self.rows += batch.num_rows
                if batch.column(2).type == pa.string():
                    self.classes |= set(batch.column(2).unique().to_pylist()) - {None}
            yield batch


def ingest_table(
    store: Store, run: RunRef, as_of: datetime, source: SourceRef, spec: PipelineSpec
) -> TableRef:
    """Clean a source into a staged table, with its quarantine and ledger.

    Files that were cleaned before, and have not changed since, are not read again.

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
    schema = read_schema(source, spec.source)
    borders = _Borders.at(as_of, spec)
    resolver, extent = Resolver(spec.source.duplicates, len(source.files)), _Extent()
    with store.workshop(run.pipeline) as shop:
        folder = shop / "table"
        files = clean_source(store, run.pipeline, shop, source, schema, spec)
        sound = [file / SOUND for file in files]
        with Merger(shop, sound, schema) as merger:
            tally = Tally([stamp.uri for stamp in source.files])
            asides = _count_rows(tally, merger, files, borders.last)
            resolver.notice = _notice_long(spec)
            rows = resolver.resolve(merger.read(borders.last))
            if spec.grid.resample:
                rows = Resampler(spec.source, spec.grid.resample).resample(rows)
            write_parts(folder, schema, extent.follow(rows))
            future = write_future(folder, _take_future(merger, borders, spec))
        ledgers = tally.balance(resolver.kept, resolver.dropped, resolver.noticed)
        fingerprint = fingerprint_table(folder)
        quarantine = publish_quarantine(store, run.pipeline, fingerprint, unite(asides))
        write_ledger(store, run, ledgers)
        total = sum_ledgers(ledgers)
        _refuse_broken(total, quarantine and store.path(quarantine), as_of, spec)
        if spec.source.of_classes:
            refuse_labels(extent.classes, spec)
        if spec.source.layout == "sequences" and extent.series < extent.rows:
            raise DataError(
                f"found {extent.rows:,} sequences of {extent.series:,} series, needed one row a"
                " series: a sequence is one; name further columns in source.series_id that tell"
                " them apart"
            )
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


def _count_rows(tally: Tally, merger: Merger, files: list[Path], last: int) -> list[pa.Table]:
    """Count what was read of each file; return its rows set aside that were over by then.

    What comes later is unknown at `as_of`, and so is whether it is sound: a backfill must not be
    refused for it.
    """
    asides = []
    upto, later = merger.count(last)
    for number, file in enumerate(files):
        aside = read_aside(file)
        over, rest = (None, 0) if aside is None else split_aside(aside, last)
        if over is not None and over.num_rows:
            asides.append(over)
        quarantined = over.num_rows if over is not None else 0
        after = int(later[number]) + rest
        tally.count(
            number,
            read=int(upto[number]) + quarantined + after,
            quarantined=quarantined,
            after=after,
        )
    return asides


def _take_future(merger: Merger, borders: _Borders, spec: PipelineSpec) -> pa.Table | None:
    """Return the known covariates of the horizon; of several rows for one step the last read."""
    if not spec.source.known:
        return None
    keys = ["series_id", "timestamp"]
    rows = merger.read_after(borders.last, borders.reach, [*keys, *spec.source.known])
    if not rows.num_rows:
        return None
    if spec.source.irregular:
        rows = _keep_next(rows, spec.window.horizon)
    ordered = rows.append_column("__order", pa.array(np.arange(rows.num_rows)))
    newest = ordered.group_by(keys).aggregate([("__order", "max")])["__order_max"]
    rows = rows.take(newest).sort_by([(key, "ascending") for key in keys])
    if spec.grid.resample:
        steps = Resampler(spec.source, spec.grid.resample).resample(iter(rows.to_batches()))
        rows = pa.Table.from_batches(steps, schema=rows.schema)
    return rows


def _keep_next(rows: pa.Table, horizon: int) -> pa.Table:
    """Return the next events of each series, as many as a forecast has steps, in time."""
    rows = rows.sort_by([("series_id", "ascending"), ("timestamp", "ascending")])
    ids = rows["series_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    place = np.arange(len(ids)) - np.searchsorted(ids, ids)
    return rows.filter(pa.array(place < horizon))


def _notice_long(spec: PipelineSpec) -> Callable[[pa.RecordBatch], pa.Array] | None:
    """Return what marks sequences that are longer than the lookback; None of other tables."""
    if spec.source.layout != "sequences":
        return None
    return lambda rows: count_long(rows, spec.source, spec.window.lookback)


def refuse_labels(classes: Collection[str], spec: PipelineSpec) -> None:
    """Refuse a target with too few classes, or too many for a binary one.

    Raises:
        DataError: naming them.
    """
    shown = ", ".join(repr(name) for name in sorted(classes)[:5])
    kind, target = spec.output.kind, spec.source.target
    if len(classes) < 2:  # noqa: PLR2004 - two classes make a question
        raise DataError(
            f"found {f'the single class {shown}' if classes else 'no label'} in target {target!r},"
            " needed two at least to tell apart; bring rows of another class or correct"
            " source.target"
        )
    if kind == "binary" and len(classes) > 2:  # noqa: PLR2004
        raise DataError(
            f"found {len(classes)} classes in target {target!r} ({shown}, ...), needed two for"
            " output.kind binary; set it to categorical or correct source.target"
        )
    if spec.output.positive is not None and spec.output.positive not in classes:
        raise DataError(
            f"found no class {spec.output.positive!r} in target {target!r} (it has {shown}), needed"
            " output.positive to be one of them; correct it"
        )


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

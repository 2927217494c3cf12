"""The profile of a table from those of its shards: series are whole in each, so they only line up.

The sample of targets is drawn from each shard by the numbers of its own rows, then thinned to the
size of a table's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from seqmodel.errors import SourceError
from seqmodel.specs import SourceSpec
from seqmodel.store.parts import MeasuredRef, Shard
from seqmodel.store.refs import RunRef, TableRef
from seqmodel.store.staged import read_staged, stage_arrays
from seqmodel.store.store import Store
from seqmodel.table.profile import Profile, Tally, count_series, count_steps, refusing
from seqmodel.table.spread import Sampler
from seqmodel.table.stream import stream_shard
from seqmodel.table.tally import Disorder


def measure_shard(
    store: Store, run: RunRef, table: TableRef, shard: Shard, source: SourceSpec
) -> MeasuredRef:
    """Measure the series of one shard and stage the figures.

    Args:
        store: the data root.
        run: which run asks.
        table: a staged table.
        shard: which series.
        source: which covariates the table has, and its step.

    Returns:
        Where they are; nowhere if the rows are not in order or cannot be read: the table is then
        measured whole, which says so.
    """
    folder = store.find(table.key)
    try:
        arrays = _measure(folder, shard, source)
    except (Disorder, SourceError):
        return MeasuredRef(key="", digest="", table=table.key)
    key, digest = stage_arrays(store, run, "profiles", shard.number, arrays)
    return MeasuredRef(key=key, digest=digest, table=table.key)


def _measure(folder: Path, shard: Shard, source: SourceSpec) -> dict[str, NDArray[Any]]:
    with refusing(folder):
        tally = Tally(source, strict=True).count(stream_shard(folder, source, shard))
    frame = pa.Table.from_pandas(count_series(tally), preserve_index=False)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, frame.schema) as writer:
        writer.write_table(frame)
    return {"series": np.frombuffer(sink.getvalue(), dtype=np.uint8)} | tally.spread.sample.arrays()


def join_profiles(store: Store, parts: Sequence[MeasuredRef], source: SourceSpec) -> Profile | None:
    """Line up what was measured of the shards of a table.

    Args:
        store: the data root.
        parts: of all shards, in order.
        source: which covariates the table has.

    Returns:
        As `measure_table` does; None if a shard could not be measured.

    Raises:
        StoreError: if a part is gone or changed.
    """
    if not all(part.key for part in parts):
        return None
    found = [read_staged(store, part) for part in parts]
    frame = pd.concat([_read_frame(one) for one in found], ignore_index=True)
    sample = Sampler.join([Sampler.from_arrays(one) for one in found])
    return Profile(count_steps(frame, source), sample.values)


def _read_frame(arrays: Mapping[str, NDArray[Any]]) -> pd.DataFrame:
    with pa.ipc.open_stream(pa.py_buffer(arrays["series"])) as reader:
        frame: pd.DataFrame = reader.read_all().to_pandas()
    return frame

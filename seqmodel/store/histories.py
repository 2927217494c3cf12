"""Small Parquet histories of a pipeline: what was promised, what came, what moved.

<pipeline>/monitoring/accuracy/cutoff=<moment>.parquet   a row a group, step and candidate: sums
<pipeline>/monitoring/scores/<run>.parquet               a row a candidate of a backtest
<pipeline>/monitoring/drift/<run>.parquet                a row a column

Each file is written whole, and replaced when the same night or cutoff is looked at again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from seqmodel.store.store import Store
from seqmodel.store.tables import write_table

log = logging.getLogger(__name__)
KEY = b"seqmodel"


def write_history(
    store: Store, pipeline: str, kind: str, name: str, rows: pa.Table, notes: dict[str, Any]
) -> str:
    """Write one file of a history; return its key.

    Args:
        store: the data root.
        pipeline: name of the pipeline.
        kind: `accuracy`, `scores` or `drift`.
        name: of the file, without its ending; names sort by time.
        rows: what it says.
        notes: JSON-able, kept in the file's metadata.
    """
    key = f"{pipeline}/monitoring/{kind}/{name}.parquet"
    write_rows(store, pipeline, key, rows.replace_schema_metadata({KEY: json.dumps(notes)}))
    return key


def write_rows(store: Store, pipeline: str, key: str, rows: pa.Table) -> None:
    """Write a small Parquet file, in place of an older one."""
    with store.workshop(pipeline) as shop:
        draft = shop / "rows.parquet"
        write_table(draft, rows)
        store.move_file(draft, key)


def read_history(
    store: Store, pipeline: str, kind: str, *, newest: int | None = None, until: str | None = None
) -> Iterator[tuple[str, pa.Table, dict[str, Any]]]:
    """Yield name, rows and notes of the files of a history, the oldest first.

    One that cannot be read is passed over with a warning: a history is no reason to stop.

    Args:
        store: the data root.
        pipeline: name of the pipeline.
        kind: which one.
        newest: files wanted at most.
        until: last name wanted, so that a backfill sees what was known then.
    """
    paths = sorted(store.path(f"{pipeline}/monitoring/{kind}").glob("*.parquet"))
    if until is not None:
        paths = [path for path in paths if path.stem <= until]
    for path in paths if newest is None else paths[-newest:]:
        try:
            yield _read(path)
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
            log.warning("the history %s is passed over: %s", path, error)


def _read(path: Path) -> tuple[str, pa.Table, dict[str, Any]]:
    rows = pq.read_table(path, partitioning=None)
    notes = json.loads(rows.schema.metadata[KEY])
    return path.stem, rows.replace_schema_metadata(None), dict(notes)

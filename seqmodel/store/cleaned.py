"""Source files as they were cleaned, one folder each, kept so that only new files are cleaned."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Self, final

import pyarrow as pa
import pyarrow.parquet as pq

from seqmodel.store.fingerprints import SHORT
from seqmodel.store.folders import make_folder
from seqmodel.store.store import STAGING, Store

SOUND, ASIDE = "sound.parquet", "aside.parquet"
ROW_GROUP = 131_072


def cleaned_key(pipeline: str, digest: str) -> str:
    """Return the key of what became of one source file."""
    return f"{pipeline}/{STAGING}/cleaned/{digest[:SHORT]}"


@final
class CleanedWriter:
    """Writes the sound rows of one source file, and those set aside, batch by batch.

    Args:
        folder: where they go; made when missing.
        schema: columns of the sound rows.
    """

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        make_folder(folder)
        self._folder = folder
        self._sound = _open(folder / SOUND, schema)
        self._aside: pq.ParquetWriter | None = None

    def add(self, sound: pa.RecordBatch) -> None:
        """Add sound rows."""
        self._sound.write_batch(sound, row_group_size=ROW_GROUP)

    def set_aside(self, rows: pa.Table) -> None:
        """Add rows that were set aside; all of one file have the same columns."""
        if self._aside is None:
            self._aside = _open(self._folder / ASIDE, rows.schema)
        self._aside.write_table(rows, row_group_size=ROW_GROUP)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sound.close()
        if self._aside is not None:
            self._aside.close()


def _open(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    # Written once and read once: speed counts more than size.
    return pq.ParquetWriter(path, schema, compression="lz4", write_statistics=True)


def drop_others(store: Store, pipeline: str, keep: Collection[str]) -> int:
    """Remove what became of files that the source no longer has; return how many."""
    folder = store.path(f"{pipeline}/{STAGING}/cleaned")
    names = {Path(key).name for key in keep}
    strays = [p for p in folder.iterdir() if p.name not in names] if folder.is_dir() else []
    for path in strays:
        shutil.rmtree(path, ignore_errors=True)
    return len(strays)

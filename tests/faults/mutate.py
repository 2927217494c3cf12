"""Parquet bytes, mutated by seed, through the ingestion: each is a table or one sentence.

    python -m tests.faults.mutate FOLDER FIRST LAST

A process of its own, under a cap of memory: what crashes or swallows the machine is seen outside.
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from seqmodel.errors import DataError
from seqmodel.specs import PipelineSpec
from seqmodel.store.runs import name_run
from seqmodel.store.store import Store
from seqmodel.table.ingesting import ingest_table
from seqmodel.table.reading import look_at

START = datetime(2024, 1, 1, tzinfo=UTC)
ROWS = 400
MEMORY = 6 << 30
#: How the sound file is written: what there is to break.
WAYS: tuple[dict[str, Any], ...] = (
    {"compression": "none", "use_dictionary": False},
    {"compression": "snappy"},
    {"compression": "zstd", "row_group_size": 97},
    {"compression": "gzip", "data_page_version": "2.0"},
    {"compression": "lz4", "write_page_index": True, "write_page_checksum": True},
)


def write_sound(path: Path, seed: int) -> bytes:
    table = pa.table(
        {
            "series_id": [f"{i % 3:03}" for i in range(ROWS)],
            "timestamp": pa.array(
                [START + timedelta(hours=i // 3) for i in range(ROWS)], pa.timestamp("us", "UTC")
            ),
            "target": [float(i % 24) for i in range(ROWS)],
        }
    )
    pq.write_table(table, path, **WAYS[seed % len(WAYS)])
    return path.read_bytes()


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Flip, overwrite, cut, double, swap or insert; half of the blows go to the footer."""
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8])):
        footer = max(len(out) - 1200, 0) if rng.random() < 0.5 else 0
        at, some = rng.randrange(footer, len(out)), rng.randrange(1, 64)
        how = rng.randrange(7)
        if how == 0:
            out[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            out[at : at + some] = rng.randbytes(len(out[at : at + some]))
        elif how == 2:
            del out[at : len(out) if rng.random() < 0.3 else at + some]
        elif how == 3:
            out[at:at] = out[at : at + some]
        elif how == 4:
            out[at:at] = rng.randbytes(some)
        elif how == 5:
            out[at : at + 8] = rng.choice([b"\xff" * 8, b"\0" * 8, b"\xff\xff\xff\xff\x0f\0\0\0"])
        else:
            other = rng.randrange(len(out))
            out[at], out[other] = out[other], out[at]
        if len(out) < 16:
            break
    return bytes(out)


def try_seed(folder: Path, seed: int) -> dict[str, Any]:
    """Ingest one mutated file; say how it ended and what it left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / "source.parquet"
    path.write_bytes(mutate(write_sound(path, seed), random.Random(seed)))  # noqa: S311
    spec = PipelineSpec.model_validate({"name": "p", "source": {"uri": str(path), "freq": "h"}})
    store, as_of, begun = Store(folder / "root"), START + timedelta(days=30), time.monotonic()
    found: dict[str, Any] = {"seed": seed}
    try:
        source = look_at(spec.source)
        table = ingest_table(store, name_run(spec, as_of, source), as_of, source, spec)
        found["rows"] = table.ledger.kept
        parts = store.find(table.key).glob("part-*")
        found["stored"] = sum(pq.read_metadata(part).num_rows for part in parts)
    except DataError as error:
        found["refused"] = str(error)
    except BaseException as error:  # noqa: BLE001 - the fault that is looked for
        found["fault"] = f"{type(error).__name__}: {error}"[:300]
    found["seconds"] = time.monotonic() - begun
    found["left"] = [
        p.relative_to(store.root).as_posix()
        for room in ("tables", "staging/tables", "staging/tmp-*", "forecasts")
        for p in (store.root / "p").glob(f"{room}/*")
    ]
    return found


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for number in range(int(sys.argv[2]), int(sys.argv[3])):
        sys.stdout.write(json.dumps(try_seed(Path(sys.argv[1]) / "m", number)) + "\n")
        sys.stdout.flush()

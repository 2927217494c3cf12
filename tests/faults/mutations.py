"""Parquet files with something wrong in their bytes, chosen by seed, and what becomes of them.

seeds -> child process: a small table -> bytes -> mutated -> the real ingestion -> one line a seed

python -m tests.faults.mutations FOLDER SEED SEED ...     runs some seeds in this process
"""

from __future__ import annotations

import io
import json
import resource
import shutil
import signal
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from seqmodel.errors import DataError
from seqmodel.specs import PipelineSpec
from seqmodel.store.runs import name_run
from seqmodel.store.store import Store
from seqmodel.store.tables import fingerprint_table
from seqmodel.table.ingesting import ingest_table
from seqmodel.table.reading import look_at

ROOT = Path(__file__).resolve().parents[2]
AS_OF = datetime(2024, 1, 3, tzinfo=UTC)
NAME = "p"
#: Time that one seed may take (seconds): the signal ends even a loop in C.
DEADLINE = 20
#: Memory that a child may ask for: a length with a flipped bit can ask for terabytes (bytes).
MEMORY = 8 * 2**30
PARTS = ("read", "kept", "quarantined", "duplicates", "after_as_of")
WHOLE, REFUSED = "whole table", "typed error"
WRONG = ("crash", "hang", "another error", "partial output", "broken table", "no sentence")
#: Ways to write the same rows.
SHAPES: tuple[dict[str, Any], ...] = (
    {"compression": "snappy"},
    {"compression": "none", "use_dictionary": False},
    {"compression": "gzip", "row_group_size": 17},
    {"compression": "zstd", "data_page_version": "2.0"},
    {"compression": "lz4", "write_page_checksum": True},
    {"compression": "none", "write_page_checksum": True, "row_group_size": 40},
    {"compression": "none", "write_page_index": True, "column_encoding": "DELTA"},
)
Change = Callable[[Random, bytearray, int, int], None]


def build_rows() -> pa.Table:
    """Two series of 48 hours, a missing target, and a covariate of text."""
    hours = [datetime(2024, 1, 1 + h // 24, h % 24, tzinfo=UTC) for h in range(48)] * 2
    return pa.table(
        {
            "series_id": ["001"] * 48 + ["b"] * 48,
            "timestamp": pa.array(hours, pa.timestamp("us", tz="UTC")),
            "target": pa.array([None if i == 7 else i / 4 for i in range(96)], pa.float64()),
            "kind": ["home", "shop"] * 48,
        }
    )


def build_file(shape: int) -> bytes:
    options = dict(SHAPES[shape])
    if options.pop("column_encoding", None):
        options["use_dictionary"] = False
        options["column_encoding"] = {
            "series_id": "DELTA_BYTE_ARRAY",
            "timestamp": "DELTA_BINARY_PACKED",
            "target": "BYTE_STREAM_SPLIT",
            "kind": "DELTA_LENGTH_BYTE_ARRAY",
        }
    sink = io.BytesIO()
    pq.write_table(build_rows(), sink, **options)
    return sink.getvalue()


def flip_bits(random: Random, data: bytearray, low: int, high: int) -> None:
    for _ in range(random.choice([1, 1, 1, 2, 8])):
        data[random.randrange(low, high)] ^= 1 << random.randrange(8)


def set_bytes(random: Random, data: bytearray, low: int, high: int) -> None:
    place = random.randrange(low, high)
    count = min(random.choice([1, 4, 16]), high - place)
    data[place : place + count] = random.randbytes(count)


def truncate(random: Random, data: bytearray, low: int, high: int) -> None:
    del data[random.randrange(low, high) :]


def truncate_head(random: Random, data: bytearray, low: int, high: int) -> None:
    del data[: random.randrange(low, high)]


def _choose_block(random: Random, low: int, high: int) -> tuple[int, int]:
    place = random.randrange(low, high)
    return place, min(place + random.choice([1, 4, 32, 256]), high)


def duplicate_block(random: Random, data: bytearray, low: int, high: int) -> None:
    begin, end = _choose_block(random, low, high)
    data[end:end] = data[begin:end]


def zero_block(random: Random, data: bytearray, low: int, high: int) -> None:
    begin, end = _choose_block(random, low, high)
    data[begin:end] = bytes(end - begin)


def drop_block(random: Random, data: bytearray, low: int, high: int) -> None:
    begin, end = _choose_block(random, low, high)
    del data[begin:end]


def copy_block(random: Random, data: bytearray, low: int, high: int) -> None:
    begin, end = _choose_block(random, low, high)
    place = random.randrange(0, len(data) - (end - begin))
    data[begin:end] = data[place : place + end - begin]


CHANGES: dict[str, Change] = {
    change.__name__: change
    for change in (
        flip_bits,
        set_bytes,
        truncate,
        truncate_head,
        duplicate_block,
        zero_block,
        drop_block,
        copy_block,
    )
}
PLACES = ("header", "pages", "footer", "length", "footer of another file")


def find_footer(data: bytes | bytearray) -> int:
    return len(data) - 8 - int.from_bytes(data[-8:-4], "little")


def mutate(seed: int) -> tuple[str, bytes]:
    """Return what was done, and the bytes."""
    random = Random(seed)  # noqa: S311 - damage, no secret
    shape = random.randrange(len(SHAPES))
    data = bytearray(build_file(shape))
    footer, place = find_footer(data), random.choice([*PLACES, "pages", "footer", "footer"])
    if place == "footer of another file":
        other = build_file((shape + random.randrange(1, len(SHAPES))) % len(SHAPES))
        data[footer:] = other[find_footer(other) :]
        return place, bytes(data)
    low, high = {
        "header": (0, 48),
        "pages": (4, footer),
        "footer": (footer, len(data) - 8),
        "length": (len(data) - 8, len(data)),
    }[place]
    name = random.choice(list(CHANGES))
    CHANGES[name](random, data, low, high)
    return f"{name} in {place}", bytes(data)


def try_seed(seed: int, folder: Path) -> dict[str, str]:
    """Put one mutated file through the real ingestion and say how that ended."""
    what, data = mutate(seed)
    path, root = folder / "source.parquet", folder / "root"
    path.write_bytes(data)
    shutil.rmtree(root, ignore_errors=True)
    try:
        outcome, said = ingest(Store(root), path)
    except Exception:  # noqa: BLE001 - the very thing looked for
        outcome, said = "another error", traceback.format_exc()
    return {"seed": str(seed), "what": what, "outcome": outcome, "said": said}


def ingest(store: Store, path: Path) -> tuple[str, str]:
    spec = PipelineSpec.model_validate(
        {
            "name": NAME,
            "source": {"uri": str(path), "static": ["kind"]},
            "quality": {"max_quarantined": 1.0},
            "window": {"lookback": 6, "horizon": 2},
        }
    )
    try:
        source = look_at(spec.source)
        run = name_run(spec, AS_OF, source)
        table = ingest_table(store, run, AS_OF, source, spec)
    except DataError as error:
        return judge_refusal(store, error)
    folder = store.find(table.key)
    rows = pa.concat_tables([pq.ParquetFile(p).read() for p in sorted(folder.glob("part-*"))])
    rows.validate(full=True)
    ledger = store.read_json(f"{run.key}/ledger.json")
    for one in (ledger, *ledger["files"].values()):
        if one["read"] != sum(one[part] for part in PARTS[1:]):
            return "broken table", f"{one} does not add up"
    if not rows.num_rows == ledger["kept"] == table.ledger.kept:
        return "broken table", f"{rows.num_rows} rows, {ledger['kept']} kept"
    if ledger["read"] != pq.read_metadata(path).num_rows:
        return "broken table", f"{ledger['read']} rows read of {pq.read_metadata(path).num_rows}"
    if fingerprint_table(folder) != table.fingerprint:
        return "broken table", "another fingerprint"
    strays = list_strays(store, {f"{NAME}/staging/{table.key.partition('/')[2]}"})
    return ("partial output", strays[0]) if strays else (WHOLE, "")


def judge_refusal(store: Store, error: DataError) -> tuple[str, str]:
    said = f"{type(error).__name__}: {error}"
    if not all(word in said for word in ("found ", "needed ", "; ")) or not said.isprintable():
        return "no sentence", said
    strays = list_strays(store, set())
    return ("partial output", strays[0]) if strays else (REFUSED, said)


def list_strays(store: Store, allowed: set[str]) -> list[str]:
    """Return the files that nobody has asked for: reports and quarantine are for a person."""
    rooms = {f"{NAME}/reports/", f"{NAME}/quarantine/", *(f"{key}/" for key in allowed)}
    found = [p.relative_to(store.root).as_posix() for p in store.root.rglob("*") if p.is_file()]
    return [name for name in found if not name.startswith(tuple(rooms))]


def run_children(seeds: list[int], folder: Path, a_child: int) -> list[dict[str, str]]:
    """Run seeds in child processes; a seed that ends its child is named, and the rest go on."""
    found: list[dict[str, str]] = []
    waiting = list(seeds)
    while waiting:
        some = waiting[:a_child]
        done, ended = run_child(some, folder)
        found += done
        if len(done) < len(some):
            seed = some[len(done)]
            outcome = "hang" if ended == -signal.SIGALRM else "crash"
            what = mutate(seed)[0]
            found.append(
                {"seed": str(seed), "what": what, "outcome": outcome, "said": f"exit {ended}"}
            )
            waiting = waiting[len(done) + 1 :]
        else:
            waiting = waiting[len(some) :]
    return found


def run_child(seeds: list[int], folder: Path) -> tuple[list[dict[str, str]], int]:
    words = [sys.executable, "-m", "tests.faults.mutations", str(folder), *map(str, seeds)]
    child = subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=DEADLINE * len(seeds)
    )
    done = [json.loads(line) for line in child.stdout.splitlines() if line.startswith('{"seed"')]
    if len(done) == len(seeds) and child.returncode:
        done[-1]["outcome"], done[-1]["said"] = "crash", f"at exit: {child.stderr[-500:]}"
    return done, child.returncode


def count(results: list[dict[str, str]]) -> str:
    """Return the outcomes as a table."""
    counts = Counter(one["outcome"] for one in results)
    lines = [f"{name:<16}{counts[name]:>6}" for name in (WHOLE, REFUSED, *WRONG)]
    return "\n".join([f"{'mutations':<16}{len(results):>6}", *lines])


def main() -> None:
    folder, *seeds = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for seed in seeds:
        signal.alarm(DEADLINE)
        print(json.dumps(try_seed(int(seed), Path(folder))), flush=True)  # noqa: T201 - read above
    signal.alarm(0)


if __name__ == "__main__":
    main()

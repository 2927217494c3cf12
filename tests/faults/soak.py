"""Many nights in one process that stays, as a worker would: new data each night, retention on.

    python -m tests.faults.soak FOLDER NIGHTS API

prints one JSON object a night: what the process, what it started, and its folders have come to.
Every night brings a file of one day more and takes the oldest away; when it is over, what it wrote
is dated back to its own moment, because retention goes by ages.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.conftest import ROOT
from tests.faults.night import NAME, check_ledger, check_whole, make_spec

DAY = timedelta(days=1)
FIRST = datetime(2013, 10, 2, tzinfo=UTC)
#: Days of history that the source holds.
HISTORY = 28
#: Ages of retention (nights).
KEEP, KEEP_FORECASTS, KEEP_HISTORIES = 7, 14, 14
PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


class Days:
    """Three series of the sample, a file a day.

    Args:
        folder: of the files, made when missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        table = pq.read_table(ROOT / "data" / "sample" / "departures.parquet")
        wanted = pc.is_in(table["series_id"], pa.array(["EWR-UA", "JFK-B6", "LGA-DL"]))
        self.folder, self.rows = folder, table.filter(wanted)

    def move_to(self, as_of: datetime) -> None:
        """Bring what is there by a night: its past, and the timetable of the day ahead."""
        wanted = {as_of + number * DAY for number in range(-HISTORY, 1)}
        there = {path.stem: path for path in self.folder.glob("*.parquet")}
        for day in wanted:
            if there.pop(f"{day:%Y%m%d}", None) is None or day >= as_of - DAY:
                self._write(day, ahead=day >= as_of)
        for path in there.values():
            path.unlink()

    def _write(self, day: datetime, *, ahead: bool) -> None:
        stamps = self.rows["timestamp"]
        begin, end = pa.scalar(day), pa.scalar(day + DAY)
        rows = self.rows.filter(pc.and_(pc.greater_equal(stamps, begin), pc.less(stamps, end)))
        if ahead:  # nobody knows yet what will have left
            place = rows.schema.get_field_index("departures")
            empty = pa.nulls(rows.num_rows, rows.schema.field(place).type)
            rows = rows.set_column(place, rows.schema.field(place), empty)
        path = self.folder / f"{day:%Y%m%d}.parquet"
        pq.write_table(rows, path)
        os.utime(path, ((day + DAY).timestamp(),) * 2)


class Peak:
    """The largest memory of a process group while a block runs (MB)."""

    def __enter__(self) -> Self:
        self.found, self._over = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.5):
            self.found = max(self.found, sum(read_rss(number) for number in list_group()))


def list_group(group: int | None = None) -> Iterator[int]:
    """Yield the living processes of a group, by default of this one's."""
    group = group or os.getpgrp()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] not in "ZX":
            yield int(path.name)


def read_rss(number: int) -> float:
    """Return the resident memory of a process (MB); zero when it is gone."""
    try:
        return int(Path(f"/proc/{number}/statm").read_text().split()[1]) * PAGE_KB / 1024
    except (OSError, IndexError):
        return 0.0


def weigh(folder: Path) -> tuple[float, int]:
    """Return what the files below a folder come to (MB), and how many they are."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return sum(sizes) / 1e6, len(sizes)


def date_back(root: Path, since: float, moment: datetime) -> None:
    """Give all that a night has written the date of that night."""
    for path in (*root.rglob("*"), root):
        if path.stat().st_mtime >= since:
            os.utime(path, (moment.timestamp(),) * 2)


def soak(folder: Path, nights: int) -> None:
    """Run the nights and say what each has come to."""
    from flows.nightly import nightly
    from seqmodel.specs import PipelineSpec, RegistrySpec
    from seqmodel.store.retention import prune_store
    from seqmodel.store.store import Store

    days, root = Days(folder / "source"), folder / "root"
    os.environ["SEQMODEL_DATA"] = str(root)
    spec = PipelineSpec.model_validate(make_spec(folder / "source", train={"warm_start": True}))
    server = int((folder / "server" / "pid").read_text())
    ages = RegistrySpec(nights=KEEP, forecast_nights=KEEP_FORECASTS, history_nights=KEEP_HISTORIES)
    for number in range(nights):
        as_of, since, begun = FIRST + number * DAY, time.time(), time.monotonic()
        days.move_to(as_of)
        with Peak() as peak:
            nightly(spec, as_of=as_of)
        gone = prune_store(Store(root), NAME, ages, as_of)
        date_back(root, since - 1, as_of)
        check_ledger(root / NAME)
        check_whole(root / NAME)
        gc.collect()
        there = sorted(p.name for p in (root / NAME / "forecasts").glob("cutoff=*"))
        said = {
            "night": number + 1,
            "seconds": round(time.monotonic() - begun, 1),
            "rss_mb": round(read_rss(os.getpid()), 1),
            "peak_mb": round(peak.found),
            "files_open": len(list(Path("/proc/self/fd").iterdir())),
            "threads": threading.active_count(),
            "processes": len(list(list_group())),
            "forecasts": there,
            "removed": len(gone),
            "server_rss_mb": round(sum(map(read_rss, list_group(server)))),
            **measure(root / NAME, folder),
        }
        sys.__stdout__.write(f"\n{json.dumps(said)}\n")
        sys.__stdout__.flush()


def measure(pipeline: Path, folder: Path) -> dict[str, float]:
    """Return what lies on the disk: in the data root and its rooms, and in Prefect's home."""
    megabytes, files = weigh(pipeline)
    found = {"disk_mb": round(megabytes, 3), "files": files}
    for room in sorted(path for path in pipeline.iterdir() if path.is_dir()):
        found[f"files {room.name}"] = weigh(room)[1]
    for name in ("home", "server", "compiled"):
        found[f"{name}_mb"] = round(weigh(folder / name)[0], 2)
    return found


if __name__ == "__main__":
    # Importing the tests' own modules has made a home for tests; here it is the caller's.
    os.environ["PREFECT_HOME"] = str(Path(sys.argv[1]) / "home")
    os.environ["PREFECT_API_URL"] = sys.argv[3]
    soak(Path(sys.argv[1]), int(sys.argv[2]))

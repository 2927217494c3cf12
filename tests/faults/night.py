"""One night by the real command line, in a process tree and with a Prefect home of its own."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import h5py
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from seqmodel.store.forecasts import read_forecast
from tests.conftest import ROOT
from tests.serving import answers, find_port, wait_for

NAME = "small"
AS_OF = "2013-12-01T00:00:00Z"
CUTOFF = "20131130T230000Z"
INJECT = ROOT / "tests" / "faults" / "inject"
#: A night that takes longer hangs (seconds).
PATIENCE = 900
RAN = re.compile(r"step ([a-z]+): (ran|taken from the cache)")


def write_source(folder: Path) -> Path:
    """Three series of the sample over a month, in four files."""
    folder.mkdir(parents=True, exist_ok=True)
    table = pq.read_table(ROOT / "data" / "sample" / "departures.parquet")
    wanted = pc.is_in(table["series_id"], pa.array(["EWR-UA", "JFK-B6", "LGA-DL"]))
    for end, keep in ((datetime(2013, 11, 1, 5, tzinfo=UTC), pc.greater_equal),
                      (datetime(2013, 12, 3, tzinfo=UTC), pc.less)):  # fmt: skip
        wanted = pc.and_(wanted, keep(table["timestamp"], pa.scalar(end)))
    rows = table.filter(wanted)
    each = -(-rows.num_rows // 4)
    for number in range(4):
        pq.write_table(rows.slice(number * each, each), folder / f"{number}.parquet")
    return folder


def make_spec(uri: Path, **sections: Any) -> dict[str, Any]:
    """A spec that trains in a second or two."""
    spec: dict[str, Any] = {
        "name": NAME,
        "source": {
            "uri": str(uri),
            "target": "departures",
            "freq": "h",
            "timezone": "America/New_York",
            "season_length": 24,
            "known": ["scheduled"],
            "past": ["temperature"],
            "static": ["carrier"],
        },
        "quality": {"minimum": 0},
        "window": {"lookback": 24, "horizon": 6, "stride": 2},
        "model": {"units": 8, "dropout": 0.0},
        "output": {"quantiles": [0.1, 0.5, 0.9], "calibration": "adaptive"},
        "train": {"epochs": 2, "batch_size": 64, "learning_rate": 0.01},
        "backtest": {"cutoffs": 4, "step": 6},
        "forecast": {"minimum": 0, "whole": "median"},
    }
    return {name: {**v, **sections.get(name, {})} if isinstance(v, dict) else v
            for name, v in {**{n: {} for n in sections}, **spec}.items()}  # fmt: skip


@dataclass
class End:
    """How one run ended.

    Attributes:
        code: exit code, below zero where a signal ended it.
        out: everything it said.
        seconds: how long it took.
        left: command lines of processes of its group that outlived it.
    """

    code: int
    out: str
    seconds: float
    left: list[str] = field(default_factory=list)

    @property
    def ran(self) -> list[str]:
        return [step for step, how in RAN.findall(self.out) if how == "ran"]

    @property
    def said(self) -> list[str]:
        return [line for line in self.out.splitlines() if line.startswith("seqmodel: ")]


@dataclass
class Ground:
    """A data root, a Prefect home and a deployment: what one chain of runs lives on.

    Attributes:
        folder: of all three.
        source: of the rows.
        template: a Prefect home that is copied, so that its database need not be migrated.
        sections: of the spec, where they are not `make_spec`'s.
        api: of a server that is up; without it each run starts Prefect's temporary one.
    """

    folder: Path
    source: Path
    template: Path | None = None
    sections: dict[str, Any] = field(default_factory=dict)
    api: str | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.root, self.home = self.folder / "root", self.folder / "home"
        if self.template:
            shutil.copytree(self.template, self.home)
        spec = make_spec(self.source, **self.sections)
        content = {"deployments": [{"name": "nightly", "parameters": {"spec": spec}}]}
        (self.folder / "own.yaml").write_text(yaml.safe_dump(content))

    @property
    def pipeline(self) -> Path:
        return self.root / NAME

    def start(
        self,
        *flags: str,
        flow: str = "nightly",
        plan: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        as_of: str = AS_OF,
        before: tuple[str, ...] = (),
        **options: Any,
    ) -> subprocess.Popen[str]:
        """Start the command in a session of its own."""
        own = {
            "PREFECT_HOME": str(self.home),
            "PYTHONPATH": f"{INJECT}",
            "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
        }
        if self.api:
            own["PREFECT_API_URL"] = self.api
        if plan is not None:
            path = self.folder / "plan.json"
            path.write_text(
                json.dumps({"root": str(self.root), "folder": str(self.folder), **plan})
            )
            own["FAULT_PLAN"] = str(path)
        words = ["--deployment", "nightly", "--prefect-file", str(self.folder / "own.yaml"),
                 "--data-root", str(self.root), "--as-of", as_of, *flags]  # fmt: skip
        return subprocess.Popen(
            [*before, sys.executable, "-m", f"flows.{flow}", *words],
            cwd=ROOT,
            env={**os.environ, **own, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **options,
        )

    def run(self, *flags: str, **how: Any) -> End:
        """Run the command to its end, whatever that is; nothing of its tree is left."""
        begun = time.monotonic()
        return finish(self.start(*flags, **how), begun)


@contextmanager
def serve_prefect(home: Path) -> Iterator[str]:
    """Run one real server for many nights, as production does; yield its API's address."""
    home.mkdir(parents=True, exist_ok=True)
    port = find_port()
    with (home / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)],
            cwd=ROOT,
            env={
                **os.environ,
                "PREFECT_HOME": str(home),
                "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
            },
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        (home / "pid").write_text(str(process.pid))
        try:
            address = f"http://127.0.0.1:{port}/api"
            wait_for(lambda: answers(f"{address}/health") or process.poll() is not None, 200)
            assert process.poll() is None, (home / "server.log").read_text()[-3000:]
            yield address
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)


def finish(process: subprocess.Popen[str], begun: float, patience: float = PATIENCE) -> End:
    """Wait for a run's end and for that of its tree."""
    import threading

    words: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=lambda: words.extend(process.stdout or ()), daemon=True)
    reader.start()
    try:
        code = process.wait(patience)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    seconds = time.monotonic() - begun
    # What dies with its parent needs a moment for it.
    end = time.monotonic() + 5
    while (left := list(list_group(process.pid))) and time.monotonic() < end:
        time.sleep(0.2)
    if left:
        os.killpg(process.pid, signal.SIGKILL)
    reader.join(10)
    return End(code, "".join(words), seconds, left)


def list_group(group: int) -> Iterator[str]:
    """Yield the command lines of the living processes of a group."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == group and fields[0] not in "ZX":
                yield (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, ValueError):
            continue


# ---- what a night leaves


def read_outputs(pipeline: Path) -> dict[str, Any]:
    """Everything that a night publishes, without what tells how long it took."""
    found: dict[str, Any] = {}
    rooms = ("tables", "quarantine", "forecasts", "models", "champions", "windows", "profiles",
             "monitoring", "champion.json")  # fmt: skip
    for path in sorted(pipeline.rglob("*")):
        name = path.relative_to(pipeline).as_posix()
        if path.is_dir() or not name.startswith(rooms) or path.name.startswith("."):
            continue
        found[name] = path.read_bytes()
        if path.name == "model.keras":
            found[name] = read_weights(path)
        elif name.startswith("models/") and path.name == "manifest.json":
            manifest = json.loads(path.read_bytes())
            manifest["files"].pop("model.keras")
            found[name] = {k: v for k, v in manifest.items() if k not in {"seconds", "resumed"}}
    for path in sorted(pipeline.glob("reports/*/*")):
        # The report itself tells durations; these do not.
        if path.name in {"ledger.json", "quality.json", "backtest.json", "promotion.json",
                         "scores.parquet"}:  # fmt: skip
            found[path.relative_to(pipeline).as_posix()] = path.read_bytes()
    return found


def read_weights(path: Path) -> dict[str, bytes]:
    """The content of a network's file: its archive holds the moment it was saved."""
    found: dict[str, bytes] = {}
    with ZipFile(path) as archive:
        # Keras writes addresses of memory into it.
        config = re.sub(rb'"shared_object_id": \d+', b"", archive.read("config.json"))
        found["config.json"] = config
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
            file.visititems(
                lambda name, one: (
                    found.__setitem__(name, one[()].tobytes())
                    if isinstance(one, h5py.Dataset)
                    else None
                )
            )
    return found


def compare_outputs(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Return the names of files that are missing, too many, or other than wanted."""
    return sorted(n for n in {*found, *wanted} if found.get(n) != wanted.get(n))


def check_whole(pipeline: Path) -> None:
    """Every published file is whole, at any moment: even between a kill and the next run."""
    from seqmodel.store.checking import check_store
    from seqmodel.store.store import Store

    # A folder without a manifest is not published yet: the parts are there, nobody reads them.
    damaged = [
        one
        for one in check_store(Store(pipeline.parent), pipeline.name)
        if one.damage and not (one.kind == "forecast" and "found no " in one.damage)
    ]
    assert not damaged, damaged
    for folder in pipeline.glob("forecasts/*"):
        if (folder / "_manifest.json").exists():
            assert read_forecast(folder).num_rows
    for path in [*pipeline.glob("tables/*/*.parquet"), *pipeline.glob("quarantine/*.parquet")]:
        pq.read_table(path, partitioning=None)
    for path in [*pipeline.glob("champion*.json"), *pipeline.glob("champions/*.json")]:
        json.loads(path.read_bytes())


def check_ledger(pipeline: Path) -> None:
    """Rows read are kept, quarantined, duplicates, or after as_of."""
    paths = list(pipeline.glob("reports/*/ledger.json"))
    assert paths
    for path in paths:
        ledger = json.loads(path.read_bytes())
        words = ("kept", "quarantined", "duplicates", "after_as_of")
        for one in [ledger, *ledger["files"].values()]:
            assert one["read"] == sum(one[word] for word in words), one
        total = sum(one["read"] for one in ledger["files"].values())
        assert ledger["read"] == total, ledger

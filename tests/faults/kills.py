"""Chains of kills: one data root, one command, killed at one point after the other.

The unbroken night writes down every call that touches the data root; a seed picks points among them
(and moments by the clock), the oldest first, so that what a kill leaves is what the next run meets.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from seqmodel.specs import RegistrySpec
from seqmodel.store.retention import prune_store
from seqmodel.store.store import Store
from tests.faults.night import (
    NAME,
    End,
    Ground,
    check_ledger,
    check_whole,
    compare_outputs,
    read_outputs,
)

#: A child killed more often than this in one run fails its step, as it should.
CHILD_KILLS = 2
CHILDREN = ("train", "backtest", "forecast")
STEPS = ("ingest", "validate", "window", "train", "backtest", "promote", "forecast")


@dataclass
class Unbroken:
    """The night that nobody disturbs."""

    ground: Ground
    outputs: dict[str, Any]
    points: list[str]


def run_unbroken(folder: Path, source: Path, api: str | None = None) -> Unbroken:
    """Run the night once and write down every point where it could be killed."""
    ground = Ground(folder / "unbroken", source, api=api)
    listed = folder / "points"
    end = ground.run(plan={"points": [], "list": str(listed)})
    assert end.code == 0, end.out
    assert end.ran == list(STEPS)
    check_whole(ground.pipeline)
    check_ledger(ground.pipeline)
    points = [p for p in listed.read_text().splitlines() if not p.startswith("watch")]
    return Unbroken(ground, read_outputs(ground.pipeline), points)


def draw_points(points: list[str], seed: int, size: int) -> list[dict[str, Any]]:
    """Draw where to kill whom, in the order of the night."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    drawn: list[tuple[float, dict[str, Any]]] = []
    spent = dict.fromkeys(CHILDREN, 0)
    taken: set[str] = set()
    while len(drawn) < size:
        if rng.random() < 0.3:  # by the clock: mid-read, mid-epoch, while it starts or computes
            process = rng.choice(["flow", *CHILDREN])
            after = rng.uniform(2, 9) if process == "flow" else rng.uniform(0.2, 3.5)
            place, point = rng.random(), {"process": process, "after": round(after, 2)}
        else:
            place = rng.randrange(len(points))
            name = points[place]
            process, point = name.split()[0], {"before": name}
            if name in taken:
                continue
            taken.add(name)
            place /= len(points)
        whom = rng.choice(
            ["flow", "both"] if process == "flow" else ["child", "child", "both", "flow"]
        )
        if whom == "child":
            if spent[process] == CHILD_KILLS:
                continue
            spent[process] += 1
        drawn.append((place, {**point, "whom": whom}))
    return [point for _, point in sorted(drawn, key=lambda one: one[0])]


@dataclass
class Chain:
    """What became of a chain.

    Attributes:
        struck: the points that struck.
        ends: of each run; the last one completed.
        faults: what was not as it must be.
    """

    struck: list[dict[str, Any]] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def run_chain(ground: Ground, points: list[dict[str, Any]]) -> Chain:
    """Run the same command until it completes, and look at what it must keep meanwhile."""
    chain = Chain()
    done: set[str] = set()
    while True:
        end = ground.run(plan={"points": points})
        chain.ends.append(end)
        if end.left:
            chain.faults.append(f"outlived a kill: {end.left}")
        check_whole(ground.pipeline)
        if again := done & set(end.ran):
            chain.faults.append(f"done before a kill and repeated: {sorted(again)}")
        done |= set(end.ran)
        if end.code != -9 or len(chain.ends) > len(points):
            break
    marks = range(len(points))
    chain.struck = [points[n] for n in marks if (ground.folder / f"struck-{n}").exists()]
    if end.code:
        chain.faults.append(f"exit code {end.code}: {end.out[-3000:]}")
    return chain


def judge_chain(chain: Chain, ground: Ground, unbroken: Unbroken) -> Chain:
    """Compare what a chain has left with an unbroken night's."""
    if chain.ends[-1].code:
        return chain
    check_ledger(ground.pipeline)
    wrong = compare_outputs(read_outputs(ground.pipeline), unbroken.outputs)
    if wrong:
        chain.faults.append(f"other than those of an unbroken run: {wrong}")
    chain.faults += [f"outlives retention: {name}" for name in list_strays(ground.root)]
    return chain


def list_strays(root: Path) -> list[str]:
    """Return what is left of drafts once the next retention is through."""
    later = datetime.now(UTC) + timedelta(days=3)
    prune_store(Store(root), NAME, RegistrySpec(nights=2), later)
    locks = {".champion.lock", ".forecasts.lock"}
    found = []
    for path in (root / NAME).rglob("*"):
        name = path.relative_to(root / NAME)
        staged = name.parts[0] == "staging" and name.parts[1:2] != ("cleaned",)
        if path.is_file() and ((path.name[0] == "." and path.name not in locks) or staged):
            found.append(name.as_posix())
    return found

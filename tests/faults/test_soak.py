"""Sixty nights in one process: nothing grows that should not, and no forecast is missing."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.faults.night import serve_prefect
from tests.faults.soak import FIRST, KEEP_FORECASTS

pytestmark = [pytest.mark.tensorflow]
NIGHTS = 60
HOUR = timedelta(hours=1)
#: What may be more in the last third of the nights than in the first, as a share of it.
GROWTH = {
    "rss_mb": 0.05,
    "peak_mb": 0.05,
    "files_open": 0.0,
    "threads": 0.1,
    "processes": 0.0,
    "disk_mb": 0.05,
    "files": 0.05,
}


def list_cutoffs(number: int) -> list[str]:
    """The forecasts that are there after a night: its own, and those that retention leaves."""
    nights = range(max(0, number - KEEP_FORECASTS), number)
    moments = [FIRST + timedelta(days=night) - HOUR for night in nights]
    return [f"cutoff={moment:%Y%m%dT%H%M%SZ}" for moment in moments]


def compare_thirds(nights: list[dict[str, Any]], what: str) -> tuple[float, float]:
    """Medians of the first third, once retention has something to remove, and of the last."""
    # Before that the data root fills up, as it must.
    filled = nights[KEEP_FORECASTS + 1 :]
    third = len(filled) // 3
    values = [night[what] for night in filled]
    return statistics.median(values[:third]), statistics.median(values[-third:])


@pytest.mark.faults
@pytest.mark.timeout(5400)
@pytest.mark.fault("sixty nights in one process", tries=NIGHTS)
def test_sixty_nights_leave_no_more_than_twenty(tmp_path, capsys):
    with serve_prefect(tmp_path / "server") as api:
        words = ["-m", "tests.faults.soak", str(tmp_path), str(NIGHTS), api]
        quiet = {"SEQMODEL_COMPILED": str(tmp_path / "compiled"), "PREFECT_LOGGING_LEVEL": "ERROR"}
        done = subprocess.run(
            [sys.executable, *words],
            cwd=ROOT,
            env={**os.environ, **quiet},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
            start_new_session=True,
        )
    assert done.returncode == 0
    nights = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"night"')]
    assert [night["night"] for night in nights] == list(range(1, NIGHTS + 1))
    found = {what: compare_thirds(nights, what) for what in GROWTH}
    with capsys.disabled():
        line = ", ".join(f"{what} {a:g} -> {b:g}" for what, (a, b) in found.items())
        sys.stdout.write(f"\n{NIGHTS} nights, first third -> last third: {line}\n")
    for night in nights:
        assert night["forecasts"] == list_cutoffs(night["night"])
    grown = {what: pair for what, pair in found.items() if pair[1] > pair[0] * (1 + GROWTH[what])}
    assert not grown

"""Parquet bytes mutated by seed: no crash, no hang, no traceback, nothing half-done."""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT

#: Mutations of one process; the first process runs in the short suite.
EACH, PROCESSES = 100, 6


@pytest.mark.timeout(900)
@pytest.mark.fault("Parquet bytes mutated", tries=EACH)
@pytest.mark.parametrize(
    "number",
    [0, *(pytest.param(n, marks=pytest.mark.faults) for n in range(1, PROCESSES))],
)
def test_a_mutated_file_is_a_table_or_one_sentence(tmp_path, number):
    words = [
        "-m",
        "tests.faults.mutate",
        str(tmp_path),
        str(number * EACH),
        str(number * EACH + EACH),
    ]
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=800, check=False
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, len(found)) == (0, EACH), done.stderr[-2000:]
    assert not [one for one in found if "fault" in one]
    assert max(one["seconds"] for one in found) < 20
    refused = [one for one in found if "refused" in one]
    for one in refused:
        assert one["left"] == []
        assert one["refused"].startswith("found ")
        assert ", needed " in one["refused"]
    for one in found:
        assert one.get("rows") == one.get("stored")
    assert EACH * 0.2 < len(refused) < EACH, "mutations that all pass, or all fail, prove little"

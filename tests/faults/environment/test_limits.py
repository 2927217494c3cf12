"""The machine gives too little: memory for the child, or open files."""

from __future__ import annotations

import shutil

import pytest

from tests.faults.environment.outcomes import assert_done
from tests.faults.night import CUTOFF, check_whole

pytestmark = [pytest.mark.tensorflow, pytest.mark.faults, pytest.mark.timeout(1800)]


@pytest.mark.fault("no memory for the child")
def test_a_child_without_memory_costs_the_training_and_not_the_forecast(ground, unbroken):
    end = ground.run("--train.memory_limit", "300")
    assert_baseline(ground, end, "needed at most 300")
    # The run of another spec: its report is its own.
    shutil.rmtree(ground.pipeline / "reports")
    assert_done(ground, unbroken, ground.run())


def assert_baseline(ground, end, *words):
    """The training failed and says why; nothing was promoted, and there is a forecast."""
    assert end.code == 0, end.out[-3000:]
    said = " ".join(end.out.split())
    assert all(word in said for word in ("The retraining failed: found", *words)), said[-3000:]
    assert (ground.pipeline / "forecasts" / f"cutoff={CUTOFF}" / "_manifest.json").exists()
    assert not (ground.pipeline / "champion.json").exists()
    check_whole(ground.pipeline)


@pytest.mark.fault("few open files")
def test_a_limit_of_open_files_costs_the_training_and_not_the_forecast(ground, unbroken):
    end = ground.run(before=("prlimit", "--nofile=24:24"))
    assert_baseline(ground, end, "Too many open files")
    assert_done(ground, unbroken, ground.run(before=("prlimit", "--nofile=64:64")))

"""The night is killed anywhere and run again: it completes, and nobody can tell the difference."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.kills import draw_points, judge_chain, run_chain, run_unbroken
from tests.faults.night import Ground, serve_prefect, write_source

pytestmark = [pytest.mark.tensorflow]
#: Kills of a chain, chains of the long run.
LENGTH, CHAINS = 7, 12

#: One of each kind. A child that dies is tried again after some seconds: each dies once only.
FIRST = (
    {"process": "flow", "after": 1.0, "whom": "flow"},
    {"by": "flow", "first": "rename small/staging/cleaned", "whom": "flow"},
    {"by": "flow", "first": "rename small/tables/", "whom": "both"},
    {"by": "train", "first": "rename small/models/", "whom": "child"},
    {"process": "backtest", "after": 0.5, "whom": "child"},
    {"by": "flow", "first": "rename small/champion.json", "whom": "flow"},
    {"process": "forecast", "after": 0.5, "whom": "child"},
    {"by": "forecast", "first": "/_manifest.json #1", "whom": "both"},
)


@pytest.mark.timeout(900)
@pytest.mark.fault("SIGKILL at 8 named points", tries=8)
def test_a_night_killed_eight_times_ends_as_if_nothing_had_happened(tmp_path):
    source = write_source(tmp_path / "source")
    with serve_prefect(tmp_path / "server") as api, ThreadPoolExecutor() as pool:
        undisturbed = pool.submit(run_unbroken, tmp_path, source, api)
        ground = Ground(tmp_path / "chain", source, api=api)
        chain = run_chain(ground, list(FIRST))
        judge_chain(chain, ground, undisturbed.result())
    assert not chain.faults
    assert len(chain.struck) == len(FIRST)


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kills")
    with serve_prefect(folder / "server") as api:
        yield run_unbroken(folder, write_source(folder / "source"), api)


@pytest.mark.faults
@pytest.mark.timeout(3000)
@pytest.mark.fault("SIGKILL anywhere, by seed")
@pytest.mark.parametrize("seed", range(CHAINS))
def test_a_night_killed_anywhere_ends_as_if_nothing_had_happened(unbroken, tmp_path, seed, tried):
    points = draw_points(unbroken.points, seed, LENGTH)
    # Most nights have a server that is up, as production has; some bring their own.
    api = None if seed % 4 == 3 else unbroken.ground.api
    ground = Ground(tmp_path / "chain", unbroken.ground.source, api=api)
    chain = run_chain(ground, points)
    tried(len(chain.struck))
    judge_chain(chain, ground, unbroken)
    assert not chain.faults
    # A moment by the clock can lie behind the end of its process.
    assert len(chain.struck) >= LENGTH - 2

"""The night is killed anywhere and run again: it completes, and nobody can tell the difference."""

from __future__ import annotations

import pytest

from tests.faults.kills import draw_points, run_chain, run_unbroken
from tests.faults.night import write_source

pytestmark = [pytest.mark.tensorflow]
#: Kills of a chain, chains of the long run.
LENGTH, CHAINS = 6, 12


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kills")
    return run_unbroken(folder, write_source(folder / "source"))


#: One of each kind, the cheap ones before the expensive steps.
FIRST = (
    {"before": "rename small/staging/cleaned", "process": "flow", "whom": "flow"},
    {"before": "rename small/tables/", "process": "flow", "whom": "both"},
    {"process": "train", "after": 0.5, "whom": "child"},
    {"before": "rename small/models/", "process": "train", "whom": "child"},
    {"before": "rename small/reports/", "process": "backtest", "whom": "child"},
    {"before": "rename small/champion.json", "process": "flow", "whom": "flow"},
    {"before": "rename small/forecasts/", "process": "forecast", "whom": "child"},
    {"before": "_manifest.json", "process": "forecast", "whom": "both"},
)


def name_points(points, listed):
    """Replace the beginning of a name by the first full one of the list."""
    named = []
    for point in points:
        if "before" not in point:
            named.append(point)
            continue
        full = next(
            one
            for one in listed
            if point["before"] in one and one.startswith(point["process"]) and "rename" in one
        )
        named.append({"before": full, "whom": point["whom"]})
    return named


@pytest.mark.faults
@pytest.mark.timeout(3000)
@pytest.mark.fault("SIGKILL at 8 named points", tries=8)
def test_a_night_killed_eight_times_ends_as_if_nothing_had_happened(unbroken, tmp_path):
    points = name_points(FIRST, unbroken.points)
    chain = run_chain(unbroken, tmp_path / "chain", points)
    assert not chain.faults
    assert len(chain.struck) == len(points)


@pytest.mark.faults
@pytest.mark.timeout(3000)
@pytest.mark.fault("SIGKILL anywhere, by seed")
@pytest.mark.parametrize("seed", range(CHAINS))
def test_a_night_killed_anywhere_ends_as_if_nothing_had_happened(unbroken, tmp_path, seed, tried):
    points = draw_points(unbroken.points, seed, LENGTH)
    chain = run_chain(unbroken, tmp_path / "chain", points)
    tried(len(chain.struck))
    assert not chain.faults
    # A moment by the clock can lie behind the end of its process.
    assert len(chain.struck) >= LENGTH - 3

"""Two runs meet on one data root: nothing is mixed, and the loser says so in one line."""

from __future__ import annotations

import time

import pytest

from tests.faults.environment.outcomes import assert_done, assert_one_line
from tests.faults.night import check_ledger, check_whole, finish

pytestmark = [pytest.mark.tensorflow, pytest.mark.faults, pytest.mark.timeout(1800)]


def start_two(one, two):
    begun = time.monotonic()
    return [finish(process, begun) for process in (one(), two())]


@pytest.mark.fault("two nightlies at once")
def test_of_two_nightlies_at_once_one_at_least_completes_and_nothing_is_mixed(ground, unbroken):
    ends = start_two(ground.start, ground.start)
    assert 0 in [end.code for end in ends], ends
    for end in ends:
        if end.code:
            assert_one_line(end)
    check_whole(ground.pipeline)
    assert_done(ground, unbroken, ground.run())


@pytest.mark.fault("a backfill beside the nightly")
def test_a_backfill_beside_the_nightly_leaves_both_forecasts_whole(ground):
    days = ("--start", "2013-11-29T00:00Z", "--end", "2013-12-01T00:00Z", "--which", "all")
    ends = start_two(ground.start, lambda: ground.start(*days, flow="backfill"))
    assert 0 in [end.code for end in ends], ends
    for end in ends:
        if end.code:
            assert_one_line(end)
    check_whole(ground.pipeline)
    check_ledger(ground.pipeline)
    again = ground.run(*days, flow="backfill")
    assert again.code == 0, again.out[-3000:]
    found = {path.parent.name for path in ground.pipeline.glob("forecasts/*/_manifest.json")}
    assert {f"cutoff=201311{day}T230000Z" for day in (28, 29, 30)} <= found
    check_whole(ground.pipeline)

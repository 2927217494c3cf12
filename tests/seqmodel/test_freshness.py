"""Only cutoffs that no candidate has learned from count.

challenger    |------ until 100
champion      |----------- until 112
cutoffs                   ^100   ^106   ^112   ^118
compared                                ^112   ^118
"""

from datetime import timedelta

import numpy as np
import pytest

from seqmodel.errors import DataError
from seqmodel.freshness import choose_fresh
from seqmodel.grid import Grid
from seqmodel.store.refs import ModelRef
from tests.seqmodel.small import START

GRID = Grid("h")
BEGIN = 24 * (START - START.replace(year=1970)).days
CUTOFFS = BEGIN + np.array([100, 106, 112, 118])


def model(until, *, recorded=True):
    moment = START + timedelta(hours=until)
    return ModelRef(
        key="k", version=f"until-{until}", fingerprint="f", kind="gru", lookback=3,
        as_of=moment if not recorded else START + timedelta(days=300), parameters=1, seconds=1,
        epochs=1, best_epoch=1, holdout=1, trained_until=moment if recorded else None,
    )  # fmt: skip


def choose(**ends):
    return choose_fresh(GRID, CUTOFFS, {n: model(e) for n, e in ends.items()})


def count(fresh):
    return (fresh.cutoffs - BEGIN).tolist()


def test_all_cutoffs_count_where_training_ended_at_the_first():
    fresh = choose(challenger=100, champion=76)
    assert count(fresh) == [100, 106, 112, 118]
    assert (fresh.notes, fresh.obstacle) == ((), "")


def test_cutoffs_that_the_champion_has_learned_from_are_left_out_and_said():
    fresh = choose(challenger=100, champion=112)
    assert count(fresh) == [112, 118]
    assert fresh.models["champion"].version == "until-112"
    (note,) = fresh.notes
    assert "2 of 4 cutoffs" in note
    assert "until-112 has learned from targets until 2024-01-05 16:00" in note


@pytest.mark.parametrize(("end", "left"), [(101, [106, 112, 118]), (118, [118])])
def test_a_cutoff_counts_from_the_last_target_on(end, left):
    assert count(choose(challenger=100, champion=end)) == left
    assert count(choose(challenger=end)) == left


def test_a_champion_that_knows_every_window_is_not_compared():
    fresh = choose(challenger=100, champion=119)
    assert set(fresh.models) == {"challenger"}
    assert count(fresh) == [100, 106, 112, 118]
    assert "champion until-119 has learned" in fresh.obstacle


def test_a_challenger_that_knows_every_window_is_refused():
    with pytest.raises(DataError, match="found challenger until-119 to have learned"):
        choose(challenger=119)


def test_a_bundle_that_does_not_say_may_have_seen_everything_up_to_its_night():
    silent = model(112, recorded=False)
    fresh = choose_fresh(GRID, CUTOFFS, {"challenger": model(90), "champion": silent})
    assert count(fresh) == [112, 118]

"""Back to an older version, which then serves; what is left never serves again by itself."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest

from seqmodel.errors import StoreError
from seqmodel.store.champion import (
    BASELINE,
    Champion,
    list_rejected,
    read_champion,
    read_journal,
    swap_champion,
)
from seqmodel.store.rolling_back import roll_back
from seqmodel.store.store import Store
from tests.seqmodel.store.stored import NIGHT, damage, elect, write

LATER = NIGHT + timedelta(days=3)


def promote(store, version, expected, night=NIGHT):
    new = Champion(version=version, previous=expected, reason="better", promoted_at=night)
    swap_champion(store, "p", new, expected)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    for i in (1, 2, 3):
        write(store, f"v{i}", NIGHT + timedelta(days=i - 3))
        promote(store, f"v{i}", f"v{i - 1}" if i > 1 else None)
    return store


def back(store, to="previous"):
    return roll_back(store, "p", to, "it failed", LATER)


def test_previous_serves_and_what_it_replaced_is_previous_now(store):
    pointer = back(store)
    assert (pointer.version, pointer.previous) == ("v2", "v1")
    assert elect(store) == ("v2", ())
    assert read_champion(store, "p") == pointer
    assert pointer.promoted_at == NIGHT


def test_what_was_left_does_not_serve_even_when_it_is_asked_for_or_the_others_are_damaged(store):
    back(store)
    version, notes = elect(store, prefer="v3")
    assert version == "v2"
    assert any("v3 is passed over: it was rolled back" in note for note in notes)
    damage(store, "v2")
    assert elect(store)[0] == "v1"


def test_every_move_is_in_the_journal(store):
    back(store)
    moves = [(m.kind, m.left, m.version) for m in read_journal(store, "p")]
    assert moves == [
        ("promoted", None, "v1"),
        ("promoted", "v1", "v2"),
        ("promoted", "v2", "v3"),
        ("rolled back", "v3", "v2"),
    ]
    assert read_journal(store, "p")[-1].moved_at == LATER


def test_two_rollbacks_go_two_versions_back_and_a_third_has_nowhere_to_go(store):
    back(store)
    assert back(store).version == "v1"
    before = store.path("p/champion.json").read_bytes()
    with pytest.raises(StoreError, match=r"champion v1 without a previous version"):
        back(store)
    assert store.path("p/champion.json").read_bytes() == before


def test_a_version_that_was_left_serves_again_when_it_is_named(store):
    back(store)
    assert list_rejected(store, "p") == {"v3"}
    assert back(store, "v3").version == "v3"
    assert list_rejected(store, "p") == {"v2"}
    assert elect(store)[0] == "v3"


def test_the_baseline_serves_after_a_rollback_to_it_and_a_promotion_ends_that(store):
    pointer = back(store, BASELINE)
    assert pointer.version == BASELINE
    version, notes = elect(store)
    assert version is None
    assert any("the baseline serves: it failed" in note for note in notes)
    write(store, "v4", LATER)
    promote(store, "v4", BASELINE, LATER)
    assert elect(store, as_of=LATER)[0] == "v4"


@pytest.mark.parametrize(
    ("to", "says"),
    [("v3", "serving already"), ("v9", "found no "), ("v1", "missing or changed")],
)
def test_a_rollback_that_cannot_be_is_refused_and_moves_nothing(store, to, says):
    damage(store, "v1")
    before = store.path("p/champion.json").read_bytes()
    with pytest.raises(StoreError, match=says):
        back(store, to)
    assert store.path("p/champion.json").read_bytes() == before
    assert len(read_journal(store, "p")) == 3


def test_a_rollback_before_the_first_promotion_is_refused(tmp_path):
    with pytest.raises(StoreError, match="found no champion"):
        back(Store(tmp_path))


def test_of_a_promotion_and_rollbacks_at_once_one_wins_and_the_journal_agrees(store):
    write(store, "v4")
    gate = Barrier(4)

    def move(i):
        gate.wait()
        try:
            promote(store, "v4", "v3") if i == 0 else roll_back(store, "p", "v2", "r", LATER)
        except StoreError as error:
            return str(error)
        return "done"

    with ThreadPoolExecutor(4) as pool:
        ends = list(pool.map(move, range(4)))
    journal = read_journal(store, "p")
    assert ends.count("done") == len(journal) - 3
    assert journal[-1].version == read_champion(store, "p").version
    lefts = [(m.left, m.version) for m in journal]
    assert all(b[0] == a[1] for a, b in zip(lefts, lefts[1:]))  # noqa: B905, RUF007

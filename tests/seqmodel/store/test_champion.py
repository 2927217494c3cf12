"""The pointer moves from where it was believed to be, or not at all."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import pytest

from seqmodel.errors import StoreError
from seqmodel.store.champion import Champion, read_champion, read_journal, swap_champion
from seqmodel.store.store import Store

NOW = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    for i in range(8):
        store.write_json(f"p/models/v{i}/manifest.json", {})
    return store


def pointer(version, previous=None):
    return Champion(version=version, previous=previous, reason="better", promoted_at=NOW)


def test_pointer_is_none_first_and_then_what_was_swapped_in(store):
    assert read_champion(store, "p") is None
    swap_champion(store, "p", pointer("v1"), expected=None)
    swap_champion(store, "p", pointer("v2", "v1"), expected="v1")
    assert read_champion(store, "p") == pointer("v2", "v1")
    names = {"version", "previous", "reason", "promoted_at"}
    assert set(store.read_json("p/champion.json")) == names


@pytest.mark.parametrize("expected", [None, "v2"])
def test_pointer_that_moved_meanwhile_stays(store, expected):
    swap_champion(store, "p", pointer("v1"), expected=None)
    with pytest.raises(StoreError, match="another run promoted meanwhile"):
        swap_champion(store, "p", pointer("v3", expected), expected=expected)
    assert read_champion(store, "p") == pointer("v1")


def test_version_that_is_not_stored_is_not_promoted(store):
    with pytest.raises(StoreError, match="no model version v9"):
        swap_champion(store, "p", pointer("v9"), expected=None)
    assert read_champion(store, "p") is None


def test_of_eight_concurrent_swaps_one_wins(store):
    gate = Barrier(8)

    def swap(i):
        gate.wait()
        try:
            swap_champion(store, "p", pointer(f"v{i}"), expected=None)
        except StoreError:
            return None
        return f"v{i}"

    with ThreadPoolExecutor(8) as pool:
        winners = [v for v in pool.map(swap, range(8)) if v]
    assert len(winners) == 1
    assert read_champion(store, "p").version == winners[0]


def test_lock_held_elsewhere_is_refused_and_the_pointer_stays(store, monkeypatch):
    monkeypatch.setattr(Store.lock.__wrapped__, "__defaults__", (0.05,))
    with store.lock("p/.champion.lock"), pytest.raises(StoreError, match="end the other run"):
        swap_champion(store, "p", pointer("v1"), expected=None)
    assert read_champion(store, "p") is None


@pytest.mark.parametrize("text", ["", "[]", '{"version": "v1"}', '{"version": '])
def test_damaged_pointer_is_refused_and_not_overwritten(store, text):
    path = store.path("p/champion.json")
    path.write_text(text)
    with pytest.raises(StoreError):
        read_champion(store, "p")
    with pytest.raises(StoreError):
        swap_champion(store, "p", pointer("v1"), expected=None)
    assert path.read_text() == text


def test_a_move_whose_run_was_killed_before_the_pointer_is_in_the_journal_once(store):
    swap_champion(store, "p", pointer("v1"), expected=None)
    before = store.path("p/champion.json").read_bytes()
    swap_champion(store, "p", pointer("v2", "v1"), expected="v1")
    store.path("p/champion.json").write_bytes(before)
    swap_champion(store, "p", pointer("v2", "v1"), expected="v1")
    assert [move.version for move in read_journal(store, "p")] == ["v1", "v2"]
    assert read_champion(store, "p") == pointer("v2", "v1")

"""A shuffle that is computed, not stored: still one place for each, and still random."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel.shuffling import Permutation, scramble

KEYS = st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=3).map(tuple)


@given(count=st.integers(1, 5000), key=KEYS)
def test_every_position_comes_exactly_once(count, key):
    order = Permutation(count, key)(np.arange(count))
    np.testing.assert_array_equal(np.sort(order), np.arange(count))


@pytest.mark.parametrize("count", range(1, 40))
def test_the_smallest_counts_are_permuted_too(count):
    order = Permutation(count, (count, 1))(np.arange(count))
    assert sorted(order.tolist()) == list(range(count))


@given(count=st.integers(1, 3000), key=KEYS, cuts=st.lists(st.integers(0, 3000), max_size=5))
def test_the_order_is_the_same_however_it_is_asked_for(count, key, cuts):
    whole = Permutation(count, key)(np.arange(count))
    parts = np.split(np.arange(count), sorted(min(cut, count) for cut in cuts))
    again = np.concatenate([Permutation(count, key)(part) for part in parts])
    np.testing.assert_array_equal(whole, again)
    backwards = Permutation(count, key)(np.arange(count)[::-1])
    np.testing.assert_array_equal(whole, backwards[::-1])


def test_the_positions_asked_for_stay_as_they_are():
    asked = np.arange(50)
    Permutation(50, (1,))(asked)
    np.testing.assert_array_equal(asked, np.arange(50))


def test_another_seed_or_epoch_is_another_order():
    orders = {
        Permutation(100, (seed, epoch))(np.arange(100)).tobytes()
        for seed in range(5)
        for epoch in range(1, 6)
    }
    assert len(orders) == 25


def test_no_windows_have_an_empty_order():
    assert Permutation(0, (1,))(np.arange(0)).tolist() == []


#: Chi-square with 99 degrees of freedom exceeds this once in ten thousand.
LOOSE = 161.0


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_an_early_part_of_an_epoch_is_spread_evenly_over_all_windows(epoch):
    count, drawn = 100_000, 20_000
    order = Permutation(count, (0, epoch))(np.arange(drawn))
    found = np.bincount(order // 1000, minlength=100)
    assert ((found - 200) ** 2 / 200).sum() < LOOSE


def test_neighbours_in_the_order_are_no_neighbours_in_time():
    count = 100_000
    order = Permutation(count, (7, 1))(np.arange(count)).astype(float)
    for distance in (1, 2, 316, 317):  # the sides of the square that positions are written in
        together = np.corrcoef(order[:-distance], order[distance:])[0, 1]
        assert abs(together) < 0.02
    jumps = np.abs(np.diff(order))
    assert np.mean(jumps) == pytest.approx(count / 3, rel=0.02)
    assert np.mean(jumps <= 100) == pytest.approx(2 * 100 / count, abs=0.001)


def test_two_epochs_agree_no_more_often_than_chance():
    count = 10_000
    first, second = (Permutation(count, (3, epoch))(np.arange(count)) for epoch in (1, 2))
    assert (first == second).sum() < 10


def test_over_many_seeds_each_of_a_few_windows_comes_first_equally_often():
    seeds, count = 3000, 10
    firsts = [
        int(Permutation(count, (seed,))(np.zeros(1, dtype=np.int64))[0]) for seed in range(seeds)
    ]
    found = np.bincount(firsts, minlength=count)
    assert ((found - seeds / count) ** 2 / (seeds / count)).sum() < 33.7


@settings(deadline=None)
@given(count=st.integers(2**33, 2**40), seed=st.integers(0, 99))
def test_a_million_million_windows_need_no_list(count, seed):
    sample = np.unique(np.linspace(0, count - 1, 2000).astype(np.int64))
    order = Permutation(count, (seed, 1))(sample)
    assert order.min() >= 0
    assert order.max() < count
    assert len(np.unique(order)) == len(sample)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, unique=True), st.integers(0, 2**64 - 1))
def test_unlike_numbers_have_unlike_hashes_without_a_warning(values, key):
    with np.errstate(all="raise"):
        found = scramble(np.array(values, dtype=np.uint64), key)
    assert len(set(found.tolist())) == len(values)

"""Is a difference of losses more than chance? Against loops, another library, and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from seqmodel import pairing
from seqmodel.pairing import TESTS, average_windows, pair_losses
from seqmodel.pairing import measure_diebold_mariano as dm

FINITE = st.floats(-1e3, 1e3, allow_subnormal=False)


@settings(deadline=None)
@given(st.lists(FINITE, min_size=2, max_size=30).filter(lambda d: np.std(d) > 1e-3))
def test_without_overlap_it_is_the_paired_t_test(differences):
    expected = stats.ttest_1samp(differences, 0, alternative="less").pvalue
    assert dm(np.array(differences), 1) == pytest.approx(expected, rel=1e-9)


def loop_diebold_mariano(d, h):
    """Harvey, Leybourne & Newbold (1997), equation 8 and 9, one step after the other."""
    n, mean = len(d), sum(d) / len(d)
    variance = 0.0
    for k in range(-(h - 1), h):
        for t in range(abs(k), n):
            variance += (d[t] - mean) * (d[t - abs(k)] - mean) / n
    statistic = mean / math.sqrt(variance / n)
    corrected = statistic * math.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    return stats.t(n - 1).cdf(corrected)


@pytest.mark.parametrize("h", [1, 2, 3, 5])
def test_with_overlap_it_is_the_slow_loop(h):
    rng = np.random.default_rng(h)
    noise = rng.normal(-0.2, 1, 40 + h - 1)
    d = np.convolve(noise, np.ones(h) / h, "valid")
    assert dm(d, h) == pytest.approx(loop_diebold_mariano(d, h), rel=1e-9)


@pytest.mark.parametrize("test", TESTS)
@pytest.mark.parametrize("overlap", [1, 3])
def test_equal_candidates_pass_about_as_often_as_the_level_says(test, overlap, monkeypatch):
    monkeypatch.setattr(pairing, "DRAWS", 299)
    rng = np.random.default_rng(3)
    passed = 0
    for _ in range(300):
        noise = rng.normal(size=24 + overlap - 1)
        d = np.convolve(noise, np.ones(overlap), "valid")
        passed += TESTS[test](d, overlap) <= 0.05
    # 15 of 300 expected; blocks of a short series see too little of its spread.
    assert passed <= (27 if test == "diebold_mariano" else 45), passed


@pytest.mark.parametrize("test", TESTS)
def test_a_clear_gain_passes_and_a_loss_never_does(test):
    d = np.random.default_rng(0).normal(-1, 0.5, 14)
    assert TESTS[test](d, 1) < 0.001
    assert TESTS[test](-d, 1) > 0.999


@pytest.mark.parametrize("test", TESTS)
def test_the_same_differences_give_the_same_probability(test):
    d = np.random.default_rng(1).normal(-0.2, 1, 14)
    assert TESTS[test](d, 2) == TESTS[test](d.copy(), 2)


@pytest.mark.parametrize("test", TESTS)
def test_one_difference_says_nothing(test):
    assert math.isnan(TESTS[test](np.array([-1.0]), 1))


@pytest.mark.parametrize(("d", "chance"), [([-1.0] * 5, 0), ([0.0] * 5, 1), ([1.0] * 5, 1)])
def test_without_spread_the_sign_decides(d, chance):
    assert dm(np.array(d), 1) == chance


def test_a_negative_estimate_of_the_variance_is_mended():
    d = np.array([1.0, -1.2, 1.0, -1.2, 1.0, -1.2, 1.0, -1.1])
    centred = d - d.mean()
    assert (centred @ centred + 2 * (centred[1:] @ centred[:-1])) < 0
    assert 0 < dm(d, 2) < 1


def test_a_window_counts_as_the_mean_of_its_observed_steps():
    losses = np.array([[1, 3, np.nan], [np.nan] * 3])
    np.testing.assert_array_equal(average_windows(losses), [2, np.nan])


def pair(mine, others, cutoffs, series, groups=(), **options):
    chosen = {"test": "diebold_mariano", "overlap": 1, **options}
    return pair_losses(
        np.array(mine, dtype=float), np.array(others, dtype=float), np.array(cutoffs),
        np.array(series), groups, **chosen,
    )  # fmt: skip


def grid(cutoffs, series):
    return np.repeat(np.arange(cutoffs), series), np.tile(np.arange(series), cutoffs)


def test_the_cutoffs_are_the_sample_where_there_are_five():
    cutoffs, series = grid(5, 40)
    rng = np.random.default_rng(0)
    mine, others = rng.random((200, 3)), rng.random((200, 3))
    found = pair(mine, others, cutoffs, series)
    assert (found.over, found.pairs, found.windows) == ("cutoffs", 5, 200)
    daily = (mine - others).mean(axis=1).reshape(5, 40).mean(axis=1)
    assert found.chance == pytest.approx(stats.ttest_1samp(daily, 0, alternative="less").pvalue)
    assert found.difference == pytest.approx((mine - others).mean())


def test_series_that_move_together_are_no_proof():
    """A hundred copies of one series are one series."""
    days = np.random.default_rng(5).normal(-0.1, 1, 8)
    cutoffs, series = grid(8, 100)
    one = pair(days[:, None], np.zeros((8, 1)), np.arange(8), np.zeros(8, dtype=int))
    many = pair(days[cutoffs][:, None], np.zeros((800, 1)), cutoffs, series)
    assert many.chance == pytest.approx(one.chance)


def test_with_few_cutoffs_every_window_counts():
    cutoffs, series = grid(2, 9)
    rng = np.random.default_rng(0)
    mine, others = rng.random((18, 2)), rng.random((18, 2))
    found = pair(mine, others, cutoffs, series, overlap=3)
    assert (found.over, found.pairs) == ("windows", 18)
    each = (mine - others).mean(axis=1)
    assert found.chance == pytest.approx(stats.ttest_1samp(each, 0, alternative="less").pvalue)
    assert pair([[1.0]], [[2.0]], [0], [0]).chance is None


def test_windows_that_one_of_the_two_cannot_be_scored_on_are_left_out():
    cutoffs, series = grid(6, 2)
    mine = np.random.default_rng(0).random((12, 2))
    others = mine + 0.1
    others[3] = np.nan
    found = pair(mine, others, cutoffs, series)
    assert found.windows == 11
    assert found.difference == pytest.approx(-0.1)
    nothing = pair(mine * np.nan, others, cutoffs, series)
    assert (nothing.difference, nothing.chance, nothing.pairs) == (None, None, 0)


def test_a_group_that_is_worse_is_found_behind_a_better_mean():
    cutoffs, series = grid(10, 4)
    rng = np.random.default_rng(0)
    others = 1 + 0.01 * rng.random((40, 3))
    mine = others - 0.5
    mine[series == 3] = others[series == 3] * 1.4 + 0.01 * rng.random((10, 3))
    found = pair(mine, others, cutoffs, series, ("a", "a", "a", "b"))
    assert found.chance < 0.01
    a, b = found.groups
    assert (a.group, a.series, b.group, b.series) == ("a", 3, "b", 1)
    assert a.chance > 0.99
    assert b.chance < 0.01
    assert b.loss / b.other == pytest.approx(1.4, abs=0.02)

"""All groups at once equal each group alone."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seqmodel.quantiles import measure_quantiles

VALUES = arrays(np.float64, st.integers(0, 50), elements=st.floats(-1e12, 1e12))
LEVELS = arrays(np.float64, st.integers(1, 5), elements=st.floats(0, 1))


@settings(deadline=None, max_examples=50)
@given(values=VALUES, count=st.integers(1, 6), levels=LEVELS, seed=st.integers(0, 99))
def test_the_quantiles_of_a_group_are_those_of_its_values(values, count, levels, seed):
    groups = np.random.default_rng(seed).integers(0, count, len(values))
    found = measure_quantiles(values, groups, count, levels)
    assert found.shape == (count, len(levels))
    for group in range(count):
        own = values[groups == group]
        wanted = np.quantile(own, levels) if len(own) else np.zeros(len(levels))
        size = np.abs(own).max(initial=0)
        np.testing.assert_allclose(found[group], wanted, rtol=1e-12, atol=1e-12 * size)


@settings(deadline=None, max_examples=50)
@given(values=VALUES, levels=LEVELS, seed=st.integers(0, 99))
def test_the_order_of_the_values_does_not_matter(values, levels, seed):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 3, len(values))
    other = rng.permutation(len(values))
    found = measure_quantiles(values, groups, 3, levels)
    assert measure_quantiles(values[other], groups[other], 3, levels).tobytes() == found.tobytes()


def test_the_outermost_levels_are_minimum_and_maximum_to_the_bit():
    values = np.random.default_rng(0).normal(size=31)
    found = measure_quantiles(values, np.zeros(31, np.int32), 1, np.array([0.0, 1.0]))
    assert found.tolist() == [[values.min(), values.max()]]


def test_equal_values_are_all_their_quantiles_to_the_bit():
    levels = np.linspace(0, 1, 21)
    found = measure_quantiles(np.full(7, 0.1), np.zeros(7, np.int32), 1, levels)
    assert (found == 0.1).all()


def test_no_values_and_no_groups_are_no_fault():
    none = np.zeros(0)
    assert measure_quantiles(none, none.astype(int), 2, np.array([0.5])).tolist() == [[0], [0]]
    assert measure_quantiles(none, none.astype(int), 0, np.array([0.5])).shape == (0, 1)

"""Coverage and width of central intervals."""

import numpy as np
import pytest

from seqmodel.scoring.intervals import measure_intervals, pair_levels


def test_levels_equally_far_from_the_median_make_an_interval():
    assert pair_levels((0.05, 0.1, 0.5, 0.9, 0.95)) == [(0.8, 1, 3), (0.9, 0, 4)]
    assert pair_levels((0.1, 0.5, 0.75)) == []
    assert pair_levels((0.5,)) == []


def test_coverage_counts_both_ends_and_leaves_out_what_is_missing():
    actual = np.array([[1.0, 2.0], [5.0, np.nan], [3.0, 9.0]])
    quantiles = np.tile(np.array([1.0, 2.0, 3.0]), (3, 2, 1))
    (one,) = measure_intervals(quantiles, actual, (0.1, 0.5, 0.9))
    assert one["nominal"] == pytest.approx(0.8)
    assert one["coverage"] == pytest.approx(3 / 5)
    assert one["coverage_by_step"] == pytest.approx([2 / 3, 1 / 2])
    assert one["width"] == 2
    assert one["width_by_step"] == [2, 2]


def test_a_step_without_targets_has_no_coverage():
    quantiles = np.zeros((2, 1, 3))
    (one,) = measure_intervals(quantiles, np.full((2, 1), np.nan), (0.1, 0.5, 0.9))
    assert one["coverage"] is None
    assert one["coverage_by_step"] == [None]

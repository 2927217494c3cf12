"""What a forecast must be to be published."""

import numpy as np
import pytest

from seqmodel.sanity import NOT_ASCENDING, NOT_FINITE, OUT_OF_BOUNDS, judge_forecast, measure_range
from seqmodel.windows import Windows
from tests.seqmodel.small import make_panel

SANE = [[1.0, 2.0, 3.0], [2.0, 2.0, 4.0]]


def judge(second, low=0.0, high=4.0, bound=10.0):
    quantiles = np.array([SANE, second])
    found = judge_forecast(quantiles, np.array([0.0, low]), np.array([4.0, high]), bound)
    assert not any(marks[0] for marks in found.values())
    return [reason for reason, marks in found.items() if marks[1]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_quantile_that_is_not_finite_is_no_forecast(value):
    assert judge([[1.0, 2.0, 3.0], [1.0, 2.0, value]]) == [NOT_FINITE]


def test_quantiles_that_cross_are_no_forecast():
    assert judge([[1.0, 2.0, 3.0], [2.0, 1.0, 3.0]]) == [NOT_ASCENDING]


@pytest.mark.parametrize(("value", "reasons"), [(44.0, []), (44.5, [OUT_OF_BOUNDS])])
def test_what_is_too_far_from_history_is_out_of_bounds(value, reasons):
    assert judge([[1.0, 2.0, 3.0], [1.0, 2.0, value]]) == reasons
    assert judge([[1.0, 2.0, 3.0], [-value, 2.0, 3.0]], low=-4.0, high=3.0) == reasons


def test_without_a_bound_or_without_a_size_nothing_is_out_of_bounds():
    far = [[1.0, 2.0, 1e9], [1.0, 2.0, 3.0]]
    assert judge(far, bound=None) == []
    assert judge(far, low=0.0, high=0.0) == []
    assert judge(far, low=np.nan, high=np.nan) == []


def test_the_range_of_a_series_is_that_of_its_observed_targets():
    panel = make_panel()
    low, high = measure_range(panel, Windows(np.array([0, 0]), np.array([2, 0], dtype=np.int32)))
    for place, series in enumerate([2, 0]):
        own = panel.values["target"][panel.offsets[series] : panel.offsets[series + 1]]
        assert (low[place], high[place]) == (np.nanmin(own), np.nanmax(own))

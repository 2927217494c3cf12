"""Series by size or by a static covariate."""

import numpy as np

from seqmodel.grouping import group_panel, group_series
from tests.seqmodel.small import make_panel


def test_the_groups_of_a_panel_are_measured_up_to_a_moment():
    panel = make_panel()
    assert group_panel(panel, None, panel.cutoff) == ("small", "medium", "large")
    assert group_panel(panel, "site", panel.cutoff) == ("west", "east", "west")
    panel.values["target"][panel.number_of_row > panel.cutoff - 9] = 1e9
    assert group_panel(panel, None, panel.cutoff - 9) == ("small", "medium", "large")


def test_series_are_grouped_by_size_or_by_a_static_covariate():
    sizes = np.array([5.0, np.nan, 1, 9, 7, 3])
    assert group_series(None, sizes) == ("medium", "small", "small", "large", "large", "medium")
    assert group_series(None, sizes[:2]) == ()
    labels = np.array(["x", None, "y"], dtype=object)
    assert group_series(labels, sizes[:3]) == ("x", "missing", "y")
    assert group_series(np.array([1.0, np.nan]), sizes[:2]) == ("1.0", "missing")

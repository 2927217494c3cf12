"""Has a column moved away from training? Against another library, a loop, and planted moves."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from seqmodel.monitoring.drifting import measure_distance, measure_distribution, measure_drift
from seqmodel.specs import MonitorSpec
from tests.seqmodel.rich import SOURCE, make_rich_table
from tests.seqmodel.small import make_panel

SPEC = MonitorSpec()


@pytest.mark.parametrize("seed", range(3))
def test_the_distance_is_that_of_another_library(seed):
    rng = np.random.default_rng(seed)
    one, other = rng.normal(size=80), np.round(rng.normal(0.3, 1.2, 130), 1)
    assert measure_distance(one, other) == pytest.approx(stats.ks_2samp(one, other).statistic)


def describe(values):
    values = np.sort(np.asarray(values, dtype=float))
    kept = np.quantile(values, np.linspace(0, 1, 401)).tolist()
    return {"x": {"values": kept, "rows": len(values)}}


def compare(then, now, **limits):
    (found,) = measure_drift(then, now, MonitorSpec(**limits))
    return found


def test_the_same_distribution_has_not_drifted():
    rng = np.random.default_rng(0)
    found = compare(describe(rng.normal(size=5000)), describe(rng.normal(size=500)))
    assert found.drifted == ""
    assert found.psi < 0.1
    assert found.ks < 0.1


@pytest.mark.parametrize("planted", [lambda x: x + 2, lambda x: 3 * x, lambda x: x * 0])
def test_a_planted_move_is_found(planted):
    rng = np.random.default_rng(0)
    found = compare(describe(rng.normal(size=5000)), describe(planted(rng.normal(size=500))))
    assert found.psi > 0.25
    assert "PSI" in found.drifted


def test_the_index_is_its_loop():
    rng = np.random.default_rng(0)
    then, now = rng.normal(size=4000), rng.normal(0.5, 1, 4000)
    edges = [-math.inf, *np.quantile(then, np.arange(1, 10) / 10), math.inf]
    total = 0.0
    for low, high in pairwise(edges):
        a, b = (np.mean((v > low) & (v <= high)) for v in (now, then))
        total += (a - b) * math.log(a / b)
    assert compare(describe(then), describe(now)).psi == pytest.approx(total, rel=0.03)


def name(**shares):
    return {"x": {"shares": shares, "rows": 100}}


def test_a_category_never_seen_in_training_counts_by_its_rows():
    found = compare(name(a=0.5, b=0.5), name(a=0.5, b=0.4, c=0.1))
    assert found.unseen == pytest.approx(0.1)
    assert "10% never seen" in found.drifted
    assert math.isnan(found.ks)
    assert compare(name(a=0.5, b=0.5), name(a=0.5, b=0.5)).drifted == ""


def test_too_few_values_say_nothing():
    found = compare(describe(np.arange(1000)), describe(np.full(99, 1e9)))
    assert found.drifted == ""
    assert math.isnan(found.psi)


def test_samples_of_one_distribution_hardly_ever_drift_however_small():
    rng = np.random.default_rng(0)
    then = describe(rng.normal(size=300))
    drifted = [compare(then, describe(rng.normal(size=100))).drifted != "" for _ in range(300)]
    assert sum(drifted) <= 6


def test_every_column_of_a_panel_is_described_up_to_a_moment_and_survives_json():
    panel = make_panel(make_rich_table(), SOURCE)
    until = panel.cutoff - 60
    before = measure_distribution(panel, until)
    panel.values["target"][panel.number_of_row > until] = 1e9
    assert measure_distribution(panel, until) == before
    assert {"target", *SOURCE.covariates} <= set(before)
    assert json.loads(json.dumps(before)) == before
    later = measure_distribution(panel, panel.cutoff, until)
    moved = {one.column: one.drifted for one in measure_drift(before, later, SPEC)}
    assert "PSI" in moved["target"]
    assert later["target"]["rows"] <= 3 * 60

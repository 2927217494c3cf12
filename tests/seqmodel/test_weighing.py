"""How much windows count: by their own lookback, never by what is to come."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel.gathering import WindowReader
from seqmodel.rows import Cut
from seqmodel.weighing import LARGEST, weigh_windows
from tests.seqmodel.small import make_spec, store_windows

SEASON = 4


def draw(count=6, steps=24, seed=0):
    """Lookbacks that repeat themselves, each with more noise than the one before."""
    rng = np.random.default_rng(seed)
    wave = np.sin(2 * np.pi * np.arange(steps) / SEASON)
    sizes = 0.1 * 2.0 ** np.arange(count)[:, None]
    return (wave + sizes * rng.normal(size=(count, steps))).astype("float32")


def weigh(how, values, observed=None):
    seen = np.ones_like(values) if observed is None else observed
    return weigh_windows(how, values, seen, SEASON)


def test_even_windows_count_alike():
    np.testing.assert_array_equal(weigh("even", draw()), np.ones(6))


def test_a_window_counts_by_the_inverse_error_of_its_seasonal_naive():
    values = draw()
    error = np.abs(values[:, SEASON:] - values[:, :-SEASON]).mean(axis=1)
    found = weigh("naive", values)
    np.testing.assert_allclose(found * error, (found * error)[0].repeat(6), rtol=1e-5)
    assert found.mean() == pytest.approx(1, abs=1e-6)


def test_mixed_lies_between():
    naive, mixed = weigh("naive", draw()), weigh("mixed", draw())
    assert (np.abs(mixed - 1) <= np.abs(naive - 1) + 1e-6).all()
    np.testing.assert_array_equal(np.argsort(naive), np.argsort(mixed))


@given(st.integers(0, 2**16), st.floats(0.01, 1000), st.floats(-1e4, 1e4))
@settings(max_examples=30, deadline=None)
def test_neither_unit_nor_level_of_all_windows_matters(seed, unit, level):
    values = draw(seed=seed).astype("float64")
    moved = weigh("naive", values * unit + level)
    np.testing.assert_allclose(moved, weigh("naive", values), rtol=1e-3)


@pytest.mark.parametrize("how", ["naive", "mixed"])
def test_missing_and_flat_windows_count_and_none_alone(how):
    values, observed = draw(), np.ones((6, 24), "float32")
    values[0], observed[1], observed[2, ::SEASON] = 7.0, 0.0, 0.0
    values[2, ::SEASON] = np.nan
    found = weigh(how, values, observed)
    assert (np.isfinite(found) & (found > 0) & (found <= LARGEST)).all()
    np.testing.assert_array_equal(weigh(how, values[:1], observed[:1]), [1.0])


def test_a_reader_weighs_observed_targets_and_no_others(tmp_path):
    spec = make_spec(train={"weigh": "naive"})
    stored = store_windows(tmp_path, spec)
    windows = stored.train.all()
    found = stored.reader(spec).read(windows)
    plain = WindowReader(stored.rows, Cut(**{**vars(stored.fitted.cut(spec)), "weigh": "even"}))
    even = plain.read(windows)
    np.testing.assert_array_equal(found.weights == 0, even.weights == 0)
    assert np.ptp(found.weights[found.weights > 0]) > 0
    np.testing.assert_array_equal(found.targets, even.targets)

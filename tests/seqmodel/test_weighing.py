"""How much windows count: by their own lookback, never by what is to come."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel.gathering import WindowReader
from seqmodel.rows import Cut
from seqmodel.scaling import bend
from seqmodel.weighing import LARGEST, Own, weigh_windows
from tests.seqmodel.small import make_spec, store_windows

SEASON, HORIZON = 4, 6


def draw(count=6, steps=24, seed=0):
    """Lookbacks that repeat themselves, each with more noise than the one before."""
    rng = np.random.default_rng(seed)
    wave = np.sin(2 * np.pi * np.arange(steps) / SEASON)
    sizes = 0.1 * 2.0 ** np.arange(count)[:, None]
    return (wave + sizes * rng.normal(size=(count, steps))).astype("float32")


def weigh_steps(how, values, observed=None, transform="none", location=0.0, spread=1.0):
    """N x H weights."""
    seen = np.ones_like(values) if observed is None else observed
    own = Own(transform, *(np.full((len(values), 1), v) for v in (location, spread)))
    return weigh_windows(how, own, values, seen, season=SEASON, horizon=HORIZON)


def weigh(how, values, observed=None):
    """N weights, of a target that no curve bends: the same for all steps of a window."""
    found = weigh_steps(how, values, observed)
    np.testing.assert_allclose(found, found[:, :1].repeat(HORIZON, axis=1), rtol=1e-6)
    return found[:, 0]


def test_even_windows_count_alike():
    np.testing.assert_array_equal(weigh("even", draw()), np.ones(6))


def test_a_window_counts_by_the_inverse_error_of_its_seasonal_naive():
    values = draw()
    error = np.abs(values[:, SEASON:] - values[:, :-SEASON]).mean(axis=1)
    found = weigh("naive", values)
    np.testing.assert_allclose(found * error, (found * error)[0].repeat(6), rtol=1e-5)
    assert found.mean() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("transform", ["log1p", "asinh"])
def test_small_errors_of_a_bent_target_count_as_in_mase_of_the_target_itself(transform):
    rng = np.random.default_rng(1)
    season = np.array([4.0, 10.0, 40.0, 6.0])
    own = np.tile(season, (3, 6)) * np.array([[1.0], [7.0], [40.0]])
    own[:, ::7] *= 1.02  # what a season before was off by
    scaled = (bend(own, transform) - 2.0) / 3.0
    found = weigh_steps("naive", scaled, transform=transform, location=2.0, spread=3.0)
    error = 1e-4 * rng.normal(size=found.shape)
    truth = np.tile(own[:, -SEASON:], (1, 2))[:, :HORIZON]
    off = bend(truth, transform) + 3.0 * error
    apart = np.abs((np.expm1 if transform == "log1p" else np.sinh)(off) - truth)
    naive = np.abs(own[:, SEASON:] - own[:, :-SEASON]).mean(axis=1, keepdims=True)
    ratio = np.abs(error) * found / (apart / naive)
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=0.03)


def test_mixed_lies_between():
    naive, mixed = weigh("naive", draw()), weigh("mixed", draw())
    assert (np.abs(mixed - 1) <= np.abs(naive - 1) + 1e-6).all()
    np.testing.assert_array_equal(np.argsort(naive), np.argsort(mixed))


@pytest.mark.parametrize("lookback", [3, 4, 9])
def test_a_short_or_crooked_lookback_weighs_all_steps(lookback):
    found = weigh_steps("mixed", draw(steps=lookback), transform="asinh")
    assert found.shape == (6, HORIZON)
    assert (np.isfinite(found) & (found > 0)).all()


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

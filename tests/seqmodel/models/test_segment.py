"""The segment network: what it promises of any window."""

from dataclasses import replace

import numpy as np
import pytest

from seqmodel.errors import SpecError
from seqmodel.models.protocol import InputShapes
from seqmodel.specs import ModelSpec, OutputSpec
from tests.seqmodel.models.windows import EVERYTHING, PLAIN, draw_sines, draw_windows, fit, forecast

LAST = {"normalise": "last"}
SEASONAL = {"normalise": "seasonal", "cycle": 8}
ALL_WAYS = pytest.mark.parametrize(
    "knobs", [{"normalise": "none"}, LAST, SEASONAL], ids=lambda knobs: knobs["normalise"]
)


@pytest.fixture(scope="session")
def build():
    import keras

    from seqmodel.models.segment import build_segment

    kept = {}

    def make(shapes=PLAIN, output=None, *, fresh=False, **knobs):
        spec = ModelSpec(kind="segment", units=knobs.pop("units", 6), **knobs)
        output = output or OutputSpec()
        key = (spec, shapes, output)
        if fresh or key not in kept:
            keras.utils.set_random_seed(0)
            kept[key] = build_segment(spec, shapes, output)
        return kept[key]

    return make


@pytest.mark.parametrize("shapes", [PLAIN, EVERYTHING], ids=["plain", "everything"])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_any_shapes_give_windows_by_steps_by_ascending_quantiles(build, shapes, cell):
    model = build(shapes, cell=cell, units=(6, 5), embedding=3, learn_cycle=True, **SEASONAL)
    found = forecast(model, draw_windows(shapes))
    assert found.shape == (4, shapes.horizon, 3)
    assert found.dtype == np.float32
    assert (np.diff(found, axis=-1) >= 0).all()


@pytest.mark.parametrize(
    ("lookback", "horizon", "segment"), [(5, 1, None), (9, 7, 4), (10, 3, 9), (7, 20, 5), (8, 8, 8)]
)
@ALL_WAYS
def test_neither_lookback_nor_horizon_need_be_whole_segments(
    build, knobs, lookback, horizon, segment
):
    shapes = replace(PLAIN, lookback=lookback, horizon=horizon)
    found = forecast(build(shapes, segment=segment, **knobs), draw_windows(shapes))
    assert found.shape == (4, horizon, 3)
    assert np.isfinite(found).all()


def test_a_network_declares_only_the_inputs_that_it_reads(build):
    assert list(build().input) == ["past"]
    assert set(build(embedding=2, learn_cycle=True).input) == {"past", "series", "phase"}


@ALL_WAYS
def test_saved_and_loaded_it_forecasts_the_same(build, knobs, tmp_path):
    import keras

    model = build(EVERYTHING, embedding=3, learn_cycle=True, **knobs)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    windows = draw_windows(EVERYTHING)
    np.testing.assert_array_equal(forecast(loaded, windows), forecast(model, windows))


@ALL_WAYS
@pytest.mark.parametrize("level", [0.0, 3.0, -1e4])
def test_a_constant_window_gives_finite_forecasts_around_it(build, knobs, level):
    windows = draw_windows(PLAIN)
    windows["past"][..., 0] = level
    found = forecast(build(**knobs), windows)
    assert np.isfinite(found).all()
    if knobs["normalise"] != "none":
        assert np.abs(found - level).max() < 5 + 1e-6 * abs(level)


@pytest.mark.parametrize("level", [0.0, 3.0])
def test_a_window_that_never_changes_is_repeated_nearly_as_it_is(build, level):
    windows = draw_windows(PLAIN)
    windows["past"][..., 0] = level
    found = forecast(build(normalise="seasonal"), windows)
    assert np.abs(found - level).max() < 0.05


def draw_gaps():
    """Windows with nothing observed but, in two of them, a few steps or one."""
    windows = draw_windows(PLAIN)
    windows["past"][:] = 0
    windows["past"][0, -3:] = 2.0, 1
    windows["past"][1, 4] = 2.0, 1
    return windows


@ALL_WAYS
def test_windows_without_a_past_give_finite_forecasts(build, knobs):
    assert np.isfinite(forecast(build(**knobs), draw_gaps())).all()


def test_windows_without_a_past_give_finite_gradients(build):
    windows = draw_gaps()
    model = build(output=OutputSpec(kind="point"), fresh=True, learn_cycle=True, **SEASONAL)
    fit(model, windows, np.ones((4, PLAIN.horizon)), steps=1, rate=0.1)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


@pytest.mark.parametrize("knobs", [LAST, SEASONAL], ids=["last", "seasonal"])
def test_a_constant_added_to_the_past_is_added_to_the_forecast(build, knobs):
    windows = draw_windows(PLAIN)
    # Missing steps hold 0 by contract, wherever the values lie.
    windows["past"][:, 3::5] = 0
    windows["past"][0, -1:] = 0
    windows["past"][1, :10] = 0
    found = forecast(build(**knobs), windows)
    windows["past"][..., 0] += 16 * windows["past"][..., 1]
    np.testing.assert_allclose(forecast(build(**knobs), windows), found + 16, atol=1e-4)


@pytest.mark.parametrize("factor", [1e-2, 7.0, 1e4])
def test_normalised_by_the_season_a_scaled_past_gives_a_scaled_forecast(build, factor):
    windows = draw_windows(PLAIN)
    found = forecast(build(**SEASONAL), windows)
    windows["past"][..., 0] *= factor
    np.testing.assert_allclose(
        forecast(build(**SEASONAL), windows), found * factor, rtol=1e-3, atol=1e-4 * factor
    )


@pytest.mark.parametrize("gates", [False, True])
def test_before_training_it_is_near_the_seasonal_naive_forecast(build, gates):
    rng = np.random.default_rng(0)
    windows = draw_windows(PLAIN, count=64)
    # Every second season is higher: the newest is, what follows it is not.
    values = 5 * np.sin(np.arange(24) * np.pi / 2) + 2 * (np.arange(24) % 8 >= 4)
    windows["past"][..., 0] = values + 0.1 * rng.normal(size=(64, 24))
    model = build(output=OutputSpec(kind="point"), units=16, gates=gates, **SEASONAL)
    found = forecast(model, windows)[..., 0]
    newest, ago = np.tile(windows["past"][:, -4:, 0], 2), windows["past"][:, -8:, 0]
    spread = np.abs(np.diff(values.reshape(6, 4), axis=0)).mean()
    expected = (newest + ago) / 2 if gates else newest
    assert np.abs(found - expected).mean() < 0.5 * spread


def test_the_gate_reaches_for_the_season_a_cycle_ago(build):
    # Two seasons in turn: the newest is always the wrong one, the one a cycle ago the right one.
    rng = np.random.default_rng(0)
    windows = draw_windows(PLAIN, count=64)
    pair = rng.normal(size=(64, PLAIN.cycle))
    windows["past"][..., 0] = np.tile(pair, (1, 3))
    model = build(output=OutputSpec(kind="point"), fresh=True, **SEASONAL)
    before = np.abs(forecast(model, windows)[..., 0] - pair).mean()
    fit(model, windows, pair, steps=60, rate=0.03)
    assert np.abs(forecast(model, windows)[..., 0] - pair).mean() < 0.2 * before


def test_a_learned_cycle_is_taken_at_its_phase(build):
    model = build(normalise="none", learn_cycle=True, output=OutputSpec(kind="point"), fresh=True)
    windows = draw_windows(PLAIN)
    course = np.arange(PLAIN.cycle, dtype=np.float32)
    before = forecast(model, windows)
    layer = next(found for found in model.layers if hasattr(found, "course"))
    layer.course.assign(course)
    steps = np.arange(-PLAIN.lookback, PLAIN.horizon)
    rows = course[(windows["phase"] + steps) % PLAIN.cycle]
    windows["past"][..., 0] += rows[:, : PLAIN.lookback]
    found = forecast(model, windows)
    np.testing.assert_allclose(found[..., 0], before[..., 0] + rows[:, PLAIN.lookback :], atol=1e-5)


@pytest.mark.parametrize("name", ["known", "known_codes", "static", "static_codes", "past_codes"])
def test_covariates_are_read(build, name):
    model = build(EVERYTHING, **SEASONAL)
    windows = draw_windows(EVERYTHING)
    found = forecast(model, windows)
    windows[name] = (windows[name] + 1) % 3
    assert not np.allclose(forecast(model, windows), found)


def test_what_is_known_of_a_segment_changes_that_segment_alone(build):
    model = build(EVERYTHING)
    windows = draw_windows(EVERYTHING)
    found = forecast(model, windows)
    windows["known"][:, 5:] += 1
    changed = np.abs(forecast(model, windows) - found).max(axis=(0, 2)) > 0
    assert changed.tolist() == [False] * 4 + [True] * 3


@pytest.mark.parametrize("knobs", [LAST, {"learn_cycle": True, "normalise": "none"}])
def test_counts_that_would_be_moved_are_refused(build, knobs):
    with pytest.raises(SpecError, match="needed counts that nothing is added to"):
        build(output=OutputSpec(kind="negative_binomial"), **knobs)


def test_a_season_as_long_as_the_lookback_is_refused(build):
    with pytest.raises(SpecError, match="found a lookback of 4 steps with a season of 4"):
        build(replace(PLAIN, lookback=4), normalise="seasonal")


def test_it_learns_a_sine_in_seconds(build):
    shapes = InputShapes(lookback=24, horizon=12, features=2, season=12)
    windows, actual = draw_sines()
    model = build(shapes, OutputSpec(kind="point"), fresh=True, units=24, segment=6, dropout=0.0)
    fit(model, windows, actual, steps=150, rate=0.02)
    assert np.abs(forecast(model, windows)[..., 0] - actual).mean() < 0.1

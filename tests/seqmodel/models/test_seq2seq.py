"""The encoder and decoder."""

import numpy as np
import pytest

from seqmodel.models.protocol import InputShapes
from seqmodel.specs import ModelSpec, OutputSpec
from tests.seqmodel.models.windows import (
    EVERYTHING,
    PLAIN,
    draw_sines,
    draw_windows,
    fit,
    forecast,
)


@pytest.fixture(scope="session")
def build():
    import keras

    from seqmodel.models.seq2seq import build_seq2seq

    def make(shapes=PLAIN, output=None, **knobs):
        keras.utils.set_random_seed(0)
        spec = ModelSpec(kind="seq2seq", **{"units": 8, **knobs})
        return build_seq2seq(spec, shapes, output or OutputSpec())

    return make


@pytest.mark.parametrize(
    ("shapes", "attention", "cell"),
    [(PLAIN, False, "lstm"), (EVERYTHING, False, "gru"), (EVERYTHING, True, "lstm")],
)
def test_saved_and_loaded_it_forecasts_the_same(build, shapes, attention, cell, tmp_path):
    import keras

    model = build(shapes, cell=cell, attention=attention, units=(8, 6), embedding=3)
    windows = draw_windows(shapes)
    found = forecast(model, windows)
    assert found.shape == (4, shapes.horizon, 3)
    assert np.isfinite(found).all()
    assert (np.diff(found, axis=-1) >= 0).all()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(forecast(loaded, windows), found)


def test_a_network_declares_only_the_inputs_that_it_reads(build):
    assert list(build().input) == ["past"]
    assert set(build(embedding=2).input) == {"past", "series"}


@pytest.mark.parametrize("name", ["known", "known_codes", "static", "static_codes", "past_codes"])
def test_covariates_are_read(build, name):
    model, windows = build(EVERYTHING), draw_windows(EVERYTHING)
    found = forecast(model, windows)
    windows[name] = (windows[name] + 1) % 3
    assert not np.allclose(forecast(model, windows), found)


def test_what_is_known_of_a_step_says_nothing_of_the_steps_before(build):
    model, windows = build(EVERYTHING, attention=True), draw_windows(EVERYTHING)
    found = forecast(model, windows)
    windows["known"][:, 5:] += 1
    changed = np.abs(forecast(model, windows) - found).max(axis=(0, 2)) > 0
    assert changed.tolist() == [False] * 5 + [True] * 2


def test_it_learns_a_sine_in_seconds(build):
    shapes = InputShapes(lookback=24, horizon=12, features=2, season=12)
    windows, actual = draw_sines()
    model = build(shapes, OutputSpec(kind="point"), units=16, dropout=0.0)
    fit(model, windows, actual, steps=120, rate=0.03)
    assert np.abs(forecast(model, windows)[..., 0] - actual).mean() < 0.1

"""The Transformer over segments."""

import numpy as np
import pytest

from seqmodel.errors import SpecError
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

    from seqmodel.models.attention import build_attention

    def make(shapes=PLAIN, output=None, **knobs):
        keras.utils.set_random_seed(0)
        spec = ModelSpec(kind="attention", **{"units": 8, "heads": 2, **knobs})
        return build_attention(spec, shapes, output or OutputSpec())

    return make


@pytest.mark.parametrize(
    ("shapes", "normalise"), [(PLAIN, "none"), (EVERYTHING, "last"), (EVERYTHING, "seasonal")]
)
def test_saved_and_loaded_it_forecasts_the_same(build, shapes, normalise, tmp_path):
    import keras

    model = build(shapes, normalise=normalise, layers=2, embedding=3, cycle=8, learn_cycle=True)
    windows = draw_windows(shapes)
    found = forecast(model, windows)
    assert found.shape == (4, shapes.horizon, 3)
    assert np.isfinite(found).all()
    assert (np.diff(found, axis=-1) >= 0).all()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(forecast(loaded, windows), found)


def test_a_past_moved_and_scaled_gives_a_forecast_moved_and_scaled(build):
    model, windows = build(normalise="seasonal", cycle=8), draw_windows(PLAIN)
    found = forecast(model, windows)
    windows["past"][..., 0] = 7 * windows["past"][..., 0] + 30
    np.testing.assert_allclose(forecast(model, windows), 7 * found + 30, rtol=1e-3, atol=1e-3)


def test_windows_without_a_past_give_finite_forecasts(build):
    windows = draw_windows(PLAIN)
    windows["past"][:] = 0
    assert np.isfinite(forecast(build(normalise="seasonal"), windows)).all()


@pytest.mark.parametrize("name", ["known", "known_codes", "static", "static_codes", "past_codes"])
def test_covariates_are_read(build, name):
    model, windows = build(EVERYTHING), draw_windows(EVERYTHING)
    found = forecast(model, windows)
    windows[name] = (windows[name] + 1) % 3
    assert not np.allclose(forecast(model, windows), found)


def test_layers_of_different_widths_are_refused(build):
    with pytest.raises(SpecError, match=r"found model\.units \[8, 4\]"):
        build(units=(8, 4))


def test_it_learns_a_sine_in_seconds(build):
    shapes = InputShapes(lookback=24, horizon=12, features=2, season=12)
    windows, actual = draw_sines()
    model = build(shapes, OutputSpec(kind="point"), units=16, segment=6, dropout=0.0)
    fit(model, windows, actual, steps=150, rate=0.01)
    assert np.abs(forecast(model, windows)[..., 0] - actual).mean() < 0.1

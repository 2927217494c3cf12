"""The mean of the newest weights, and the weights at the end."""

import numpy as np
import pytest

from seqmodel.store.store import Store
from seqmodel.training import fit_model
from seqmodel.training.keeping import Keeper
from tests.seqmodel.small import ignore_progress, make_spec, store_windows


@pytest.fixture(autouse=True)
def without_xla(monkeypatch):
    """Compiling takes most of the time of a fit this small; the end-to-end tests keep it."""
    import keras

    compile_model = keras.Model.compile
    monkeypatch.setattr(
        keras.Model, "compile", lambda *a, **k: compile_model(*a, **{**k, "jit_compile": False})
    )


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return store_windows(tmp_path_factory.mktemp("root"), make_spec())


def fit(stored, keeper=None, progress=ignore_progress, **train):
    chosen = {"epochs": 3, "batch_size": 32, "windows_per_epoch": 96, "patience": 9, **train}
    return fit_model(stored, make_spec(train=chosen), progress, keeper=keeper)


@pytest.fixture(scope="module")
def steps(stored):
    """The weights after each training step, without a mean."""
    from seqmodel.training import stepping

    found = []

    def make_step(model, *, compiled):
        step = stepping._make_direct_step(model) if compiled else None
        assert step

        def watched(inputs, batch):
            loss = step(inputs, batch)
            found.append(model.get_weights())
            return loss

        return watched

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stepping, "make_step", make_step)
        fit(stored)
    return found


@pytest.mark.tensorflow
def test_the_weights_are_an_exponential_mean_over_the_steps(stored, steps):
    fitted = fit(stored, average=4, keep="last")
    mean = steps[0]
    for weights in steps[1:]:
        mean = [0.75 * old + 0.25 * new for old, new in zip(mean, weights, strict=True)]
    for found, expected in zip(fitted.model.get_weights(), mean, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.tensorflow
def test_the_last_weights_are_kept_whatever_the_holdout_says(stored, steps):
    fitted = fit(stored, keep="last", patience=1)
    assert len(fitted.history) == fitted.best_epoch == 3
    for found, expected in zip(fitted.model.get_weights(), steps[-1], strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_killed_training_takes_its_mean_up_again(stored, tmp_path, monkeypatch):
    def kill(figures):
        if figures["epoch"] == 3:
            raise KeyboardInterrupt

    keeper = Keeper(Store(tmp_path), "small/staging/training/mean.npz")
    monkeypatch.setattr("seqmodel.training.fitting.REPORT_EVERY", 0.0)
    with pytest.raises(KeyboardInterrupt):
        fit(stored, keeper, kill, average=4)
    resumed = fit(stored, keeper, average=4)
    assert resumed.resumed == (3, 0)
    whole = fit(stored, average=4)
    for found, expected in zip(resumed.model.get_weights(), whole.model.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)

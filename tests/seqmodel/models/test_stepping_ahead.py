"""Steps into many futures are those of the cell itself, one by one."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from seqmodel.models.cells import LAYERS
from seqmodel.models.stepping_ahead import StepAhead

N, T, M, F, U = 4, 5, 3, 6, 6


def draw(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


@pytest.fixture(params=["gru", "lstm"])
def layer(request):
    made = StepAhead(request.param, U)
    made.build((None, T, F), (None, M, F))
    # A bias of zeros would hide that there are two of them.
    for weight in made.weights:
        weight.assign(draw(*weight.shape))
    return made


def walk(layer, past, future):
    """Each future appended to the past, read by the Keras layer of the same weights."""
    plain = LAYERS[layer.cell].__mro__[1](U)
    plain.build((None, T + 1, F))
    plain.set_weights(layer.get_weights())
    whole = [np.concatenate([past, future[:, m : m + 1]], axis=1) for m in range(M)]
    return np.stack([keras.ops.convert_to_numpy(plain(one)) for one in whole], axis=1)


def test_each_future_is_one_more_step_of_the_past(layer):
    past, future = draw(N, T, F), draw(N, M, F)
    _, found = layer(past, future)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(found), walk(layer, past, future), atol=1e-5
    )


def test_a_future_that_all_windows_share_is_broadcast(layer):
    past, future = draw(N, T, F), draw(1, M, F)
    _, shared = layer(past, future)
    _, each = layer(past, np.repeat(future, N, axis=0))
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(shared), keras.ops.convert_to_numpy(each), atol=1e-6
    )


@pytest.mark.parametrize("deeper", [True, False])
def test_what_is_said_of_the_past_suits_a_layer_above(deeper):
    read, future = StepAhead("gru", U, deeper=deeper)(draw(N, T, F), draw(N, M, F))
    assert tuple(read.shape) == ((N, T, U) if deeper else (N, U))
    assert tuple(future.shape) == (N, M, U)


def test_saved_and_loaded_it_is_the_same(tmp_path):
    past, future = keras.Input((T, F)), keras.Input((M, F))
    model = keras.Model([past, future], StepAhead("lstm", U)(past, future)[1])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    arrays = [draw(N, T, F), draw(N, M, F)]
    np.testing.assert_array_equal(loaded.predict_on_batch(arrays), model.predict_on_batch(arrays))

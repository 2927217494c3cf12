"""The direct step and Keras's own learn the same, to the last bit."""

import keras
import numpy as np
import pytest

from seqmodel.gathering import Batch
from seqmodel.models.outputs.point import PointLoss
from seqmodel.training.optimising import use_precision
from seqmodel.training.stepping import make_step

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="elsewhere there is one way only"
)


def make_model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 2), name="past")
    hidden = keras.layers.GRU(8, kernel_regularizer=keras.regularizers.L2(0.1))(inputs)
    hidden = keras.layers.Dropout(0.5)(hidden)
    outputs = keras.layers.Reshape((3, 1))(keras.layers.Dense(3, dtype="float32")(hidden))
    model = keras.Model({"past": inputs}, outputs)
    optimiser = keras.optimizers.Adam(1e-2, clipnorm=1.0)
    # One network for both steps, so both compiled or neither.
    model.compile(optimiser, PointLoss("mae"), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    return model


def make_batches():
    rng = np.random.default_rng(0)
    for _ in range(4):
        past = rng.normal(size=(16, 6, 2)).astype(np.float32)
        targets = rng.normal(size=(16, 3)).astype(np.float32)
        weights = (rng.random((16, 3)) > 0.3).astype(np.float32)
        yield {"past": past}, Batch({"past": past}, targets, weights, None)


def list_variables(model):
    return [*model.variables, *model.optimizer.variables]


def learn(*, compiled):
    model = make_model()
    step = make_step(model, compiled=compiled)
    losses = [step(*pair) for pair in make_batches()]
    return losses, [np.array(v) for v in list_variables(model)]


@on_tensorflow
@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_both_steps_change_every_variable_alike(precision):
    with use_precision(precision):
        direct, plain = learn(compiled=True), learn(compiled=False)
    np.testing.assert_array_equal(direct[0], plain[0])
    assert len(direct[1]) == len(plain[1])
    for one, other in zip(direct[1], plain[1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_was_kept_between_two_steps_goes_on_as_if_nothing_had_been():
    losses, whole = learn(compiled=True)
    first, second = make_model(), make_model()
    pairs = list(make_batches())
    before = [make_step(first, compiled=True)(*pair) for pair in pairs[:2]]
    step = make_step(second, compiled=True)
    # The step is traced before the variables are set: it must read them anew.
    step(*pairs[3])
    for own, kept in zip(list_variables(second), list_variables(first), strict=True):
        own.assign(np.array(kept))
    assert before + [step(*pair) for pair in pairs[2:]] == losses
    for variable, expected in zip(list_variables(second), whole, strict=True):
        np.testing.assert_array_equal(np.array(variable), expected)

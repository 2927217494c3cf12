"""The direct step and Keras's own learn the same, to the last bit; parts of a batch to rounding."""

import keras
import numpy as np
import pytest

from seqmodel.gathering import Batch
from seqmodel.models.endings.point import PointLoss
from seqmodel.training import stepping
from seqmodel.training.optimising import use_precision
from seqmodel.training.stepping import make_step
from tests.seqmodel.models.cases import KINDS, build

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


#: Windows that make two parts at least.
WIDE = 128


def make_wide(*, dropout):
    keras.utils.set_random_seed(1)
    past = keras.Input((6, 2), name="past")
    series = keras.Input((1,), dtype="int32", name="series")
    known = keras.layers.Flatten()(keras.layers.Embedding(5, 3)(series))
    hidden = keras.layers.GRU(8, kernel_regularizer=keras.regularizers.L2(0.1))(past)
    hidden = keras.layers.Dropout(dropout)(hidden) if dropout else hidden
    hidden = keras.layers.concatenate([hidden, known])
    outputs = keras.layers.Reshape((3, 1))(keras.layers.Dense(3, dtype="float32")(hidden))
    model = keras.Model({"past": past, "series": series}, outputs)
    # Adam would make a whole step of a gradient that is nothing but rounding.
    optimiser = keras.optimizers.SGD(0.5, momentum=0.9, clipnorm=1.0)
    model.compile(optimiser, PointLoss("mae"), jit_compile=True)
    model.optimizer.build(model.trainable_variables)
    return model


def make_wide_batches():
    rng = np.random.default_rng(0)
    for _ in range(4):
        past = rng.normal(size=(WIDE, 6, 2)).astype(np.float32)
        series = rng.integers(0, 5, (WIDE, 1)).astype(np.int32)
        targets = rng.normal(size=(WIDE, 3)).astype(np.float32)
        weights = (rng.random((WIDE, 3)) > 0.3).astype(np.float32)
        inputs = {"past": past, "series": series}
        yield inputs, Batch(inputs, targets, weights, None)


def learn_wide(patch, parts, dropout=0.0):
    patch.setattr(stepping, "_count_cores", lambda _: parts)
    model = make_wide(dropout=dropout)
    step = make_step(model, compiled=True)
    losses = [step(*pair) for pair in make_wide_batches()]
    return losses, [(v.name, np.array(v)) for v in list_variables(model)]


@on_tensorflow
@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
@pytest.mark.parametrize("parts", [2, 4])
def test_parts_side_by_side_learn_what_the_whole_batch_does(precision, parts, monkeypatch):
    """Also of an embedding, of a penalty of the weights, and of targets that are missing."""
    with use_precision(precision):
        whole, cut = learn_wide(monkeypatch, 1), learn_wide(monkeypatch, parts)
    close = 1e-5 if precision == "float32" else 5e-3
    np.testing.assert_allclose(cut[0], whole[0], rtol=close)
    assert whole[0][-1] < 0.95 * whole[0][0]
    for (name, found), (_, expected) in zip(cut[1], whole[1], strict=True):
        np.testing.assert_allclose(found, expected, rtol=close, atol=close, err_msg=name)


@on_tensorflow
def test_with_dropout_parts_give_one_result_and_move_the_seeds_on_as_the_whole_does(monkeypatch):
    whole = learn_wide(monkeypatch, 1, dropout=0.5)[1]
    first, second = (learn_wide(monkeypatch, 2, dropout=0.5) for _ in range(2))
    assert first[0] == second[0]
    seeds = []
    for (name, found), (_, again), (_, once) in zip(first[1], second[1], whole, strict=True):
        np.testing.assert_array_equal(found, again, err_msg=name)
        if name == stepping.SEED:
            np.testing.assert_array_equal(found, once)
            seeds.append(found)
    assert seeds


@on_tensorflow
def test_each_part_drops_other_inputs(monkeypatch):
    """Equal halves with equal masks would make the mean of one half alone."""
    losses = []
    for parts in (1, 2):
        monkeypatch.setattr(stepping, "_count_cores", lambda _, parts=parts: parts)
        keras.utils.set_random_seed(0)
        past = keras.Input((400,), name="past")
        outputs = keras.layers.Reshape((1, 1))(
            keras.layers.Dense(1, kernel_initializer="ones")(keras.layers.Dropout(0.5)(past))
        )
        model = keras.Model({"past": past}, outputs)
        model.compile(keras.optimizers.SGD(0.0), PointLoss("mse"), jit_compile=True)
        model.optimizer.build(model.trainable_variables)
        inputs = {"past": np.ones((WIDE if parts == 2 else WIDE // 2, 400), np.float32)}
        size = len(inputs["past"])
        zeros, ones = np.zeros((size, 1), np.float32), np.ones((size, 1), np.float32)
        losses.append(make_step(model, compiled=True)(inputs, Batch(inputs, zeros, ones, None)))
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


@on_tensorflow
@pytest.mark.parametrize("kind", KINDS)
def test_every_network_of_the_registry_can_be_trained_in_parts(kind):
    """What changes in training beside weights and seeds would forbid it."""
    model = build(kind, dropout=0.2)
    assert {v.name for v in model.non_trainable_variables} == {stepping.SEED}

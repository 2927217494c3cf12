"""The quick layers are Keras' layers: outputs, gradients, files, wrappers."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from keras import layers

from seqmodel.models import fast, recurrence

PAIRS = [(fast.FastGRU, layers.GRU), (fast.FastLSTM, layers.LSTM)]
KINDS = pytest.mark.parametrize("pair", PAIRS, ids=["gru", "lstm"])
N, L, F, U = 64, 7, 3, 5


def make_inputs(windows=N):
    rng = np.random.default_rng(0)
    return tf.constant(rng.normal(size=(windows, L, F)), "float32")


def make_pair(pair, **knobs):
    quick, plain = (cls(U, bias_initializer="random_normal", **knobs) for cls in pair)
    quick.build((N, L, F))
    plain.build((N, L, F))
    plain.set_weights(quick.get_weights())
    return quick, plain


def differentiate(layer, inputs, *, compiled=True, states=None, training=False):
    """Return the outputs and the gradients of inputs, states and weights, flat."""
    states = states or []

    @tf.function(jit_compile=compiled)
    def run(inputs, *states):
        with tf.GradientTape() as tape:
            tape.watch([inputs, *states])
            found = layer(inputs, initial_state=list(states) or None, training=training)
            found = found if isinstance(found, (list, tuple)) else [found]
            # Squares, and each output its own factor: every element's gradient differs.
            loss = sum((i + 1) * tf.reduce_sum(f * f + f) for i, f in enumerate(found))
        sources = [inputs, *states, *(w.value for w in layer.trainable_weights)]
        return list(found), tape.gradient(loss, sources)

    outputs, gradients = run(inputs, *states)
    return [np.asarray(o) for o in outputs], [np.asarray(g) for g in gradients]


def assert_same(quick, plain, inputs, **how):
    ours, our_gradients = differentiate(quick, inputs, **how)
    theirs, their_gradients = differentiate(plain, inputs, **how)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    for a, b in zip(our_gradients, their_gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(b).max())


@pytest.fixture
def counted(monkeypatch):
    """Count the calls of the quick way, each with its number of parts."""
    calls = []

    def count(cell, kernel, recurrent, bias, inputs, states, **knobs):
        calls.append(len(inputs))
        return recurrence.run_parts(cell, kernel, recurrent, bias, inputs, states, **knobs)

    monkeypatch.setattr(fast, "run_parts", count)
    return calls


@KINDS
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(
    "knobs",
    [
        {},
        pytest.param({"return_sequences": True}, marks=pytest.mark.long),
        pytest.param({"return_state": True}, marks=pytest.mark.long),
        {"return_sequences": True, "return_state": True, "go_backwards": True},
        pytest.param({"go_backwards": True, "use_bias": False}, marks=pytest.mark.long),
    ],
    ids=str,
)
def test_outputs_and_gradients_are_those_of_keras(pair, knobs, compiled, counted):
    quick, plain = make_pair(pair, **knobs)
    assert_same(quick, plain, make_inputs(), compiled=compiled)
    assert counted


@KINDS
@pytest.mark.parametrize("sequences", [True, False])
def test_an_initial_state_is_read_and_has_a_gradient(pair, sequences, counted):
    quick, plain = make_pair(pair, return_sequences=sequences, return_state=True)
    rng = np.random.default_rng(1)
    states = [tf.constant(rng.normal(size=(N, U)), "float32") for _ in quick.state_size]
    assert_same(quick, plain, make_inputs(), states=states)
    assert counted


@KINDS
@pytest.mark.parametrize("parts", [1, 2, 4])
def test_parts_change_nothing(pair, parts, monkeypatch, counted):
    monkeypatch.setattr(fast, "count_parts", lambda _: parts)
    quick, plain = make_pair(pair, return_sequences=True)
    assert_same(quick, plain, make_inputs())
    assert counted == [parts]


@KINDS
def test_dropout_draws_the_same_as_keras(pair, counted):
    for training in (True, False):
        quick, plain = make_pair(pair, dropout=0.4, seed=3)
        assert_same(quick, plain, make_inputs(), training=training)
    assert counted


@KINDS
@pytest.mark.parametrize(
    "knobs",
    [
        {"recurrent_dropout": 0.2, "seed": 1},
        {"activation": "relu"},
        {"recurrent_activation": "hard_sigmoid"},
        {"unroll": True},
        {"dtype": "mixed_bfloat16"},
    ],
    ids=str,
)
def test_other_knobs_take_the_way_of_keras(pair, knobs, counted):
    quick, plain = make_pair(pair, **knobs)
    for training in (True, False):
        ours, theirs = (np.asarray(f(make_inputs(), training=training)) for f in (quick, plain))
        np.testing.assert_array_equal(ours.astype("float32"), theirs.astype("float32"))
    assert not counted


def test_a_reset_before_the_product_takes_the_way_of_keras(counted):
    quick, plain = make_pair(PAIRS[0], reset_after=False)
    np.testing.assert_array_equal(quick(make_inputs()), plain(make_inputs()))
    assert not counted


@KINDS
def test_masks_take_the_way_of_keras(pair, counted):
    quick, plain = make_pair(pair)
    mask = np.arange(L)[None, :] < np.arange(N)[:, None] % L + 1
    ours, theirs = (f(make_inputs(), mask=tf.constant(mask)) for f in (quick, plain))
    np.testing.assert_array_equal(ours, theirs)
    assert not counted


def make_model(cls):
    keras.utils.set_random_seed(5)
    inputs = keras.Input((L, F))
    x = layers.Bidirectional(cls(U, return_sequences=True))(inputs)
    x = cls(U)(x)
    model = keras.Model(inputs, layers.Dense(2)(x))
    model.compile(keras.optimizers.Adam(0.01, clipnorm=1.0), "mae", jit_compile=True)
    return model


def train(model):
    targets = np.random.default_rng(2).normal(size=(N, 2)).astype("float32")
    return [float(model.train_on_batch(make_inputs(), targets)) for _ in range(4)]


@pytest.mark.long
@KINDS
def test_stacked_and_bidirectional_training_follows_keras(pair, counted):
    ours, theirs = (train(make_model(cls)) for cls in pair)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert len(counted) >= 3


@KINDS
def test_a_saved_model_comes_back_as_the_same_layers(pair, tmp_path):
    model = make_model(pair[0])
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras", safe_mode=True)
    assert isinstance(again.layers[2], pair[0])
    assert isinstance(again.layers[1].forward_layer, pair[0])
    np.testing.assert_array_equal(
        again.predict_on_batch(make_inputs()), model.predict_on_batch(make_inputs())
    )


@KINDS
def test_keras_layers_take_the_configuration_and_the_weights(pair):
    quick, _ = make_pair(pair, return_sequences=True)
    plain = pair[1].from_config(quick.get_config())
    plain.build((N, L, F))
    plain.set_weights(quick.get_weights())
    np.testing.assert_allclose(quick(make_inputs()), plain(make_inputs()), atol=1e-5)


@KINDS
def test_a_stateful_layer_remembers(pair):
    quick, plain = make_pair(pair, stateful=True)
    for _ in range(2):
        ours, theirs = quick(make_inputs()), plain(make_inputs())
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@KINDS
def test_one_seed_gives_one_result(pair):
    layer, _ = make_pair(pair, return_sequences=True)
    (ours, gradients), (again, repeated) = (differentiate(layer, make_inputs()) for _ in range(2))
    for a, b in zip(ours + gradients, again + repeated, strict=True):
        np.testing.assert_array_equal(a, b)

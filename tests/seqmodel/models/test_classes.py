"""What every network of the registry promises of a target that is a class."""

from dataclasses import replace
from functools import cache

import keras
import numpy as np
import pytest

from seqmodel.models.cells import make_recurrent
from seqmodel.models.inputs import make_inputs, read_past
from seqmodel.models.outputs import CLASS_HEADS, choose_head
from seqmodel.models.padding import TurnRows, mark_present
from seqmodel.models.protocol import InputShapes
from seqmodel.specs import ModelSpec, OutputSpec
from tests.seqmodel.models.cases import FULL, KINDS, build_seeded, change, feed, make_arrays, say

every_kind = pytest.mark.parametrize("kind", KINDS)
every_output = pytest.mark.parametrize("output", CLASS_HEADS)
#: The target's own past is the first of the codes.
CLASSES = {"binary": 2, "categorical": 3}
SHAPES = {
    output: replace(FULL, classes=k, past_cardinalities=(k + 1, *FULL.past_cardinalities))
    for output, k in CLASSES.items()
}
#: Rows that each window has.
LENGTHS = (8, 5, 3, 1)


def build(kind, output, shapes=None, seed=0, **knobs):
    spec = ModelSpec(kind=kind, **{"units": 6, "dropout": 0.0, **knobs})
    return build_seeded(spec, shapes or SHAPES[output], OutputSpec(kind=output), seed)


@cache
def share(kind, output):
    return build(kind, output)


def pad(arrays, lookback, lengths=LENGTHS):
    """The same sequences in windows of another lookback, on the right of their padding."""
    found = dict(arrays)
    for name in ("past", "past_codes"):
        newest = arrays[name][:, -min(lookback, arrays[name].shape[1]) :]
        wide = np.zeros((len(newest), lookback, newest.shape[2]), newest.dtype)
        for window, length in enumerate(lengths):
            wide[window, lookback - length :] = newest[window, newest.shape[1] - length :]
            if name == "past":
                wide[window, lookback - length :, 1] = 1
        found[name] = wide
    return found


def make_sequences(output, lookback=FULL.lookback, seed=0):
    """Windows of unequal length."""
    return pad(make_arrays(SHAPES[output], len(LENGTHS), seed), lookback)


@every_kind
@every_output
def test_a_model_says_probabilities_in_float32(kind, output):
    raw = say(share(kind, output), make_sequences(output))
    head = choose_head(OutputSpec(kind=output), CLASSES[output])
    assert raw.shape == (len(LENGTHS), FULL.horizon, head.width)
    assert raw.dtype == np.float32
    found = head.say(raw)
    assert (
        found.shape
        == (len(LENGTHS), FULL.horizon, CLASSES[output])
        == (*raw.shape[:2], head.columns)
    )
    np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-12)
    assert (found >= 0).all()


@every_kind
@every_output
def test_a_class_model_saved_and_loaded_safely_says_exactly_the_same(kind, output, tmp_path):
    model, path = share(kind, output), tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path, compile=False, safe_mode=True)
    arrays = make_sequences(output)
    assert say(model, arrays).tobytes() == say(loaded, arrays).tobytes()


VARIANTS = {
    "lookback and horizon of 1": (1, 1),
    "a horizon beyond the lookback": (4, 9),
}


@every_kind
@every_output
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_class_model_works_with(kind, output, variant):
    lookback, horizon = VARIANTS[variant]
    shapes = InputShapes(lookback, horizon, 2, past_cardinalities=(3,), classes=CLASSES[output])
    head = choose_head(OutputSpec(kind=output), CLASSES[output])
    found = head.say(say(build(kind, output, shapes), make_arrays(shapes)))
    assert found.shape == (3, horizon, CLASSES[output])
    np.testing.assert_allclose(found.sum(axis=-1), 1)


@every_kind
@every_output
def test_a_seed_gives_a_class_model_and_another_seed_another(kind, output):
    arrays = make_sequences(output)
    found = [say(build(kind, output, seed=seed), arrays).tobytes() for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


@every_kind
@every_output
def test_a_batch_of_sequences_says_what_each_says_alone_whatever_came_before(kind, output):
    model, arrays = share(kind, output), make_sequences(output)
    together = say(model, arrays)
    for n in reversed(range(len(LENGTHS))):
        alone = say(model, {name: array[n : n + 1] for name, array in arrays.items()})
        np.testing.assert_allclose(alone[0], together[n], rtol=1e-5, atol=1e-6)
    assert say(model, arrays).tobytes() == together.tobytes()


@every_kind
@every_output
def test_every_input_that_a_class_model_declares_reaches_its_probabilities(kind, output):
    model, arrays = share(kind, output), make_sequences(output)
    before = say(model, arrays)
    for name in feed(model, arrays):
        after = say(model, {**arrays, name: change(arrays[name], name)})
        assert not np.array_equal(before, after), name


DEEP = [
    *[(kind, {}) for kind in KINDS],
    *[(kind, {"layers": 2}) for kind in KINDS],
    *[
        (kind, {"layers": 2, "bidirectional": True, "layer_normalization": True, "residual": True})
        for kind in ("gru", "lstm", "rnn")
    ],
    ("seq2seq", {"attention": True, "cell": "lstm"}),
    ("segment", {"segment": 3, "cell": "lstm"}),
    ("attention", {"segment": 3}),
]


@pytest.mark.parametrize(("kind", "knobs"), DEEP, ids=str)
def test_longer_padding_changes_nothing(kind, knobs):
    shapes = SHAPES["categorical"]
    wide = replace(shapes, lookback=shapes.lookback + 9)
    short, long = (build(kind, "categorical", s, **knobs) for s in (shapes, wide))
    rng = np.random.default_rng(3)
    for before, after in zip(short.weights, long.weights, strict=True):
        # Trained weights have biases that are not zero: these are what padding would let through.
        value = rng.normal(0, 0.5, before.shape).astype(before.dtype)
        before.assign(value)
        # Places are counted from the newest: a longer lookback adds some in front.
        front = (
            np.zeros((after.shape[0] - before.shape[0], *before.shape[1:])) if before.shape else []
        )
        after.assign(np.concatenate([front, value]) if len(front) else value)
    arrays = make_sequences("categorical")
    found = [say(short, arrays), say(long, pad(arrays, wide.lookback))]
    np.testing.assert_allclose(*found, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["gru", "lstm", "rnn"])
def test_a_state_stays_exactly_zero_in_the_padding(kind):
    keras.utils.set_random_seed(0)
    rows = np.random.default_rng(0).normal(size=(4, 8, 3)).astype(np.float32)
    present = np.zeros((4, 8, 1), np.float32)
    for window, length in enumerate(LENGTHS):
        present[window, 8 - length :] = 1
    layer = make_recurrent(kind, 5, return_sequences=True, use_bias=False)
    states = keras.ops.convert_to_numpy(layer(mark_present(rows, present)))
    assert (states[present[:, :, 0] == 0] == 0).all()
    assert (states[present[:, :, 0] == 1] != 0).all()


def test_rows_are_turned_behind_their_padding_and_back():
    rows = np.arange(1, 6, dtype=np.float32)[None, :, None] * np.array([0, 0, 1, 1, 1])[:, None]
    present = (rows > 0).astype(np.float32)
    turned = keras.ops.convert_to_numpy(TurnRows()(rows.astype("float32"), present))
    assert turned[0, :, 0].tolist() == [0, 0, 5, 4, 3]
    again = keras.ops.convert_to_numpy(TurnRows()(turned, present))
    np.testing.assert_array_equal(again, rows)


@every_kind
@every_output
def test_half_precision_inside_leaves_probabilities_in_float32(kind, output):
    kept = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        found = say(build(kind, output), make_sequences(output))
    finally:
        keras.config.set_dtype_policy(kept)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


def test_columns_of_embeddings_are_dropped_whole_and_only_in_training():
    shapes = InputShapes(6, 1, 2, past_cardinalities=(3, 9), classes=2)
    spec = ModelSpec(kind="gru", units=4, dropout=0.0, spatial_dropout=0.5)
    inputs = make_inputs(shapes)
    rows = keras.Model(inputs, read_past(inputs, shapes, spec))
    arrays = make_arrays(shapes, 50)
    read = {name: arrays[name] for name in rows.input}
    calm, dropped = (keras.ops.convert_to_numpy(rows(read, training=t)) for t in (False, True))
    embedded = dropped[:, :, 2:]
    gone = embedded == 0
    # A column is dropped at all steps of a window or at none.
    np.testing.assert_array_equal(gone.all(axis=1), gone.any(axis=1))
    assert 0.2 < gone.mean() < 0.8
    np.testing.assert_allclose(embedded[~gone], 2 * calm[:, :, 2:][~gone], rtol=1e-6)


def make_problem(output, count, seed):
    """The next class is the one of two rows before: a class that the newest row does not tell."""
    k = CLASSES[output]
    rng = np.random.default_rng(seed)
    shapes = InputShapes(6, 1, 2, past_cardinalities=(k + 1,), classes=k)
    arrays = make_arrays(shapes, count, seed)
    lengths = rng.integers(2, 7, count)
    codes = rng.integers(1, k + 1, (count, 6, 1)).astype(np.int32)
    there = np.arange(6) >= 6 - lengths[:, None]
    arrays["past"] = np.stack([np.zeros_like(there), there], axis=-1).astype(np.float32)
    arrays["past_codes"] = codes * there[:, :, None]
    return shapes, arrays, (codes[:, -2] - 1).astype(np.float32)


def train_a_while(model, output, arrays, actual):
    """Train on each window once more and return how often it is right about others."""
    head = choose_head(OutputSpec(kind=output), CLASSES[output])
    for begin in range(0, len(actual), 64):
        part = slice(begin, begin + 64)
        inputs = {name: array[part] for name, array in feed(model, arrays).items()}
        assert np.isfinite(model.train_on_batch(inputs, actual[part]))
    _, others, wanted = make_problem(output, 256, seed=2)
    return (head.say(say(model, others)).argmax(axis=-1) == wanted).mean()


@every_kind
@every_output
def test_a_model_learns_what_the_newest_row_does_not_tell(kind, output):
    head = choose_head(OutputSpec(kind=output), CLASSES[output])
    shapes, arrays, actual = make_problem(output, 64 * 100, seed=1)
    # Without XLA: the test would spend most of its time compiling. JAX without it runs op by op.
    jit = keras.backend.backend() == "jax"
    right = 0.0
    # One draw of the weights in six leaves two classes' embeddings together (JAX and PyTorch).
    for seed in range(4):
        model = build(kind, output, shapes, seed, units=12)
        optimiser = keras.optimizers.Adam(0.02, clipnorm=1.0)
        model.compile(optimizer=optimiser, loss=head.loss(), jit_compile=jit)
        for _ in range(2):
            right = max(right, train_a_while(model, output, arrays, actual))
            if right > 0.95:
                return
    pytest.fail(f"found {right:.0%} right, needed 95%")

"""What every network of the registry promises, under whichever backend Keras runs.

A new line in the registry is tested without a line here.
"""

import keras
import numpy as np
import pytest

from seqmodel.models.outputs import choose_head
from seqmodel.models.protocol import InputShapes
from seqmodel.specs.model import RECURRENT
from tests.seqmodel.models.cases import (
    BATCH,
    FULL,
    KINDS,
    OUTPUTS,
    build,
    change,
    feed,
    make_arrays,
    make_counts,
    say,
    share,
    train,
)

every_kind = pytest.mark.parametrize("kind", KINDS)
every_output = pytest.mark.parametrize("output", OUTPUTS)


@every_kind
@every_output
def test_a_model_says_the_parameters_of_its_head_in_float32(kind, output):
    found = say(share(kind, output=output), make_arrays())
    assert found.shape == (3, FULL.horizon, choose_head(OUTPUTS[output]).width)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


VARIANTS = {
    "nothing but the target": InputShapes(5, 3, 2),
    "known features alone": InputShapes(5, 3, 6, known=4),
    "known codes alone": InputShapes(5, 3, 2, past_cardinalities=(3,), known_codes=1),
    "past codes alone": InputShapes(5, 3, 2, past_cardinalities=(3, 4)),
    "categories of one value": InputShapes(5, 3, 2, static_cardinalities=(2, 1)),
    "a lookback of 1": InputShapes(1, 3, 6, known=4, static=2),
    "a lookback of 2": InputShapes(2, 3, 6, 4, past_cardinalities=(3,), known_codes=1),
    "a horizon of 1": InputShapes(5, 1, 6, known=4, season=4, cycle=4),
    "lookback and horizon of 1": InputShapes(1, 1, 6, known=4, season=24, cycle=168),
    "a horizon beyond the lookback": InputShapes(4, 9, 6, known=4, season=3, cycle=5),
}


@every_kind
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_model_works_with(kind, variant):
    shapes = VARIANTS[variant]
    found = say(build(kind, shapes), make_arrays(shapes))
    assert found.shape == (3, shapes.horizon, 3)
    assert np.isfinite(found).all()
    assert (np.diff(found, axis=-1) >= 0).all()


@every_kind
def test_the_same_seed_gives_the_same_network_and_another_seed_another(kind):
    models = [build(kind, seed=seed, layers=2) for seed in (0, 0, 1)]
    first, same, other = (model.get_weights() for model in models)
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    found = [say(model, make_arrays()).tobytes() for model in models]
    assert found[0] == found[1] != found[2]


@every_kind
def test_a_batch_says_what_its_windows_say_one_by_one_in_any_order(kind):
    model, arrays = share(kind, embedding=3), make_arrays()
    together = say(model, arrays)
    for n in reversed(range(3)):
        alone = say(model, {name: array[n : n + 1] for name, array in arrays.items()})
        np.testing.assert_allclose(alone[0], together[n], rtol=1e-5, atol=1e-6)


@every_kind
def test_a_model_remembers_nothing_of_the_batch_before(kind):
    model = share(kind)
    before = say(model, make_arrays())
    say(model, make_arrays(seed=1))
    assert say(model, make_arrays()).tobytes() == before.tobytes()


@every_kind
def test_a_model_saved_and_loaded_safely_says_exactly_the_same(kind, tmp_path):
    model, path = share(kind, output="negative_binomial", embedding=3), tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path, compile=False, safe_mode=True)
    before, after = (say(m, make_arrays()) for m in (model, loaded))
    assert before.tobytes() == after.tobytes()


@pytest.fixture(params=["mixed_bfloat16", "mixed_float16"])
def policy(request):
    kept = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(kept)


@every_kind
def test_half_precision_inside_leaves_float32_outside(kind, policy):
    model = build(kind, output="negative_binomial", embedding=3)
    found = say(model, make_arrays())
    assert policy in {layer.dtype_policy.name for layer in model.layers}
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


@every_kind
def test_every_input_that_a_model_declares_reaches_the_forecast(kind):
    model, arrays = share(kind, output="negative_binomial", embedding=3), make_arrays()
    before = say(model, arrays)
    for name in feed(model, arrays):
        after = say(model, {**arrays, name: change(arrays[name], name)})
        assert not np.array_equal(before, after), name


@pytest.mark.parametrize("kind", RECURRENT)
def test_a_recurrent_model_reads_every_covariate_and_nothing_idle(kind):
    covariates = {"past", "past_codes", "known", "known_codes", "static", "static_codes"}
    assert set(feed(share(kind), make_arrays())) == covariates
    assert set(feed(share(kind, embedding=3), make_arrays())) == covariates | {"series"}
    counts = share(kind, output="negative_binomial", embedding=3)
    assert set(feed(counts, make_arrays())) == covariates | {"series", "scale"}


@every_kind
def test_what_is_known_about_a_step_reaches_that_step(kind):
    model, arrays = share(kind), make_arrays()
    if "known" not in feed(model, arrays):
        pytest.skip("a network that reads nothing of the horizon")
    known = arrays["known"].copy()
    known[:, -1] += 3
    before, after = say(model, arrays), say(model, {**arrays, "known": known})
    assert not np.array_equal(before[:, -1], after[:, -1])


@pytest.fixture(scope="module", params=KINDS)
def trained(request):
    """A network of each kind after some steps, and its scores."""
    shapes, *_ = make_counts(1, seed=0)
    model = build(request.param, shapes, units=16)
    return model, train(model, "quantiles", steps=120)


def test_a_model_learns_what_naive_forecasts_cannot(trained):
    _, error = trained
    assert error["model"] < 0.9 * min(error["seasonal"], error["last"])


def test_constant_series_and_huge_numbers_leave_a_model_finite(trained):
    model, _ = trained
    _, flat, future, _ = make_counts(BATCH, seed=3)
    flat["past"][..., 0] = 0
    huge = {**flat, "past": flat["past"] + np.float32(1e6)}
    for arrays, actual in ((flat, future * 0), (huge, future + 1e6), (flat, future * 0)):
        assert np.isfinite(model.train_on_batch(feed(model, arrays), actual))
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert np.isfinite(say(model, flat)).all()


def test_no_two_kinds_are_the_same_network():
    found = {say(share(kind), make_arrays()).tobytes() for kind in KINDS}
    assert len(found) == len(KINDS)

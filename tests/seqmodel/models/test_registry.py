"""What every model of the registry promises. A new line there is tested without a line here."""

import numpy as np
import pytest

from seqmodel.models.protocol import InputShapes
from seqmodel.models.registry import MODELS, build_model
from seqmodel.specs import ModelSpec

LEVELS = (0.1, 0.5, 0.9)
SHAPES = InputShapes(lookback=8, horizon=3, features=6, known=4, reals=2, cardinalities=(3, 5))
KINDS = pytest.mark.parametrize("kind", MODELS)


@pytest.fixture(scope="session")
def build():
    import keras

    kept = {}

    def make(kind, shapes=SHAPES, levels=LEVELS, seed=0, fresh=False):
        key = (kind, shapes, levels, seed)
        if fresh or key not in kept:
            keras.utils.set_random_seed(seed)
            kept[key] = build_model(ModelSpec(kind=kind, units=6, layers=2), shapes, levels)
        return kept[key]

    return make


def make_inputs(shapes=SHAPES, count=5):
    rng = np.random.default_rng(0)
    found = {
        "past": rng.normal(size=(count, shapes.lookback, shapes.features)),
        "known": rng.normal(size=(count, shapes.horizon, shapes.known)),
        "reals": rng.normal(size=(count, shapes.reals)),
        "codes": np.stack([rng.integers(0, c, count) for c in shapes.cardinalities], axis=1)
        if shapes.cardinalities
        else np.empty((count, 0)),
    }
    return {
        name: array.astype(np.int32 if name == "codes" else np.float32)
        for name, array in found.items()
        if array.shape[-1]
    }


@KINDS
def test_outputs_are_windows_by_steps_by_ascending_quantiles(build, kind):
    found = build(kind).predict_on_batch(make_inputs())
    assert found.shape == (5, 3, 3)
    assert found.dtype == np.float32
    assert (np.diff(found, axis=-1) >= 0).all()


@KINDS
def test_a_point_forecast_has_one_quantile(build, kind):
    assert build(kind, levels=(0.5,)).predict_on_batch(make_inputs()).shape == (5, 3, 1)


@KINDS
def test_the_same_seed_gives_the_same_weights_and_another_gives_others(build, kind):
    weights = [build(kind, fresh=True).get_weights() for _ in range(2)]
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))
    others = build(kind, seed=1).get_weights()
    assert not all(np.array_equal(a, b) for a, b in zip(weights[0], others, strict=True))


@KINDS
def test_a_batch_gives_what_its_windows_give_one_by_one(build, kind):
    inputs, model = make_inputs(), build(kind)
    together = model.predict_on_batch(inputs)
    for n in range(5):
        alone = model.predict_on_batch({k: v[n : n + 1] for k, v in inputs.items()})
        np.testing.assert_allclose(alone[0], together[n], atol=1e-5)


@KINDS
def test_a_model_saved_and_loaded_safely_says_exactly_the_same(build, kind, tmp_path):
    import keras

    model, path = build(kind), tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path, compile=False, safe_mode=True)
    before, after = (m.predict_on_batch(make_inputs()) for m in (model, loaded))
    assert before.tobytes() == after.tobytes()


def test_no_two_kinds_are_the_same_network(build):
    found = {build(kind).predict_on_batch(make_inputs()).tobytes() for kind in MODELS}
    assert len(found) == len(MODELS)


VARIANTS = {
    "without known covariates": InputShapes(8, 3, 6, 0, 2, (3,)),
    "without static inputs": InputShapes(8, 3, 6, 4, 0, ()),
    "with the target alone": InputShapes(8, 3, 2, 0, 0, ()),
    "with a lookback of 1": InputShapes(1, 3, 6, 4, 2, (3,)),
    "with a lookback of 2": InputShapes(2, 3, 6, 4, 0, ()),
    "with a horizon of 1": InputShapes(8, 1, 6, 4, 2, (3,)),
    "with lookback and horizon of 1": InputShapes(1, 1, 6, 4, 0, ()),
    "with a horizon beyond the lookback": InputShapes(4, 12, 6, 4, 0, ()),
    "with a category of one value": InputShapes(8, 3, 6, 4, 0, (2, 1)),
}


@KINDS
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_model_works(build, kind, variant):
    shapes = VARIANTS[variant]
    found = build(kind, shapes).predict_on_batch(make_inputs(shapes))
    assert found.shape == (5, shapes.horizon, 3)
    assert np.isfinite(found).all()


@KINDS
@pytest.mark.parametrize("name", ["past", "known", "reals", "codes"])
def test_every_input_reaches_the_forecast(build, kind, name):
    inputs = make_inputs()
    changed = {**inputs, name: (inputs[name] + 1) % 3 if name == "codes" else inputs[name] + 1}
    before, after = (build(kind).predict_on_batch(i) for i in (inputs, changed))
    assert not np.array_equal(before, after)


@KINDS
def test_a_known_covariate_reaches_its_own_step(build, kind):
    inputs = make_inputs()
    known = inputs["known"].copy()
    known[:, -1] += 3
    before, after = (build(kind).predict_on_batch(i) for i in (inputs, {**inputs, "known": known}))
    assert not np.array_equal(before[:, -1], after[:, -1])

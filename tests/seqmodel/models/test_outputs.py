"""Heads and losses against loops and scipy, and through saving."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special, stats

from seqmodel.errors import SpecError
from seqmodel.models import endings
from seqmodel.models.endings.safe import HALF_LOG_TWO_PI, stirling_error
from seqmodel.models.outputs import HEADS, choose_head
from seqmodel.specs import OutputSpec
from tests.seqmodel.models.cases import OUTPUTS, make_counts, train

LEVELS = (0.1, 0.5, 0.75, 0.9)
# The processor flushes what is smaller to zero, of a sum but not of what is passed through.
FLOATS = st.floats(-1e3, 1e3, width=32, allow_subnormal=False)


ALL = pytest.mark.parametrize("kind", HEADS)
DISTRIBUTIONS = pytest.mark.parametrize("kind", ["gaussian", "student_t", "negative_binomial"])


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def finish(kind, raw, scale=1.0):
    """Parameters of raw numbers, by a model as a network ends in it."""
    head = choose_head(OUTPUTS[kind])
    inputs = [keras.Input(raw.shape[1:]), keras.Input((1,))]
    model = keras.Model(inputs, head.finish(*inputs))
    scales = np.broadcast_to(np.float32(scale), (len(raw), 1))
    return model, array(model([raw, scales]))


def freeze(kind, parameters):
    """The distributions that scipy makes of parameters, with an axis for levels."""
    columns = np.split(parameters.astype(float), parameters.shape[-1], axis=-1)
    if kind == "gaussian":
        return stats.norm(*columns)
    if kind == "student_t":
        return stats.t(columns[2], columns[0], columns[1])
    mean, dispersion = columns
    return stats.nbinom(1 / dispersion, 1 / (1 + dispersion * mean))


@settings(deadline=None, max_examples=30)
@given(raw=arrays(np.float32, (2, 3, 4), elements=FLOATS), middle=st.integers(0, 3))
def test_quantiles_never_cross_and_the_middle_one_is_free(raw, middle):
    found = array(endings.AscendingQuantiles(middle)(raw))
    assert found.shape == raw.shape
    assert (np.diff(found, axis=-1) >= 0).all()
    np.testing.assert_array_equal(found[..., middle], raw[..., middle])


def test_the_steps_are_softplus_sums_away_from_the_middle():
    raw = np.array([[[-1.0, 2.0, 0.5, 3.0]]], np.float32)
    a, b, c, d = raw[0, 0]
    soft = lambda x: np.log1p(np.exp(x))  # noqa: E731
    expected = [c - soft(b) - soft(a), c - soft(b), c, c + soft(d)]
    found = array(endings.AscendingQuantiles(2)(raw))[0, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_one_quantile_is_passed_through():
    raw = np.ones((2, 3, 1), np.float32)
    np.testing.assert_array_equal(array(endings.AscendingQuantiles(0)(raw)), raw)


def loop_pinball(actual, quantiles, levels):
    found = np.zeros(actual.shape)
    for n in range(actual.shape[0]):
        for h in range(actual.shape[1]):
            losses = []
            for q, level in enumerate(levels):
                error = actual[n, h] - quantiles[n, h, q]
                losses.append(level * error if error >= 0 else (level - 1) * error)
            found[n, h] = sum(losses) / len(levels)
    return found


@settings(deadline=None, max_examples=30)
@given(
    actual=arrays(np.float32, (2, 3), elements=FLOATS),
    quantiles=arrays(np.float32, (2, 3, 4), elements=FLOATS),
)
def test_the_pinball_loss_is_its_slow_loop(actual, quantiles):
    found = array(endings.PinballLoss(LEVELS).call(actual, quantiles))
    expected = loop_pinball(actual.astype(float), quantiles.astype(float), LEVELS)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)


def test_a_weight_of_zero_takes_a_step_out_of_the_loss():
    loss = endings.PinballLoss((0.5,))
    actual, quantiles = np.array([[1.0, 1e9]]), np.zeros((1, 2, 1), np.float32)
    assert float(loss(actual, quantiles, sample_weight=np.array([[1.0, 0.0]]))) < 1


def test_the_loss_is_least_at_the_quantile():
    actual = np.random.default_rng(0).normal(size=(1, 4001)).astype(np.float32)
    loss = endings.PinballLoss((0.9,))
    grid = np.linspace(-3, 3, 121)
    values = [float(loss(actual, np.full((1, 4001, 1), g, np.float32))) for g in grid]
    assert grid[np.argmin(values)] == pytest.approx(np.quantile(actual, 0.9), abs=0.05)


def test_layer_and_loss_are_built_again_from_their_config():
    layer = endings.AscendingQuantiles.from_config(endings.AscendingQuantiles(2).get_config())
    loss = endings.PinballLoss.from_config(endings.PinballLoss(LEVELS).get_config())
    assert layer.middle == 2
    assert loss.levels == LEVELS


@ALL
def test_raw_numbers_around_nothing_are_sane_parameters(kind):
    _, found = finish(kind, np.zeros((2, 3, choose_head(OUTPUTS[kind]).width), np.float32), 7.0)
    expected = {
        "quantiles": [-0.693, 0, 0.693],
        "point": [0],
        "gaussian": [0, 0.693],
        "student_t": [0, 0.693, 10.01],
        "negative_binomial": [7, 0.693],
    }
    np.testing.assert_allclose(found[0, 0], expected[kind], atol=1e-3)


@ALL
def test_any_raw_number_is_finite_parameters_and_its_loss_and_slopes_are(kind):
    head = choose_head(OUTPUTS[kind])
    raw = np.array([-1e6, -30, 0, 30, 1e6], np.float32)
    raw = np.stack(np.meshgrid(*[raw] * head.width), axis=-1).reshape(-1, 1, head.width)
    model, parameters = finish(kind, raw)
    assert np.isfinite(parameters).all()
    for actual in (0.0, 3.0, 1e6):
        losses = array(head.loss().call(np.full(raw.shape[:2], actual, np.float32), parameters))
        assert np.isfinite(losses).all()
    # A weight beside the raw numbers stays finite only where every slope is.
    inputs = [keras.Input(raw.shape[1:]), keras.Input((1,))]
    shift = keras.layers.Dense(head.width, kernel_initializer="identity")(inputs[0])
    slopes = keras.Model(inputs, model([shift, inputs[1]]))
    slopes.compile(optimizer=keras.optimizers.SGD(1e-3, clipnorm=1.0), loss=head.loss())
    for actual in (0.0, 3.0, 1e6):
        target = np.full(raw.shape[:2], actual, np.float32)
        slopes.train_on_batch([raw, np.ones((len(raw), 1), np.float32)], target)
    assert all(np.isfinite(weight).all() for weight in slopes.get_weights())


@DISTRIBUTIONS
def test_a_likelihood_is_that_of_scipy(kind):
    rng, head = np.random.default_rng(0), choose_head(OUTPUTS[kind])
    raw = rng.normal(0, 4, (200, 6, head.width)).astype(np.float32)
    _, parameters = finish(kind, raw, np.exp(rng.normal(0, 3, (200, 1))))
    distribution = freeze(kind, parameters)
    actual = distribution.rvs(random_state=rng).astype(np.float32)
    actual[:50] = np.abs(np.round(rng.normal(0, 10, (50, 6, 1))))
    known = distribution.logpmf if kind == "negative_binomial" else distribution.logpdf
    found = array(head.loss().call(actual[..., 0], parameters))
    np.testing.assert_allclose(found, -known(actual)[..., 0], rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("mean", [0.01, 1.0, 50.0, 1e4])
@pytest.mark.parametrize("dispersion", [1e-6, 1e-4, 0.01, 1.0, 100.0])
def test_counts_keep_their_digits_whatever_the_dispersion(mean, dispersion):
    counts = np.concatenate([np.arange(5), np.round(mean * np.linspace(0, 3, 50))])[None]
    parameters = np.tile(np.float32([mean, dispersion]), (1, counts.size, 1))
    exact = parameters.astype(float)
    mean, r = exact[..., 0], 1 / exact[..., 1]
    # scipy's own logpmf loses digits here: Poisson's is the limit of small dispersion.
    known = stats.nbinom(r, r / (r + mean)).logpmf(counts)
    if dispersion * max(1, mean[0, 0]) < 1e-5:
        known = stats.poisson(mean).logpmf(counts)
    loss = choose_head(OUTPUTS["negative_binomial"]).loss()
    found = array(loss.call(counts.astype(np.float32), parameters))
    np.testing.assert_allclose(found, -known, rtol=3e-5, atol=3e-5)


def test_the_error_of_stirlings_formula_is_right_to_five_digits():
    x = np.concatenate([np.geomspace(1e-6, 1e4, 400), np.linspace(7.9, 8.1, 20)])
    found = array(stirling_error(x.astype(np.float32)))
    x = x.astype(np.float32).astype(float)
    expected = special.gammaln(x) - ((x - 0.5) * np.log(x) - x + HALF_LOG_TWO_PI)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(("loss", "expected"), [("mae", 3), ("mse", 9), ("huber", 2.5)])
def test_a_point_is_measured_by_the_loss_of_the_spec(loss, expected):
    head = choose_head(OutputSpec(kind="point", loss=loss))
    actual = np.array([[1.0, 1.0]], np.float32)
    found = array(head.loss().call(actual, np.array([[[4.0], [1.5]]], np.float32)))
    small = {"mae": 0.5, "mse": 0.25, "huber": 0.125}[loss]
    np.testing.assert_allclose(found, [[expected, small]])


@DISTRIBUTIONS
def test_quantiles_are_those_of_scipy_and_ascend(kind):
    rng, head = np.random.default_rng(1), choose_head(OUTPUTS[kind])
    _, parameters = finish(kind, rng.normal(0, 3, (40, 6, head.width)).astype(np.float32), 20.0)
    levels = (0.001, 0.1, 0.5, 0.9, 0.999)
    found = head.quantiles(parameters, levels)
    assert found.shape == (40, 6, 5)
    assert found.dtype == np.float64
    assert (np.diff(found, axis=-1) >= 0).all()
    np.testing.assert_allclose(found, freeze(kind, parameters).ppf(levels), rtol=1e-9)
    assert head.quantiles(parameters).shape == (40, 6, 3)


@pytest.mark.parametrize("mean", [1e-6, 1.0, 1e8])
@pytest.mark.parametrize("dispersion", [1e-6, 1e4])
def test_extreme_counts_have_quantiles(mean, dispersion):
    head = choose_head(OUTPUTS["negative_binomial"])
    found = head.quantiles(np.array([[[mean, dispersion]]]), (0.1, 0.5, 0.9))
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert (np.diff(found, axis=-1) >= 0).all()


def test_learned_quantiles_are_chosen_by_level_and_others_refused():
    head = choose_head(OUTPUTS["quantiles"])
    learned = np.array([[[1.0, 2.0, 3.0]]], np.float32)
    assert head.quantiles(learned).tolist() == [[[1, 2, 3]]]
    assert head.quantiles(learned, (0.5, 0.9)).tolist() == [[[2, 3]]]
    with pytest.raises(SpecError, match="found quantiles"):
        head.quantiles(learned, (0.25,))
    with pytest.raises(SpecError, match="found quantiles"):
        choose_head(OUTPUTS["point"]).quantiles(learned[..., :1], (0.1, 0.5))


@ALL
def test_the_measure_is_the_weighted_mean_loss_whatever_hides_behind_no_weight(kind, monkeypatch):
    monkeypatch.setattr("seqmodel.models.outputs.head.WINDOWS_AT_ONCE", 7)
    rng, head = np.random.default_rng(2), choose_head(OUTPUTS[kind])
    _, parameters = finish(kind, rng.normal(size=(30, 4, head.width)).astype(np.float32))
    actual = np.round(rng.uniform(0, 9, (30, 4))).astype(np.float32)
    weights = rng.choice(np.float32([0, 0.5, 1]), (30, 4))
    losses = array(head.loss().call(actual, parameters)).astype(float)
    actual[weights == 0] = np.nan
    found = head.measure(actual, parameters, weights)
    assert found == pytest.approx(np.average(losses, weights=weights), rel=1e-6)
    assert np.isnan(head.measure(actual, parameters, weights * 0))


@ALL
def test_a_head_saved_and_loaded_safely_says_exactly_the_same(kind, tmp_path):
    raw = np.random.default_rng(3).normal(size=(5, 4, choose_head(OUTPUTS[kind]).width))
    model, before = finish(kind, raw.astype(np.float32), 3.0)
    model.save(tmp_path / "head.keras")
    loaded = keras.saving.load_model(tmp_path / "head.keras", compile=False, safe_mode=True)
    after = array(loaded([raw.astype(np.float32), np.full((5, 1), 3, np.float32)]))
    assert before.tobytes() == after.tobytes()


@ALL
def test_a_loss_is_built_again_from_its_config(kind):
    loss = choose_head(OUTPUTS[kind]).loss()
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()


@ALL
def test_a_head_learns_what_naive_forecasts_cannot(kind):
    keras.utils.set_random_seed(0)
    shapes, *_ = make_counts(1, seed=0)
    head = choose_head(OUTPUTS[kind])
    past = keras.Input((shapes.lookback, shapes.features), name="past")
    scale = keras.Input((1,), name="scale")
    hidden = keras.layers.Dense(64, activation="relu")(keras.layers.Flatten()(past))
    raw = keras.layers.Dense(shapes.horizon * head.width, dtype="float32")(hidden)
    raw = keras.layers.Reshape((shapes.horizon, head.width))(raw)
    inputs = {"past": past, "scale": scale} if head.unit == "target" else {"past": past}
    error = train(keras.Model(inputs, head.finish(raw, scale)), kind, steps=200)
    assert error["model"] < 0.95 * min(error["seasonal"], error["last"])


@pytest.mark.parametrize("kind", [name for name in HEADS if name != "negative_binomial"])
def test_a_forecast_rescaled_has_its_quantiles_rescaled(kind):
    head = choose_head(OUTPUTS[kind])
    raw = np.random.default_rng(4).normal(size=(5, 4, head.width)).astype(np.float32)
    _, parameters = finish(kind, raw)
    base, spread = np.full((5, 4, 1), 7, np.float32), np.full((5, 1, 1), 3, np.float32)
    found = head.quantiles(array(head.rescale(parameters, base, spread)))
    np.testing.assert_allclose(found, 7 + 3 * head.quantiles(parameters), rtol=1e-5)


def test_counts_are_not_rescaled():
    with pytest.raises(SpecError, match="normalise to none"):
        choose_head(OUTPUTS["negative_binomial"]).rescale(None, None, None)

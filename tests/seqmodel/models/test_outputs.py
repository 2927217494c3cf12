"""Heads and losses against loops, and through saving."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

LEVELS = (0.1, 0.5, 0.75, 0.9)
FLOATS = st.floats(-1e3, 1e3, width=32)


@pytest.fixture(scope="session")
def outputs():
    from seqmodel.models import outputs

    return outputs


@settings(deadline=None, max_examples=30)
@given(raw=arrays(np.float32, (2, 3, 4), elements=FLOATS), middle=st.integers(0, 3))
def test_quantiles_never_cross_and_the_middle_one_is_free(outputs, raw, middle):
    found = np.asarray(outputs.AscendingQuantiles(middle)(raw))
    assert found.shape == raw.shape
    assert (np.diff(found, axis=-1) >= 0).all()
    np.testing.assert_array_equal(found[..., middle], raw[..., middle])


def test_the_steps_are_softplus_sums_away_from_the_middle(outputs):
    raw = np.array([[[-1.0, 2.0, 0.5, 3.0]]], np.float32)
    a, b, c, d = raw[0, 0]
    soft = lambda x: np.log1p(np.exp(x))  # noqa: E731
    expected = [c - soft(b) - soft(a), c - soft(b), c, c + soft(d)]
    found = np.asarray(outputs.AscendingQuantiles(2)(raw))[0, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_one_quantile_is_passed_through(outputs):
    raw = np.ones((2, 3, 1), np.float32)
    np.testing.assert_array_equal(np.asarray(outputs.AscendingQuantiles(0)(raw)), raw)


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
def test_the_pinball_loss_is_its_slow_loop(outputs, actual, quantiles):
    found = np.asarray(outputs.PinballLoss(LEVELS).call(actual, quantiles))
    expected = loop_pinball(actual.astype(float), quantiles.astype(float), LEVELS)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)


def test_a_weight_of_zero_takes_a_step_out_of_the_loss(outputs):
    loss = outputs.PinballLoss((0.5,))
    actual, quantiles = np.array([[1.0, 1e9]]), np.zeros((1, 2, 1), np.float32)
    assert float(loss(actual, quantiles, sample_weight=np.array([[1.0, 0.0]]))) < 1


def test_the_loss_is_least_at_the_quantile(outputs):
    actual = np.random.default_rng(0).normal(size=(1, 4001)).astype(np.float32)
    loss = outputs.PinballLoss((0.9,))
    grid = np.linspace(-3, 3, 121)
    values = [float(loss(actual, np.full((1, 4001, 1), g, np.float32))) for g in grid]
    assert grid[np.argmin(values)] == pytest.approx(np.quantile(actual, 0.9), abs=0.05)


def test_layer_and_loss_are_built_again_from_their_config(outputs):
    layer = outputs.AscendingQuantiles.from_config(outputs.AscendingQuantiles(2).get_config())
    loss = outputs.PinballLoss.from_config(outputs.PinballLoss(LEVELS).get_config())
    assert layer.middle == 2
    assert loss.levels == LEVELS

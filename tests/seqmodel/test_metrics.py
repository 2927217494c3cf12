"""Every metric against a slow loop, some against another library too."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from utilsforecast import losses

from seqmodel.metrics import METRICS, ROOTS, Scored, measure_scale, score, summarise

LEVELS = (0.1, 0.5, 0.8)


def make_scored(n=7, h=5, seed=0, missing=0.2):
    rng = np.random.default_rng(seed)
    actual = rng.normal(3, 2, (n, h))
    actual[0, 0] = 0
    actual[rng.random((n, h)) < missing] = np.nan
    quantiles = np.sort(rng.normal(3, 2, (n, h, len(LEVELS))), axis=-1)
    return Scored(actual, quantiles, LEVELS, rng.uniform(0.5, 2, n), rng.uniform(0.5, 2, n))


def walk(s):
    """Every observed step: window, target, quantiles."""
    for n in range(s.actual.shape[0]):
        for h in range(s.actual.shape[1]):
            if not math.isnan(s.actual[n, h]):
                yield n, s.actual[n, h], s.quantiles[n, h]


def loop_pinball(s):
    losses_, sizes = [], []
    for _, y, qs in walk(s):
        pins = [
            (p * (y - q) if y >= q else (1 - p) * (q - y)) for p, q in zip(LEVELS, qs, strict=True)
        ]
        losses_.append(2 * sum(pins) / len(LEVELS))
        sizes.append(abs(y))
    return (sum(losses_) / len(losses_)) / (sum(sizes) / len(sizes))


def mean(values):
    values = list(values)
    return sum(values) / len(values)


#: A new metric needs its slow loop here.
LOOPS = {
    "mae": lambda s: mean(abs(y - q[1]) for _, y, q in walk(s)),
    "rmse": lambda s: math.sqrt(mean((y - q[1]) ** 2 for _, y, q in walk(s))),
    "rmsse": lambda s: math.sqrt(mean(((y - q[1]) / s.root_scale[n]) ** 2 for n, y, q in walk(s))),
    "mase": lambda s: mean(abs(y - q[1]) / s.scale[n] for n, y, q in walk(s)),
    "smape": lambda s: mean(200 * abs(y - q[1]) / (abs(y) + abs(q[1])) for _, y, q in walk(s)),
    "wql": loop_pinball,
    "bias": lambda s: mean(q[1] - y for _, y, q in walk(s)),
    "coverage": lambda s: mean(float(q[0] <= y <= q[2]) for _, y, q in walk(s)),
    "width": lambda s: mean(q[2] - q[0] for _, _, q in walk(s)),
}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("seed", range(3))
def test_a_metric_is_its_slow_loop(metric, seed):
    scored = make_scored(seed=seed)
    assert score(scored)[metric] == pytest.approx(LOOPS[metric](scored), rel=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_a_contribution_is_nan_exactly_where_the_target_is(metric):
    scored = make_scored()
    contributions = METRICS[metric](scored)
    np.testing.assert_array_equal(np.isnan(contributions), np.isnan(scored.actual))


@pytest.mark.parametrize("metric", METRICS)
def test_nothing_observed_scores_nan(metric):
    scored = make_scored(missing=2)
    assert math.isnan(score(scored)[metric])


@pytest.mark.parametrize("metric", METRICS)
def test_the_missing_targets_do_not_count(metric):
    scored = make_scored()
    garbage = np.where(np.isnan(scored.actual)[:, :, None], 1e9, scored.quantiles)
    changed = Scored(scored.actual, garbage, LEVELS, scored.scale, scored.root_scale)
    assert score(changed)[metric] == score(scored)[metric]


@pytest.mark.parametrize("metric", sorted(set(METRICS) - {"coverage"}))
def test_a_perfect_forecast_scores_zero(metric):
    actual = make_scored().actual
    exact = np.repeat(actual[:, :, None], 3, axis=2)
    assert score(Scored(actual, exact, LEVELS, np.ones(7), np.ones(7)))[metric] == 0


@pytest.mark.parametrize("metric", METRICS)
def test_one_forecast_that_is_not_a_number_leaves_no_score(metric):
    scored = make_scored()
    n, h = np.argwhere(np.isfinite(scored.actual))[0]
    scored.quantiles[n, h, 1] = np.nan
    assert math.isnan(score(scored)[metric])


@pytest.mark.parametrize("metric", ["mae", "rmse", "smape", "bias"])
def test_a_part_of_the_windows_is_the_mean_over_that_part(metric):
    scored = make_scored()
    part = Scored(scored.actual[2:4], scored.quantiles[2:4], LEVELS, scored.scale[2:4])
    found = summarise(metric, METRICS[metric](scored)[2:4], scored)
    assert found == pytest.approx(score(part)[metric])


def test_a_series_of_unknown_scale_is_left_out_of_mase_only():
    scored = make_scored()
    scored.scale[0] = np.nan
    rest = Scored(scored.actual[1:], scored.quantiles[1:], LEVELS, scored.scale[1:])
    assert score(scored)["mase"] == score(rest)["mase"]
    assert score(scored)["mae"] != score(rest)["mae"]


def test_symmetric_error_is_zero_where_both_are_zero():
    zero = Scored(np.zeros((1, 2)), np.zeros((1, 2, 3)), LEVELS, np.ones(1))
    assert score(zero)["smape"] == 0


@pytest.mark.parametrize("metric", ["mae", "rmse", "smape", "mase", "rmsse"])
def test_another_library_says_the_same(metric):
    """One series a window of equal length, so that its mean of means is the mean."""
    rng = np.random.default_rng(5)
    season, n, h, history = 4, 6, 8, 40
    past, actual = rng.normal(9, 2, (n, history)), rng.normal(9, 2, (n, h))
    forecast = rng.normal(9, 2, (n, h))
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(n), h),
            "ds": np.tile(np.arange(h), n),
            "y": actual.ravel(),
            "model": forecast.ravel(),
        }
    )
    train = pd.DataFrame({"unique_id": np.repeat(np.arange(n), history), "y": past.ravel()})
    offsets = np.arange(n + 1) * history
    scale = measure_scale(past.ravel(), offsets, season, offsets[1:])
    root = measure_scale(past.ravel(), offsets, season, offsets[1:], squared=True)
    ours = score(Scored(actual, forecast[:, :, None], (0.5,), scale, root))[metric]
    if metric in {"mase", "rmsse"}:
        theirs = getattr(losses, metric)(
            frame, models=["model"], seasonality=season, train_df=train
        )
    else:
        theirs = getattr(losses, metric)(frame, models=["model"])
    column = theirs["model"]
    # Theirs takes the root within a series, ours over all; their sMAPE is a share of two.
    expected = np.sqrt((column**2).mean()) if metric in ROOTS else column.mean()
    assert ours == pytest.approx(expected * (200 if metric == "smape" else 1), rel=1e-12)


def test_another_library_says_the_same_of_quantiles_and_bias():
    rng = np.random.default_rng(6)
    n, h = 6, 8
    actual = rng.normal(9, 2, (n, h))
    quantiles = np.sort(rng.normal(9, 2, (n, h, len(LEVELS))), axis=-1)
    names = [f"q{level:g}" for level in LEVELS]
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(n), h),
            "ds": np.tile(np.arange(h), n),
            "y": actual.ravel(),
            **{name: quantiles[:, :, q].ravel() for q, name in enumerate(names)},
            "model-lo-70": quantiles[:, :, 0].ravel(),
            "model-hi-70": quantiles[:, :, -1].ravel(),
        }
    )
    ours = score(Scored(actual, quantiles, LEVELS, np.ones(n), np.ones(n)))
    bias = losses.bias(frame, models=["q0.5"])["q0.5"].mean()
    assert ours["bias"] == pytest.approx(bias, rel=1e-12)
    covered = losses.coverage(frame, models=["model"], level=70)["model"].mean()
    assert ours["coverage"] == pytest.approx(covered, rel=1e-12)
    pins = [
        losses.quantile_loss(frame, models={"model": name}, q=level)["model"].mean()
        for name, level in zip(names, LEVELS, strict=True)
    ]
    assert ours["wql"] == pytest.approx(2 * np.mean(pins) / np.abs(actual).mean(), rel=1e-12)


def loop_scale(target, offsets, season, until):
    found = []
    for s, end in enumerate(until):
        changes = [
            abs(target[r] - target[r - season])
            for r in range(offsets[s] + season, min(end, offsets[s + 1]))
            if math.isfinite(target[r] - target[r - season])
        ]
        mean_ = sum(changes) / len(changes) if changes else 0
        found.append(mean_ if mean_ > 0 else math.nan)
    return found


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=5),
    season=st.integers(1, 6),
    cut=st.integers(0, 13),
    data=st.data(),
)
def test_the_scale_is_its_slow_loop(lengths, season, cut, data):
    values = st.one_of(st.just(math.nan), st.floats(-100, 100))
    size = sum(lengths)
    target = np.array(data.draw(st.lists(values, min_size=size, max_size=size)))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    until = offsets[:-1] + cut
    np.testing.assert_allclose(
        measure_scale(target, offsets, season, until),
        loop_scale(target, offsets, season, until),
        rtol=1e-12,
    )


def test_a_series_that_repeats_itself_has_no_scale():
    target = np.tile([1.0, 2, 3], 5)
    assert np.isnan(measure_scale(target, np.array([0, 15]), 3, np.array([15]))).all()

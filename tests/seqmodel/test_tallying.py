"""Scores that add: shards of any cut give the figures of the whole."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from utilsforecast import losses

from seqmodel.metrics import METRICS, Scored, score
from seqmodel.tallying import Tally, measure_skill
from tests.seqmodel.test_metrics import LEVELS, make_scored


def take(scored, places):
    return Scored(
        scored.actual[places], scored.quantiles[places], LEVELS, scored.scale[places],
        scored.root_scale[places],
    )  # fmt: skip


KEYS = {
    "series_id": np.array(["a", "b", "a", "c", "b", "a", "c"]),
    "cutoff": np.array([1, 1, 2, 1, 2, 3, 2]),
}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("by_step", [False, True])
def test_the_whole_is_what_the_metrics_say(metric, by_step):
    scored = make_scored()
    found = Tally.of(scored, KEYS, by_step=by_step).total()
    assert found[metric] == pytest.approx(score(scored)[metric], rel=1e-12)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 3), min_size=7, max_size=7), st.permutations(range(7)))
def test_shards_of_any_cut_add_up_to_the_whole(shard, order):
    scored, order = make_scored(), np.array(order)
    whole = Tally.of(scored, KEYS, by_step=True).by("series_id", "cutoff", "step")
    total = Tally.zero("series_id", "cutoff", "step")
    for number in range(4):
        places = order[np.array(shard)[order] == number]
        if len(places):
            keys = {name: values[places] for name, values in KEYS.items()}
            total = total + Tally.of(take(scored, places), keys, by_step=True)
    mine, theirs = (t.measure().to_pandas() for t in (total, whole))
    pd.testing.assert_frame_equal(mine, theirs, rtol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_a_cell_is_the_score_of_its_windows_or_steps(metric):
    scored = make_scored()
    tally = Tally.of(scored, KEYS, by_step=True)
    for row in tally.by("series_id").measure().to_pylist():
        part = take(scored, KEYS["series_id"] == row["series_id"])
        assert row[metric] == pytest.approx(score(part)[metric], rel=1e-12)
        assert row["observed"] == np.isfinite(part.actual).sum()
        assert row["expected"] == part.actual.size
    for row in tally.by("step").measure().to_pylist():
        h = slice(row["step"] - 1, row["step"])
        part = Scored(
            scored.actual[:, h], scored.quantiles[:, h], LEVELS, scored.scale, scored.root_scale
        )
        assert row[metric] == pytest.approx(score(part)[metric], rel=1e-12)


def test_a_series_of_several_cutoffs_scores_as_in_another_library():
    """RMSSE and MASE of each series over all its forecasts, as the M5 competition has them."""
    rng = np.random.default_rng(5)
    season, series, cutoffs, horizon, history = 4, 5, 3, 6, 40
    past = rng.normal(9, 2, (series, history))
    actual = rng.normal(9, 2, (series * cutoffs, horizon))
    forecast = rng.normal(9, 2, actual.shape)
    change = past[:, season:] - past[:, :-season]
    scale, root = np.abs(change).mean(axis=1), np.sqrt((change**2).mean(axis=1))
    of = np.repeat(np.arange(series), cutoffs)
    scored = Scored(actual, forecast[:, :, None], (0.5,), scale[of], root[of])
    ours = Tally.of(scored, {"series_id": of}).measure()
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(of, horizon),
            "ds": np.tile(np.arange(cutoffs * horizon), series),
            "y": actual.ravel(),
            "model": forecast.ravel(),
        }
    )
    train = pd.DataFrame({"unique_id": np.repeat(np.arange(series), history), "y": past.ravel()})
    for metric in ("mase", "rmsse"):
        theirs = getattr(losses, metric)(
            frame, models=["model"], seasonality=season, train_df=train
        )
        np.testing.assert_allclose(ours[metric].to_numpy(), theirs["model"], rtol=1e-12)
    for metric in ("mae", "rmse", "bias"):
        theirs = getattr(losses, metric)(frame, models=["model"])["model"]
        np.testing.assert_allclose(ours[metric].to_numpy(), theirs, rtol=1e-12)


def test_a_forecast_that_is_no_number_leaves_its_cell_without_a_score():
    scored = make_scored()
    n, h = np.argwhere(np.isfinite(scored.actual))[-1]
    scored.quantiles[n, h, 0] = np.nan
    tally = Tally.of(scored, KEYS)
    assert math.isnan(tally.total()["mase"])
    rows = {r["series_id"]: r["mae"] for r in tally.by("series_id").measure().to_pylist()}
    assert math.isnan(rows[KEYS["series_id"][n]])
    assert not math.isnan(rows["b"])


def test_nothing_has_no_score_and_no_skill():
    assert math.isnan(Tally.zero("series_id").total()["mae"])
    empty = Tally.of(make_scored(missing=2), {})
    assert math.isnan(empty.total()["mae"])
    assert math.isnan(measure_skill({"mae": 1.0}, {"mae": 0.0}, "mae"))
    assert measure_skill({"mae": 1.0}, {"mae": 4.0}, "mae") == 0.75

"""Where the parts end."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmodel.errors import DataError
from seqmodel.splitting import split_steps
from tests.seqmodel.small import make_spec


def test_the_last_cutoff_leaves_one_horizon_and_the_others_lie_a_step_apart():
    spec = make_spec(backtest={"cutoffs": 3, "step": 5})
    split = split_steps(0, 200, spec)
    assert split.cutoffs.tolist() == [184, 189, 194]
    assert split.holdout == 184


@given(
    first=st.integers(-100, 100),
    steps=st.integers(1, 400),
    lookback=st.integers(1, 50),
    horizon=st.integers(1, 20),
    cutoffs=st.integers(1, 6),
    step=st.integers(1, 20),
    holdout=st.floats(0.01, 0.5),
)
def test_training_comes_before_the_holdout_and_that_before_the_backtest(
    *, first, steps, lookback, horizon, cutoffs, step, holdout
):
    spec = make_spec(
        window={"lookback": lookback, "horizon": horizon},
        backtest={"cutoffs": cutoffs, "step": step},
        train={"holdout": holdout},
    )
    last = first + steps - 1
    try:
        split = split_steps(first, last, spec)
    except DataError:
        assert steps < lookback + 2 * horizon + (cutoffs - 1) * step + horizon
        return
    assert split.holdout - split.train >= horizon
    assert split.holdout == split.cutoffs[0]
    assert split.cutoffs[-1] + horizon == last
    assert (np.diff(split.cutoffs) == step).all()
    # One training window at least: its lookback, its horizon, then the border.
    assert split.train - first + 1 >= lookback + horizon


def test_a_history_too_short_is_refused_with_its_figures():
    with pytest.raises(DataError) as caught:
        split_steps(0, 29, make_spec())
    sentence = str(caught.value)
    for figure in ("30 steps", "lookback 24", "horizons of 6", "12 steps of backtest"):
        assert figure in sentence


def test_one_step_more_than_refused_is_enough():
    spec = make_spec()
    needed = 24 + 2 * 6 + 12
    with pytest.raises(DataError):
        split_steps(0, needed - 2, spec)
    assert split_steps(0, needed - 1, spec).train == 24 + 6 - 1

"""Where the parts end.

first                      train         holdout    first cutoff                cutoff
|- lookback -|- targets ... -|gap|- targets -|gap|- targets of the backtest ... -|
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel.errors import DataError
from seqmodel.splitting import DRAWN, Split, draw_split, split_steps
from seqmodel.windows import index_windows
from tests.seqmodel.small import make_spec


@st.composite
def cases(draw):
    """A first step, a number of steps, and a spec."""
    lookback = draw(st.integers(1, 50))
    minimum = draw(st.none() | st.integers(1, 60))
    spec = make_spec(
        window={
            "lookback": lookback,
            "horizon": draw(st.integers(1, 20)),
            "stride": draw(st.integers(1, 30)),
            "short": draw(st.sampled_from(["pad", "drop"])),
            "minimum_history": minimum,
        },
        backtest={
            "cutoffs": draw(st.integers(1, 6)),
            "step": draw(st.integers(1, 20)),
            "gap": draw(st.sampled_from([0, 0, 1, 7])),
        },
        train={"holdout": draw(st.floats(0.01, 0.5))},
    )
    return draw(st.integers(-100, 100)), draw(st.integers(1, 400)), spec


def count_needed(spec):
    """Steps without which there is no training window."""
    horizon, backtest = spec.window.horizon, spec.backtest
    reserve = (backtest.cutoffs - 1) * backtest.step + horizon
    return spec.window.least_history + 2 * horizon + 2 * backtest.gap + reserve


def test_the_last_cutoff_leaves_one_horizon_and_the_others_lie_a_step_apart():
    spec = make_spec(backtest={"cutoffs": 3, "step": 5})
    split = split_steps(0, 200, spec)
    assert split.cutoffs.tolist() == [184, 189, 194]
    assert split.holdout == 184
    assert split.last == 200


@settings(deadline=None, max_examples=50)
@given(cases())
def test_training_comes_before_the_holdout_and_that_before_the_backtest(case):
    first, steps, spec = case
    horizon, gap, last = spec.window.horizon, spec.backtest.gap, first + steps - 1
    try:
        split = split_steps(first, last, spec)
    except DataError:
        assert steps < count_needed(spec)
        return
    assert steps >= count_needed(spec)
    assert split.holdout - split.train - gap >= horizon
    assert split.holdout + gap == split.cutoffs[0]
    assert split.last == last
    assert (np.diff(split.cutoffs) == spec.backtest.step).all()
    assert (split.first, split.horizon, split.gap) == (first, horizon, gap)


@settings(deadline=None, max_examples=50)
@given(cases())
def test_no_target_straddles_a_border_and_training_and_holdout_have_windows(case):
    first, steps, spec = case
    try:
        split = split_steps(first, first + steps - 1, spec)
    except DataError:
        return
    window = spec.window
    rows = np.array([0, steps + window.horizon])

    def list_targets(after, until, stride):
        index = index_windows(
            np.array([first]),
            rows,
            window.lookback,
            window.horizon,
            after=after,
            until=until,
            stride=stride,
            least=window.least_history,
        )
        assert len(index)
        starts = index.all().starts + first + window.lookback
        return set((starts[:, None] + np.arange(window.horizon)).ravel().tolist())

    train = list_targets(split.first, split.train, window.stride)
    holdout = list_targets(split.train + split.gap, split.holdout, 1)
    tested = {int(c) + h for c in split.cutoffs for h in range(1, window.horizon + 1)}
    # Between the parts lies the gap, and nothing in both.
    assert max(train) == split.train
    assert min(holdout) == split.train + split.gap + 1
    assert max(holdout) == split.holdout
    assert min(tested) == split.holdout + split.gap + 1
    assert max(tested) == first + steps - 1


@settings(deadline=None, max_examples=50)
@given(st.integers(100, 5000), st.floats(0.01, 0.5))
def test_the_holdout_is_the_share_of_the_training_steps_asked_for(steps, share):
    spec = make_spec(train={"holdout": share})
    split = split_steps(0, steps - 1, spec)
    usable = split.holdout + 1 - spec.window.least_history
    found = split.holdout - split.train
    assert found == max(6, round(share * usable)) or found == usable - 6


def test_a_history_too_short_is_refused_with_its_figures():
    with pytest.raises(DataError) as caught:
        split_steps(0, 29, make_spec(window={"lookback": 24, "horizon": 6, "short": "drop"}))
    sentence = str(caught.value)
    for figure in ("30 steps", "history of 24", "horizons of 6", "12 steps of backtest"):
        assert figure in sentence
    assert "shorten window.lookback, window.horizon or backtest.cutoffs" in sentence


@settings(deadline=None, max_examples=50)
@given(cases())
def test_one_step_more_than_refused_is_enough(case):
    first, _, spec = case
    needed = count_needed(spec)
    with pytest.raises(DataError) as caught:
        split_steps(first, first + needed - 2, spec)
    # The figures of the sentence add up to what is needed.
    figures = [int(word) for word in str(caught.value).split() if word.isdigit()]
    found, past, horizon, reserve = figures[0], *figures[-3:]
    assert found == needed - 1
    assert past + 2 * horizon + reserve == needed
    split = split_steps(first, first + needed - 1, spec)
    assert split.train == first + spec.window.least_history + spec.window.horizon - 1


# Drawing ------------------------------------------------------------------------------------------


def test_a_split_is_drawn_as_it_is():
    split = Split(0, 343, 387, np.array([369, 393]) + 24, 6, 6)
    assert draw_split(split, lambda number: f"<{number}>").splitlines() == [
        "|" + "t" * 58 + "." + "h" * 6 + "." + "b" * 5 + "|",
        " " * 67 + "^" + " " * 3 + "^  2 cutoffs",
        "t training: 344 steps, <0> to <343>",
        ". gap: 6 steps, <344> to <349>",
        "h holdout: 38 steps, <350> to <387>",
        ". gap: 6 steps, <388> to <393>",
        "b backtest: 30 steps, <394> to <423>",
    ]


def test_one_cutoff_is_one_cutoff():
    assert "1 cutoff\n" in draw_split(split_steps(0, 399, make_spec(backtest={"cutoffs": 1})), str)


@settings(deadline=None, max_examples=50)
@given(cases())
def test_every_part_is_drawn_in_proportion_and_the_gap_where_there_is_one(case):
    first, steps, spec = case
    try:
        split = split_steps(first, first + steps - 1, spec)
    except DataError:
        return
    bar, marks, *legend = draw_split(split, str).splitlines()
    letters = bar.strip("|")
    assert bar == f"|{letters}|"
    wanted = "t.h.b" if split.gap else "thb"
    assert [line[0] for line in legend] == list(wanted)
    # Each letter stands in one run, in the order of time.
    runs = [a for a, b in zip(letters, letters[1:] + "$", strict=True) if a != b]
    assert runs == list(wanted)
    widths = {
        "t": split.train - split.first + 1,
        "h": split.holdout - split.train - split.gap,
        "b": split.last - int(split.cutoffs[0]),
    }
    for letter, width in widths.items():
        share = DRAWN * width / steps
        assert abs(letters.count(letter) - max(share, 1)) <= 1
    assert sum(int(line.split(": ")[1].split()[0]) for line in legend) == steps
    assert 1 <= marks.count("^") <= spec.backtest.cutoffs
    assert f"{spec.backtest.cutoffs} cutoff" in marks

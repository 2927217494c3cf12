"""One windowing, against loops that are plainly right."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmodel.features import Preprocessor, Rows
from seqmodel.specs import FeatureSpec
from seqmodel.windows import (
    WindowIndex,
    WindowReader,
    index_cutoffs,
    index_windows,
    pad_batches,
    shuffle_batches,
)
from tests.seqmodel.small import SOURCE, make_panel, make_table


@st.composite
def layouts(draw):
    """First grid numbers and lengths of some series, a window, and borders."""
    count = draw(st.integers(1, 4))
    first = np.array([draw(st.integers(0, 12)) for _ in range(count)])
    lengths = np.array([draw(st.integers(1, 25)) for _ in range(count)])
    return {
        "first": first,
        "offsets": np.concatenate([[0], np.cumsum(lengths)]),
        "lookback": draw(st.integers(1, 6)),
        "horizon": draw(st.integers(1, 4)),
        "after": draw(st.integers(-3, 30)),
        "until": draw(st.integers(0, 40)),
        "stride": draw(st.integers(1, 5)),
    }


def loop(first, offsets, lookback, horizon, *, after, until, stride):
    """Every window of every series, tried one by one."""
    found = []
    for s in range(len(first)):
        length = offsets[s + 1] - offsets[s]
        for start in range(length - lookback - horizon + 1):
            cutoff = first[s] + start + lookback - 1
            aligned = (until - horizon - cutoff) % stride == 0
            if cutoff >= after and cutoff + horizon <= until and aligned:
                found.append((offsets[s] + start, s))
    return found


@given(layouts())
def test_the_windows_are_those_of_the_slow_loop(layout):
    index = index_windows(**layout)
    assert list(zip(index.starts, index.series, strict=True)) == loop(**layout)


@given(layouts())
def test_no_window_crosses_a_series_or_a_border(layout):
    index = index_windows(**layout)
    begin, end = layout["offsets"][index.series], layout["offsets"][index.series + 1]
    cutoff = layout["first"][index.series] + index.starts - begin + layout["lookback"] - 1
    assert (index.starts >= begin).all()
    assert (index.starts + layout["lookback"] + layout["horizon"] <= end).all()
    assert (cutoff >= layout["after"]).all()
    assert (cutoff + layout["horizon"] <= layout["until"]).all()


@given(length=st.integers(1, 40), lookback=st.integers(1, 9), horizon=st.integers(1, 9))
def test_one_series_has_length_less_window_plus_one_windows(length, lookback, horizon):
    first, offsets = np.array([5]), np.array([0, length])
    index = index_windows(first, offsets, lookback, horizon, after=-99, until=999)
    assert len(index) == max(length - lookback - horizon + 1, 0)


@given(layouts())
def test_a_stride_keeps_the_newest_window_of_every_series_that_reaches_the_border(layout):
    wide = index_windows(**{**layout, "stride": 1})
    cutoffs = layout["first"][wide.series] + wide.starts - layout["offsets"][wide.series]
    at_border = cutoffs + layout["lookback"] - 1 == layout["until"] - layout["horizon"]
    kept = set(index_windows(**layout).starts)
    assert set(wide.starts[at_border]) <= kept


@given(layouts())
def test_training_and_holdout_share_no_target(layout):
    border = layout["after"]
    old = index_windows(**{**layout, "after": -99, "until": border})
    new = index_windows(**layout)

    def targets(index):
        rows = index.starts[:, None] + layout["lookback"] + np.arange(layout["horizon"])
        return set(rows.ravel())

    assert not targets(old) & targets(new)


def make_rows(count=60, series=2):
    rng = np.random.default_rng(0)
    floats = rng.normal(size=(count, 5)).astype(np.float32)
    return Rows(
        past=floats,
        known=floats[:, 3:].copy(),
        target=floats[:, 0].copy(),
        weight=(rng.random(count) > 0.2).astype(np.float32),
        reals=rng.normal(size=(series, 2)).astype(np.float32),
        codes=rng.integers(0, 3, (series, 1)).astype(np.int32),
    )


@given(
    lookback=st.integers(1, 8),
    horizon=st.integers(1, 5),
    picks=st.lists(st.integers(0, 46), min_size=1, max_size=9),
)
def test_a_gather_equals_slicing(lookback, horizon, picks):
    rows = make_rows()
    index = WindowIndex(np.array(picks), (np.array(picks) % 2).astype(np.int32))
    reader = WindowReader(rows, lookback, horizon)
    inputs, (targets, weights) = reader.inputs(index), reader.targets(index)
    for n, start in enumerate(picks):
        after = slice(start + lookback, start + lookback + horizon)
        np.testing.assert_array_equal(inputs["past"][n], rows.past[start : start + lookback])
        np.testing.assert_array_equal(inputs["known"][n], rows.known[after])
        np.testing.assert_array_equal(inputs["reals"][n], rows.reals[start % 2])
        np.testing.assert_array_equal(inputs["codes"][n], rows.codes[start % 2])
        np.testing.assert_array_equal(targets[n], rows.target[after])
        np.testing.assert_array_equal(weights[n], rows.weight[after])


def test_the_first_target_is_one_step_after_the_cutoff():
    panel = make_panel()
    fitted = Preprocessor.fit(panel, SOURCE, FeatureSpec(), panel.cutoff)
    rows = fitted.encode(panel, until=panel.cutoff)
    cutoff = panel.cutoff - 10
    index = index_cutoffs(panel.first, panel.offsets, 24, np.array([cutoff]))
    targets, _ = WindowReader(rows, 24, 6).targets(index)
    for s in range(3):
        last = panel.offsets[s] + cutoff - panel.first[s]
        assert index.starts[s] + 23 == last
        assert targets[s, 0] == rows.target[last + 1]
        assert panel.number_of_row[last + 1] == cutoff + 1


def test_inputs_without_a_feature_are_left_out():
    rows = make_rows()
    bare = Rows(
        past=rows.past,
        known=rows.known[:, :0],
        target=rows.target,
        weight=rows.weight,
        reals=rows.reals[:, :0],
        codes=rows.codes[:, :0],
    )
    index = WindowIndex(np.array([0, 3]), np.array([0, 1], np.int32))
    assert set(WindowReader(bare, 4, 2).inputs(index)) == {"past"}
    assert set(WindowReader(rows, 4, 2).inputs(index)) == {"past", "known", "reals", "codes"}


def test_the_gather_copies_no_rows_before_a_batch_asks():
    rows = make_rows()
    reader = WindowReader(rows, 8, 4)
    assert np.shares_memory(reader._past, rows.past)
    assert np.shares_memory(reader._target, rows.target)
    assert not reader._past.flags.writeable


def test_fewer_rows_than_a_window_make_an_empty_reader():
    reader = WindowReader(make_rows(count=3), 8, 4)
    empty = WindowIndex(np.array([], np.int64), np.array([], np.int32))
    assert reader.inputs(empty)["past"].shape[0] == 0


def test_the_order_of_the_input_rows_does_not_matter():
    table = make_table()
    shuffled = table.take(pa.array(np.random.default_rng(3).permutation(table.num_rows)))
    ordered = shuffled.sort_by([("series_id", "ascending"), ("timestamp", "ascending")])
    found = []
    for rows in (table, ordered):
        panel = make_panel(rows)
        fitted = Preprocessor.fit(panel, SOURCE, FeatureSpec(), panel.cutoff - 20)
        encoded = fitted.encode(panel, until=panel.cutoff - 20)
        index = index_windows(
            panel.first, panel.offsets, 24, 6, after=0, until=panel.cutoff, stride=3
        )
        found.append((WindowReader(encoded, 24, 6).inputs(index), index))
    (a, i), (b, j) = found
    assert i.starts.tobytes() == j.starts.tobytes()
    assert {n: v.tobytes() for n, v in a.items()} == {n: v.tobytes() for n, v in b.items()}


def test_cutoffs_make_one_window_for_each_series_that_reaches_back_far_enough():
    first, offsets = np.array([0, 5]), np.array([0, 20, 35])
    index = index_cutoffs(first, offsets, 4, np.array([6, 8, 10]))
    assert index.starts.tolist() == [3, 5, 20, 7, 22]
    assert index.series.tolist() == [0, 0, 1, 0, 1]


def test_spread_keeps_both_ends_and_no_window_twice():
    index = WindowIndex(np.arange(1000), np.zeros(1000, np.int32)).spread(7)
    assert len(set(index.starts)) == 7
    assert index.starts[[0, -1]].tolist() == [0, 999]
    assert len(index.spread(50)) == 7


@given(
    count=st.integers(1, 50),
    batch=st.integers(1, 60),
    seed=st.integers(0, 9),
    epoch=st.integers(1, 9),
)
def test_an_epoch_visits_windows_once_in_an_order_of_seed_and_epoch(count, batch, seed, epoch):
    batches = list(shuffle_batches(count, batch, seed, epoch))
    assert len(batches) == max(count // batch, 1)
    assert {len(b) for b in batches} == {batch}
    visited = np.concatenate(batches)
    assert set(visited) <= set(range(count))
    if count >= batch:
        assert len(set(visited)) == len(visited)
    else:
        assert set(visited) == set(range(count))
    again = np.concatenate(list(shuffle_batches(count, batch, seed, epoch)))
    np.testing.assert_array_equal(visited, again)


def test_another_seed_or_epoch_is_another_order():
    orders = {
        tuple(np.concatenate(list(shuffle_batches(64, 8, seed, epoch))))
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9


@pytest.mark.parametrize(("most", "batches"), [(None, 10), (35, 3), (5, 1), (1000, 10)])
def test_an_epoch_draws_at_most_so_many_windows(most, batches):
    assert len(list(shuffle_batches(100, 10, 0, 1, most))) == batches


@given(count=st.integers(0, 50), batch=st.integers(1, 20))
def test_padded_batches_have_one_size_and_cover_every_window_in_order(count, batch):
    covered = []
    for positions, size in pad_batches(count, batch):
        assert len(positions) == batch
        assert positions.max() < count
        covered += positions[:size].tolist()
    assert covered == list(range(count))

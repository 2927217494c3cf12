"""What an epoch shows the network: each window once, in an order that can be taken up again."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel.errors import DataError
from seqmodel.feeding import AHEAD, Feeder, pad_batches
from seqmodel.gathering import WindowReader
from seqmodel.rows import Cut
from seqmodel.specs import TrainSpec
from seqmodel.windows import Windows, index_windows
from tests.seqmodel.small import make_rows

LOOKBACK, HORIZON = 4, 2


def make_feeder(lengths=(40, 12, 90), stride=1, scale="none", **train):
    rows = make_rows(lengths)
    offsets = np.append(rows.begins, len(rows.values))
    index = index_windows(
        rows.first, offsets, LOOKBACK, HORIZON, after=-999, until=200, stride=stride, least=2
    )
    reader = WindowReader(rows, Cut(LOOKBACK, HORIZON, known=2, scale=scale))
    return Feeder(reader, index, TrainSpec.model_validate({"batch_size": 16, **train}))


def list_epoch(feeder, epoch=1, position=0):
    return [pair for windows in feeder.windows(epoch, position) for pair in pairs(windows)]


def pairs(windows):
    return list(zip(windows.starts.tolist(), windows.series.tolist(), strict=True))


def to_bytes(batch):
    return [a.tobytes() for a in (batch.targets, batch.weights, *batch.inputs.values())]


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(6, 60), min_size=1, max_size=4),
    stride=st.integers(1, 3),
    size=st.integers(1, 40),
    seed=st.integers(0, 9),
    epoch=st.integers(1, 9),
)
def test_an_epoch_visits_every_window_once(lengths, stride, size, seed, epoch):
    feeder = make_feeder(tuple(lengths), stride, batch_size=size, seed=seed)
    batches = list(feeder.windows(epoch))
    visited = [pair for windows in batches for pair in pairs(windows)]
    every = pairs(feeder.index.all())
    assert {len(windows) for windows in batches} == {size}
    assert len(batches) == feeder.steps == max(len(every) // size, 1)
    assert set(visited) <= set(every)
    if size <= len(every):
        assert len(set(visited)) == len(visited)
        assert len(every) - len(visited) < size
    else:
        # Fewer windows than a batch are repeated, each as often as the others.
        times = [visited.count(pair) for pair in every]
        assert max(times) - min(times) <= 1
        assert min(times) >= 1


def test_no_window_at_all_is_refused_in_a_sentence():
    feeder = make_feeder()
    nothing = feeder.index.keep(np.zeros(len(feeder.index), dtype=bool))
    with pytest.raises(DataError, match="no window to train on"):
        Feeder(feeder.reader, nothing, feeder.train)


def test_what_filled_no_batch_comes_in_another_epoch():
    feeder = make_feeder(batch_size=50)
    visited = {pair for epoch in range(1, 8) for pair in list_epoch(feeder, epoch)}
    assert visited == set(pairs(feeder.index.all()))


def test_the_order_depends_on_seed_and_epoch_only():
    fresh = list_epoch(make_feeder(), epoch=2)
    used = make_feeder()
    for epoch in (1, 5):
        list(used.batches(epoch))
    assert list_epoch(used, epoch=2) == fresh
    np.random.default_rng(0).random()
    assert list_epoch(make_feeder(learning_rate=0.5, epochs=99), epoch=2) == fresh
    others = [list_epoch(make_feeder(seed=seed), epoch) for seed in range(3) for epoch in (1, 2)]
    assert len({tuple(order) for order in others}) == 6


@pytest.mark.parametrize("sampling", ["uniform", "balanced"])
@pytest.mark.parametrize("half_life", [None, 20])
@pytest.mark.parametrize("position", [0, 1, 4, 7])
def test_a_run_taken_up_at_a_position_reads_the_same_remaining_batches(
    sampling, half_life, position
):
    train = {"sampling": sampling, "half_life": half_life}
    whole = [to_bytes(batch) for batch in make_feeder(**train).batches(3)]
    assert len(whole) == 8
    rest = [to_bytes(batch) for batch in make_feeder(**train).batches(3, position)]
    assert rest == whole[position:]


def test_a_position_behind_the_last_batch_has_nothing_left():
    feeder = make_feeder()
    assert list(feeder.batches(1, feeder.steps)) == []


def test_the_order_does_not_depend_on_how_many_positions_are_shuffled_at_once(monkeypatch):
    whole = list_epoch(make_feeder())
    monkeypatch.setattr("seqmodel.feeding.SHUFFLED", 32)
    assert list_epoch(make_feeder()) == whole
    assert list_epoch(make_feeder(), position=3) == whole[48:]


@pytest.mark.parametrize("load", [1, 8000, 20_000, 1 << 30])
@pytest.mark.parametrize("scale", ["none", "standard"])
def test_batches_do_not_depend_on_how_many_are_gathered_at_once(monkeypatch, load, scale):
    wanted = [to_bytes(batch) for batch in make_feeder(scale=scale).batches(3)]
    monkeypatch.setattr("seqmodel.feeding.LOAD", load)
    feeder = make_feeder(scale=scale)
    assert (feeder.together == 1) == (load == 1)
    assert [to_bytes(batch) for batch in feeder.batches(3)] == wanted
    assert [to_bytes(batch) for batch in feeder.batches(3, 5)] == wanted[5:]


def test_the_batches_of_a_load_keep_their_own_scale():
    feeder = make_feeder(scale="standard")
    wanted = [feeder.reader.read(windows) for windows in feeder.windows(2)]
    for batch, alone in zip(feeder.batches(2), wanted, strict=True):
        values = np.ones((16, HORIZON, 1))
        np.testing.assert_allclose(batch.inverse(values), alone.inverse(values), rtol=1e-6)


@pytest.mark.parametrize(("most", "batches"), [(None, 8), (64, 4), (70, 4), (3, 1), (100_000, 8)])
def test_an_epoch_draws_at_most_so_many_windows(most, batches):
    feeder = make_feeder(windows_per_epoch=most)
    assert feeder.steps == len(list(feeder.windows(1))) == batches
    assert list_epoch(feeder) == list_epoch(make_feeder())[: batches * 16]
    assert list_epoch(feeder, 1) != list_epoch(feeder, 2)


@pytest.mark.parametrize("lengths", [(40, 12, 90), (300, 5, 5, 5), (4, 4, 150), (60,)])
def test_balanced_sampling_shows_every_series_equally_often_whatever_its_length(lengths):
    feeder = make_feeder(lengths, batch_size=1, sampling="balanced")
    visited = list_epoch(feeder, epoch=4)
    series = len(lengths)
    times = [sum(s == number for _, s in visited) for number in range(series)]
    assert times == [len(visited) // series] * series
    assert len(feeder.index) <= len(visited) < len(feeder.index) + series
    assert set(visited) <= set(pairs(feeder.index.all()))


def test_balanced_sampling_shows_all_windows_of_a_series_equally_often_over_the_epochs():
    feeder = make_feeder((40, 12), batch_size=1, sampling="balanced")
    visited = [pair for epoch in range(1, 300) for pair in list_epoch(feeder, epoch)]
    for series in (0, 1):
        every = [pair for pair in pairs(feeder.index.all()) if pair[1] == series]
        found = np.array([visited.count(pair) for pair in every])
        mean = found.mean()
        assert ((found - mean) ** 2 / mean).sum() < 2.5 * len(every)


def test_balanced_sampling_knows_series_whose_windows_come_in_several_runs():
    feeder = make_feeder((40, 12, 90), batch_size=1, sampling="balanced")
    marks = np.random.default_rng(0).random(len(feeder.index)) < 0.5
    index = feeder.index.keep(marks)
    assert len(index.starts) > 10
    visited = list_epoch(Feeder(feeder.reader, index, feeder.train))
    assert set(visited) <= set(pairs(index.all()))
    assert len({sum(s == number for _, s in visited) for number in range(3)}) == 1


def test_a_window_counts_half_as_much_for_every_half_life_of_its_age():
    plain, aged = make_feeder(), make_feeder(half_life=20)
    rows = plain.reader.rows
    every = plain.index.all()
    numbers = every.starts - rows.begins[every.series] + rows.first[every.series]
    compared = zip(plain.windows(1), plain.batches(1), aged.batches(1), strict=True)
    for windows, bare, batch in compared:
        number = windows.starts - rows.begins[windows.series] + rows.first[windows.series]
        share = 0.5 ** ((numbers.max() - number) / 20)
        np.testing.assert_allclose(batch.weights, bare.weights * share[:, None], rtol=1e-6)
        assert batch.weights.dtype == np.float32
        np.testing.assert_array_equal(batch.targets, bare.targets)
        assert batch.inputs.keys() == bare.inputs.keys()


def test_the_newest_window_keeps_its_whole_weight_and_no_window_gains_any():
    feeder = make_feeder(half_life=1, batch_size=1)
    weights = np.concatenate([batch.weights for batch in feeder.batches(1)])
    assert weights.max() == 1
    assert weights.min() >= 0


def test_batches_are_those_of_the_windows_read_one_after_the_other():
    feeder = make_feeder()
    wanted = [to_bytes(feeder.reader.read(windows)) for windows in feeder.windows(2)]
    assert [to_bytes(batch) for batch in feeder.batches(2)] == wanted


class Watched:
    """A reader that counts its loads, of one batch each, and may lose one of them."""

    def __init__(self, reader, lost=None):
        self.rows, self.reader, self.lost, self.calls = reader.rows, reader, lost, 0
        self.bytes_of_a_window = 1 << 30

    def read(self, windows):
        self.calls += 1
        if self.lost and np.array_equal(windows.starts, self.lost.starts):
            raise OSError("found the disk gone")
        return self.reader.read(windows)


def list_feeders():
    return [t for t in threading.enumerate() if t.name.startswith("feeder")]


def test_what_goes_wrong_while_gathering_is_raised_where_the_batches_are_read():
    feeder = make_feeder()
    third = list(feeder.windows(1))[2]
    broken = Watched(feeder.reader, lost=third)
    batches = Feeder(broken, feeder.index, feeder.train).batches(1)
    assert [len(next(batches).targets) for _ in range(2)] == [16, 16]
    with pytest.raises(OSError, match="disk gone"):
        next(batches)
    assert list_feeders() == []


def test_a_reader_who_leaves_early_leaves_no_thread_behind():
    batches = make_feeder().batches(1)
    next(batches)
    batches.close()
    assert list_feeders() == []


def test_no_more_batches_than_needed_are_gathered_ahead():
    feeder = make_feeder()
    counting = Watched(feeder.reader)
    batches = Feeder(counting, feeder.index, feeder.train).batches(1)
    next(batches)
    time.sleep(0.05)
    assert counting.calls <= AHEAD + 1
    batches.close()


@settings(deadline=None)
@given(count=st.integers(0, 50), size=st.integers(1, 20))
def test_padded_batches_have_one_size_and_cover_every_window_in_order(count, size):
    every = Windows(np.arange(count) * 3, np.arange(count, dtype=np.int32) % 4)
    covered = []
    for windows, many in pad_batches(every, size):
        assert len(windows) == size
        assert set(pairs(windows)) <= set(pairs(every))
        covered += pairs(windows)[:many]
    assert covered == pairs(every)

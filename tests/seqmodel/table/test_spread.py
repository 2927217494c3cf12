"""Outliers of each series, and the sample of the table."""

import numpy as np
import pytest

from seqmodel.table import spread
from seqmodel.table.spread import Sampler, Spread, count_far
from seqmodel.table.tally import Runs


def test_a_spike_is_far_and_a_wave_is_not():
    wave = np.sin(np.arange(1000.0))
    spiky = wave.copy()
    spiky[[5, 500]] = 50
    both = count_far(np.concatenate([wave, spiky]), np.array([1000, 1000]))
    assert both.tolist() == [0, 0.002]


def test_without_a_spread_nothing_is_far():
    assert count_far(np.array([1.0] * 9 + [100.0]), np.array([10])).tolist() == [0]


def feed(values, batch, series=None):
    counter = Spread()
    for begin in range(0, len(values), batch):
        mine = values[begin : begin + batch]
        names = np.zeros(len(mine), int) if series is None else series[begin : begin + batch]
        starts = np.flatnonzero(np.diff(names, prepend=-1))
        counter.add(Runs(names[starts], starts, len(mine)), mine)
    return counter


@pytest.mark.parametrize("batch", [1, 7, 64, 1000])
def test_batches_do_not_change_the_shares(batch):
    rng = np.random.default_rng(1)
    series = np.sort(rng.integers(0, 9, 900))
    values = rng.standard_cauchy(900)
    wanted = count_far(values, np.bincount(series))
    assert feed(values, batch, series).share(9).tolist() == wanted.tolist()


def test_a_long_series_is_judged_by_a_sample_close_to_the_whole(monkeypatch):
    monkeypatch.setattr(spread, "SAMPLE", 2_000)
    rng = np.random.default_rng(2)
    values = rng.normal(size=100_000)
    values[rng.random(100_000) < 0.05] += 100
    counter = feed(values, 3_000)
    assert 1_000 <= len(counter.sample.values) <= 2_000
    assert counter.share(1)[0] == pytest.approx(0.05, abs=0.015)


def test_the_sample_falls_in_step_with_no_season(monkeypatch):
    monkeypatch.setattr(spread, "SAMPLE", 2_000)
    hours = np.tile(np.arange(24.0), 5_000)
    seen = np.bincount(feed(hours, 4_096).sample.values.astype(int), minlength=24)
    assert seen.min() > 0.7 * seen.mean()


def test_a_short_stream_is_kept_whole():
    sampler = Sampler()
    sampler.add(np.arange(5.0), np.arange(5, dtype=np.uint64))
    assert sampler.values.tolist() == [0, 1, 2, 3, 4]

"""A table beside the one before."""

import logging
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from seqmodel.specs import SourceSpec
from seqmodel.store.store import Store
from seqmodel.table.drift import (
    find_reference,
    measure_drift,
    measure_shift,
    publish_profile,
    read_reference,
    summarise,
)
from seqmodel.table.profile import Profile

SOURCE = SourceSpec(uri="x")
NOON = datetime(2024, 1, 5, 12, tzinfo=UTC)
FIRST = pd.Timestamp("2024-01-01", tz="UTC").as_unit("us")


def make(targets=100, mean=10.0, std=2.0, first=FIRST, name="a", sample=None):
    series = pd.DataFrame(
        {"series_id": [name], "first": [first], "targets": [targets], "mean": [mean], "std": [std]}
    )
    draws = np.random.default_rng(0).normal(mean, std, 5_000) if sample is None else sample
    return Profile(series, np.asarray(draws, dtype=float))


def shift(now, then, season=24):
    return measure_shift(now.series, summarise(then), season).iloc[0]


def test_the_same_targets_do_not_drift():
    assert measure_drift(make(), summarise(make())) == 0


@pytest.mark.parametrize(("mean", "least", "most"), [(10.1, 0, 0.05), (12, 0.25, 2), (50, 2, 20)])
def test_the_index_grows_with_the_distance(mean, least, most):
    assert least < measure_drift(make(mean=mean), summarise(make())) < most


def test_ten_bins_of_the_reference_hold_a_tenth_each():
    kept = summarise(make())
    assert len(kept.shares) == 10
    assert kept.shares == pytest.approx([0.1] * 10, abs=0.001)


@pytest.mark.parametrize("now", [0.0, 4.0])
def test_a_constant_that_moves_drifts_in_either_direction(now):
    kept = summarise(make(sample=[2.0] * 50))
    assert measure_drift(make(sample=[2.0] * 50), kept) == 0
    assert measure_drift(make(sample=[now] * 50), kept) > 1


def test_many_zeros_are_a_bin_of_their_own():
    zeros, rest = [0.0] * 60, list(range(1, 41))
    kept = summarise(make(sample=zeros + rest))
    assert measure_drift(make(sample=[0.0] * 10 + [-1.0] * 50 + rest), kept) > 1


def test_without_targets_there_is_no_index():
    assert np.isnan(measure_drift(make(sample=[]), summarise(make())))
    assert np.isnan(measure_drift(make(), summarise(make(sample=[]))))


def test_a_level_is_told_in_deviations_of_the_earlier_table():
    assert shift(make(mean=14.0), make()) == pytest.approx(2)


def test_of_a_series_that_grew_by_a_season_the_new_part_counts():
    # 100 targets of mean 10 and 24 of mean 20: the mean of all moved by less than one deviation.
    grown = make(targets=124, mean=(100 * 10 + 24 * 20) / 124)
    assert shift(grown, make()) == pytest.approx(5)
    assert shift(grown, make(), season=25) == pytest.approx((grown.series["mean"][0] - 10) / 2)
    moved = make(targets=124, mean=11.0, first=FIRST + pd.Timedelta(hours=1))
    assert shift(moved, make()) == pytest.approx(0.5)


def test_a_series_that_never_varied_shifts_without_bounds():
    assert shift(make(std=0.0), make(std=0.0)) == 0
    assert shift(make(mean=11.0), make(std=0.0)) > 1e6
    assert shift(make(mean=11.0), make(mean=0.0, std=0.0)) == np.inf


def test_a_new_series_is_not_compared():
    assert np.isnan(shift(make(name="b"), make()))


def test_a_profile_comes_back_as_it_was(tmp_path):
    store = Store(tmp_path)
    key = publish_profile(store, "p", "f" * 64, NOON, make())
    assert key == f"p/profiles/{'f' * 16}.parquet"
    kept, read = summarise(make()), read_reference(tmp_path / key, SOURCE)
    pd.testing.assert_frame_equal(read.series, kept.series, check_dtype=False)
    assert read.edges.tolist() == kept.edges.tolist()
    assert read.shares.tolist() == kept.shares.tolist()


def test_the_reference_is_the_last_accepted_before_and_another(tmp_path):
    store = Store(tmp_path)
    assert find_reference(store, "p", "a" * 64, NOON) is None
    for day, letter in enumerate("abc"):
        publish_profile(store, "p", letter * 64, NOON + timedelta(days=day), make())
    found = [
        find_reference(store, "p", letter * 64, NOON + timedelta(days=day))
        for letter, day in [("d", 9), ("c", 9), ("d", 1), ("b", 1), ("a", 0)]
    ]
    assert [path and path.stem[0] for path in found] == ["c", "b", "b", "a", None]


def test_a_table_accepted_again_was_accepted_when_it_first_was(tmp_path):
    store = Store(tmp_path)
    for day in (0, 5):
        publish_profile(store, "p", "a" * 64, NOON + timedelta(days=day), make())
    assert find_reference(store, "p", "b" * 64, NOON).stem == "a" * 16


def test_a_damaged_profile_is_passed_over_with_a_warning(tmp_path, caplog):
    store = Store(tmp_path)
    publish_profile(store, "p", "a" * 64, NOON, make())
    damaged = tmp_path / "p" / "profiles" / "b.parquet"
    damaged.write_bytes(b"no")
    with caplog.at_level(logging.WARNING):
        assert find_reference(store, "p", "c" * 64, NOON).stem == "a" * 16
        assert read_reference(damaged, SOURCE) is None
        assert read_reference(tmp_path / "gone.parquet", SOURCE) is None
    assert len(caplog.records) == 3

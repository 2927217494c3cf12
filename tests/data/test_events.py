"""Facts about the two samples of events kept in git: departures of aircraft, one by one."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.test_sample import SAMPLE, load_build, rebuilt

__all__ = ["rebuilt"]
FOLDER = SAMPLE.parent
NAMES = ("delays", "rotations")
BUILD = load_build()


@pytest.fixture(scope="module")
def delays():
    return pq.read_table(FOLDER / "delays.parquet").to_pandas()


@pytest.fixture(scope="module")
def rotations():
    return pq.read_table(FOLDER / "rotations.parquet").to_pandas()


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_of_events_is_small_and_as_documented(name):
    path = FOLDER / f"{name}.parquet"
    table = pq.read_table(path)
    assert table.schema.equals(getattr(BUILD, f"{name.upper()}_SCHEMA"), check_metadata=True)
    assert table.num_rows == 154_169
    assert len(table["series_id"].unique()) == 626
    assert path.stat().st_size < 1_500_000
    assert pq.ParquetFile(path).num_row_groups == 3


@pytest.mark.parametrize("name", NAMES)
def test_events_are_sorted_by_aircraft_and_moment(name):
    rows = pq.read_table(FOLDER / f"{name}.parquet").to_pandas()
    assert rows[["series_id", "timestamp"]].equals(
        rows.sort_values(["series_id", "timestamp"])[["series_id", "timestamp"]]
    )
    assert rows["series_id"].value_counts().min() > BUILD.MIN_FLIGHTS


def test_a_departure_is_late_after_15_minutes(delays):
    assert (delays["late"] == (delays["delay"] > BUILD.LATE)).all()
    assert delays["late"].mean() == pytest.approx(0.2303, abs=1e-4)
    assert delays["delay"].max() <= BUILD.MOST_DELAY


def test_only_the_first_departure_of_an_aircraft_has_no_pause_before(delays):
    first = ~delays["series_id"].duplicated()
    assert (delays["pause"].isna() == first).all()
    assert delays["pause"].max() <= 48


def test_what_is_known_in_advance_is_of_the_timetable_and_not_of_the_departure(delays):
    """Else the delay could be read from it."""
    local, due = delays["timestamp"].dt.tz_convert(BUILD.ZONE), delays["hour"].astype(int) * 60
    minutes = local.dt.hour * 60 + local.dt.minute - delays["delay"] - due
    # The scheduled hour is that of the departure less its delay, across midnight too.
    usual = delays["delay"] < BUILD.MOST_DELAY
    assert (minutes[usual] % (24 * 60) < 60).mean() > 0.999


def test_both_samples_are_of_the_same_departures(delays, rotations):
    keys = ["series_id", "timestamp"]
    assert delays[keys].equals(rotations[keys])
    assert (delays["dest"] == rotations["airport"]).all()
    assert rotations["airport"].nunique() == 95


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_of_events_rebuilds_to_the_same_table(rebuilt, name):
    again = pq.read_table(rebuilt.parent / f"{name}.parquet")
    assert again.equals(pq.read_table(FOLDER / f"{name}.parquet"), check_metadata=True)
    assert isinstance(again, pa.Table)

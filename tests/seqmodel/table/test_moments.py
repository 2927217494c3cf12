"""A clock on a wall means one moment, by policy where it means two or none."""

import datetime as dt

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel.specs import SourceSpec
from seqmodel.table.moments import read_moments, to_utc

BERLIN = "Europe/Berlin"


def read(texts, **source):
    naive = pa.array(texts).cast(pa.timestamp("us"))
    return read_moments(naive, SourceSpec(uri="x", **{"timezone": BERLIN, **source}))


def flags(moments):
    return [mask.to_pylist() for mask, _ in moments.faults]


def test_hour_that_comes_twice_is_the_first_and_the_one_left_out_is_after_the_gap():
    naive = pa.array([dt.datetime(2024, 3, 31, 2, 30), dt.datetime(2024, 10, 27, 2, 30)])  # noqa: DTZ001
    found = to_utc(naive, "Europe/Berlin").to_pylist()
    spring = dt.datetime(2024, 3, 31, 1, 0, tzinfo=dt.UTC)
    autumn = dt.datetime(2024, 10, 27, 0, 30, tzinfo=dt.UTC)
    assert found == [spring, autumn]


def test_naive_moments_are_read_in_their_zone_and_aware_ones_are_not_moved():
    naive = pa.array([dt.datetime(2024, 7, 1, 12)])  # noqa: DTZ001
    aware = naive.cast(pa.timestamp("ns", tz="America/New_York"))
    noon = dt.datetime(2024, 7, 1, 12, tzinfo=dt.UTC)
    assert to_utc(naive, "Europe/Berlin").to_pylist() == [noon - dt.timedelta(hours=2)]
    assert to_utc(aware, "Europe/Berlin").to_pylist() == [noon]


def test_dates_are_days_of_utc_whatever_the_zone():
    days = pa.array([dt.date(2024, 7, 1)])
    midnight = [dt.datetime(2024, 7, 1, tzinfo=dt.UTC)]
    for kind in (pa.date32(), pa.date64()):
        assert to_utc(days.cast(kind), "Europe/Berlin").to_pylist() == midnight


@pytest.mark.parametrize(("policy", "hour"), [("earliest", 0), ("latest", 1)])
def test_hour_that_comes_twice_is_the_one_that_the_policy_names(policy, hour):
    found = read(["2024-10-27T02:30"], ambiguous=policy)
    assert found.utc.to_pylist() == [dt.datetime(2024, 10, 27, hour, 30, tzinfo=dt.UTC)]
    assert found.faults == ()


def test_quarantine_flags_the_fold_and_the_gap_and_nothing_else():
    texts = ["2024-10-27T02:00", "2024-10-27T03:00", "2024-03-31T02:59", "2024-03-31T03:00", None]
    found = read(texts, ambiguous="quarantine", nonexistent="quarantine")
    assert flags(found) == [[True, False, False, False, None], [False, False, True, False, None]]
    assert [reason for _, reason in found.faults] == [
        "timestamp is ambiguous in Europe/Berlin",
        "timestamp does not exist in Europe/Berlin",
    ]


@pytest.mark.parametrize("freq", ["D", "MS"])
def test_naive_days_keep_their_date_whatever_the_zone(freq):
    found = read(["2024-07-01", "2024-12-01"], freq=freq)
    assert found.utc.to_pylist() == [
        dt.datetime(2024, month, 1, tzinfo=dt.UTC) for month in (7, 12)
    ]


def test_aware_days_stay_the_moments_they_are():
    aware = pa.array(["2024-06-30T22:00"]).cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
    found = read_moments(aware, SourceSpec(uri="x", timezone=BERLIN, freq="D"))
    assert found.utc.to_pylist() == aware.to_pylist()


def test_midnight_that_the_clock_leaves_out_names_its_day_all_the_same():
    source = {"timezone": "America/Sao_Paulo", "freq": "D", "nonexistent": "quarantine"}
    found = read(["2018-11-04T00:00", "2018-11-04T00:30"], **source)
    assert flags(found) == [[False, True]]
    assert found.utc.to_pylist()[0] == dt.datetime(2018, 11, 4, tzinfo=dt.UTC)


@settings(deadline=None)
@given(st.lists(st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2037, 1, 1)), min_size=1))  # noqa: DTZ001
def test_an_hour_is_flagged_exactly_where_the_policies_disagree(moments):
    naive = pa.array(moments, pa.timestamp("us"))
    first, last, aside = (
        read_moments(naive, SourceSpec(uri="x", timezone=BERLIN, ambiguous=policy))
        for policy in ("earliest", "latest", "quarantine")
    )
    differ = [a != b for a, b in zip(first.utc.to_pylist(), last.utc.to_pylist(), strict=True)]
    assert flags(aside) == [differ]
    assert aside.utc.equals(first.utc)


@settings(deadline=None)
@given(
    st.lists(st.datetimes(dt.datetime(1701, 1, 1), dt.datetime(2199, 1, 1)), min_size=1),  # noqa: DTZ001
    st.sampled_from(["Europe/Berlin", "UTC", "America/St_Johns", "Australia/Lord_Howe"]),
)
def test_moment_keeps_its_wall_clock_unless_spring_leaves_it_out(moments, zone):
    back = to_utc(pa.array(moments, pa.timestamp("us")), zone).cast(pa.timestamp("us", tz=zone))
    local = pc.local_timestamp(back).to_pylist()
    for found, naive in zip(local, moments, strict=True):
        assert found == naive or dt.timedelta(0) < found - naive <= dt.timedelta(hours=1)

"""Whatever types the source has, the canonical ones come out, and what cannot is named."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel.specs import QualitySpec, SourceSpec
from seqmodel.table.cleaning import canonical_schema, clean_batch, to_utc

MOMENT = pa.timestamp("us", tz="UTC")


def clean(quality=None, covariates=None, timezone=None, **columns):
    n = len(next(iter((columns or covariates).values())))
    full = {
        "series_id": pa.array(["a"] * n),
        "timestamp": pa.array(range(n), MOMENT),
        "target": pa.array([1.0] * n),
        **(covariates or {}),
        **columns,
    }
    batch = pa.record_batch(full)
    source = SourceSpec(uri="x", past=tuple(covariates or ()), timezone=timezone)
    schema = canonical_schema(source, batch.schema)
    return clean_batch(batch, schema, source, quality or QualitySpec())


@pytest.mark.parametrize(
    "ids",
    [
        pa.array(["001", "b", None]),
        pa.array(["001", "b", None], pa.large_string()),
        pa.array(["001", "b", None], pa.string_view()),
        pa.array(["001", "b", None]).dictionary_encode(),
    ],
    ids=["string", "large", "view", "dictionary"],
)
def test_text_ids_stay_as_they_are(ids):
    found = clean(series_id=ids)
    assert found.rows["series_id"].to_pylist() == ["001", "b", None]
    assert found.rows.schema.field("series_id").type == pa.string()
    assert found.reasons.to_pylist() == [None, None, "series_id is null"]


def test_numbered_ids_are_the_same_text_as_integers_and_as_pandas_floats():
    integers = clean(series_id=pa.array([7, 12, None]))
    floats = clean(series_id=pa.array(np.array([7.0, 12.0, np.nan])))
    for found in (integers, floats):
        assert found.rows["series_id"].to_pylist() == ["7", "12", None]
        assert found.reasons.to_pylist() == [None, None, "series_id is null"]


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        (pa.array([3, None], pa.int16()), [3.0, None]),
        (pa.array([2**63, None], pa.uint64()), [2.0**63, None]),
        (pa.array([Decimal("1.25"), None]), [1.25, None]),
        (pa.array([True, False]), [1.0, 0.0]),
        (pa.array(np.array([1.5, np.nan], np.float32)), [1.5, None]),
        (pa.array([1.5, 2.5]).dictionary_encode(), [1.5, 2.5]),
    ],
    ids=["int", "uint64", "decimal", "bool", "float32 NaN", "dictionary"],
)
def test_targets_become_doubles_and_nan_becomes_null(target, wanted):
    found = clean(target=target)
    assert found.rows["target"].to_pylist() == wanted
    assert found.reasons.null_count == 2


def test_infinite_numbers_are_set_aside_in_target_and_covariates():
    found = clean(
        target=pa.array([np.inf, -np.inf, 1.0]),
        covariates={"rain": pa.array([0.0, 0.0, np.inf])},
    )
    said = ["target is infinite", "target is infinite", "rain is infinite"]
    assert found.reasons.to_pylist() == said


def test_bounds_of_the_target_are_inclusive_and_spare_the_missing():
    found = clean(QualitySpec(minimum=0, maximum=10), target=pa.array([0, 10, -1, 11, None]))
    said = [None, None, "target below 0", "target above 10", None]
    assert found.reasons.to_pylist() == said


def test_first_reason_stays():
    found = clean(series_id=pa.array([None], pa.string()), target=pa.array([np.inf]))
    assert found.reasons.to_pylist() == ["series_id is null"]


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


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC"])
def test_moment_that_microseconds_cannot_hold_is_set_aside_not_moved(unit, zone):
    raw = pa.array([0, 2**62 if unit != "ns" else 2**63 - 1, -(2**62) * 2 + 1, None])
    found = clean(timestamp=raw.cast(pa.timestamp(unit, tz=zone)), timezone="UTC")
    reasons = found.reasons.to_pylist()
    assert reasons[0] is None
    assert all(r and "not between" in r for r in reasons[1:3])
    assert reasons[3] == "timestamp is null"


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

"""Whatever types the source has, the canonical ones come out, and what cannot is named."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from seqmodel.specs import QualitySpec, SourceSpec
from seqmodel.table.cleaning import canonical_schema, clean_batch

MOMENT = pa.timestamp("us", tz="UTC")


def clean(quality=None, covariates=None, source=None, **columns):
    n = len(next(iter((columns or covariates).values())))
    full = {
        "series_id": pa.array(["a"] * n),
        "timestamp": pa.array(range(n), MOMENT),
        "target": pa.array([1.0] * n),
        **(covariates or {}),
        **columns,
    }
    batch = pa.record_batch(full)
    source = SourceSpec(uri="x", past=tuple(covariates or ()), **(source or {}))
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


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC"])
def test_moment_that_microseconds_cannot_hold_is_set_aside_not_moved(unit, zone):
    raw = pa.array([0, 2**62 if unit != "ns" else 2**63 - 1, -(2**62) * 2 + 1, None])
    found = clean(timestamp=raw.cast(pa.timestamp(unit, tz=zone)), source={"timezone": "UTC"})
    reasons = found.reasons.to_pylist()
    assert reasons[0] is None
    assert all(r and "not between" in r for r in reasons[1:3])
    assert reasons[3] == "timestamp is null"


def test_several_id_columns_are_joined_and_one_null_part_sets_the_row_aside():
    found = clean(
        source={"series_id": ("store", "item"), "separator": "/"},
        store=pa.array(["001", "a", None, "b"]),
        item=pa.array([7, None, 8, 9]),
    )
    assert found.rows["series_id"].to_pylist() == ["001/7", None, None, "b/9"]
    assert found.reasons.to_pylist() == [None, *["series_id is null"] * 2, None]


def test_rows_that_a_policy_sets_aside_say_so_and_keep_their_moment():
    naive = pa.array(["2024-10-27T02:30", "2024-03-31T02:30", "2024-07-01T02:30"])
    found = clean(
        source={
            "timezone": "Europe/Berlin",
            "ambiguous": "quarantine",
            "nonexistent": "quarantine",
        },
        timestamp=naive.cast(pa.timestamp("us")),
    )
    said = ["timestamp is ambiguous in Europe/Berlin", "timestamp does not exist in Europe/Berlin"]
    assert found.reasons.to_pylist() == [*said, None]
    assert found.rows["timestamp"].null_count == 0


def test_covariate_that_a_file_lacks_is_missing_throughout():
    batch = pa.record_batch(
        {
            "series_id": pa.array(["a"]),
            "timestamp": pa.array([0], MOMENT),
            "target": pa.array([1.0]),
        }
    )
    source = SourceSpec(uri="x", past=("rain",), known=("event",))
    observed = pa.schema([("rain", pa.int8()), ("event", pa.string())])
    found = clean_batch(batch, canonical_schema(source, observed), source, QualitySpec())
    assert found.rows.to_pylist()[0] | {"timestamp": 0} == {
        "series_id": "a",
        "timestamp": 0,
        "target": 1.0,
        "rain": None,
        "event": None,
    }
    assert found.reasons.null_count == 1


def test_wide_rows_become_one_a_series_and_bad_cells_are_named_by_series_and_wide_row():
    batch = pa.record_batch(
        {
            "timestamp": pa.array([0, None, 2], MOMENT),
            "m1": pa.array([1, 2, 3]),
            "note": pa.array(["x", "y", "z"]),
            "rain": pa.array([0.1, 0.2, 0.3]),
            "m2": pa.array([None, 5.0, np.inf]),
        }
    )
    source = SourceSpec(uri="x", layout="wide", known=("rain",))
    found = clean_batch(batch, canonical_schema(source, batch.schema), source, QualitySpec())
    rows = found.rows.select(["series_id", "target", "rain"])
    assert [tuple(row.values()) for row in rows.to_pylist()] == [
        ("m1", 1.0, 0.1),
        ("m1", 2.0, 0.2),
        ("m1", 3.0, 0.3),
        ("m2", None, 0.1),
        ("m2", 5.0, 0.2),
        ("m2", np.inf, 0.3),
    ]
    null = "timestamp is null"
    assert found.reasons.to_pylist() == [None, null, None, None, null, "target is infinite"]
    assert found.numbers.tolist() == [0, 1, 2, 0, 1, 2]
    assert found.found.column_names == ["timestamp", "rain", "series_id", "target"]
    assert found.found["target"].to_pylist() == rows["target"].to_pylist()


def test_wide_batch_without_rows_is_empty():
    batch = pa.record_batch({"timestamp": pa.array([], MOMENT), "m1": pa.array([], pa.int8())})
    source = SourceSpec(uri="x", layout="wide")
    found = clean_batch(batch, canonical_schema(source, batch.schema), source, QualitySpec())
    assert (found.rows.num_rows, found.found.num_rows, len(found.numbers)) == (0, 0, 0)

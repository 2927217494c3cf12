"""Resampling equals a slow loop, however the stream is cut."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel.resampling import Resampler
from seqmodel.specs import SourceSpec

HOWS = ["sum", "mean", "first", "last", "min", "max"]
START = datetime(2024, 2, 27, tzinfo=UTC)
SCHEMA = pa.schema(
    [
        ("series_id", pa.string()),
        ("timestamp", pa.timestamp("us", tz="UTC")),
        ("target", pa.float64()),
        ("rain", pa.float64()),
        ("size", pa.float64()),
        ("site", pa.string()),
    ]
)
FLOATS = st.one_of(st.none(), st.floats(-1e9, 1e9))
ROWS = st.dictionaries(
    st.tuples(st.sampled_from(["001", "1", "b", "é"]), st.integers(0, 400)),
    st.tuples(FLOATS, FLOATS, FLOATS, st.one_of(st.none(), st.text(max_size=3))),
    max_size=60,
)


def make_source(freq="h", **roles):
    columns = {"past": ("rain",), "static": ("size", "site")}
    return SourceSpec(uri="x", freq=freq, **{**columns, **roles})


def make_batch(cells, minutes=17):
    rows = [(s, START + timedelta(minutes=minutes * t), *v) for (s, t), v in sorted(cells.items())]
    columns = list(zip(*rows, strict=True)) or [[]] * len(SCHEMA)
    return pa.record_batch(
        [pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
    )


def cut(batch, sizes):
    begin = 0
    for size in sizes:
        yield batch.slice(begin, size)
        begin += size
    yield batch.slice(begin)


def resample(batches, how="sum", source=None):
    resampler = Resampler(source or make_source(), how)
    found = pa.Table.from_batches(list(resampler.resample(iter(batches))), schema=SCHEMA)
    assert resampler.rows == found.num_rows
    return found


def combine(values, how):
    """One step's values, one after the other."""
    values = [v for v in values if v is not None]
    if not values:
        return None
    if how in {"sum", "mean"}:
        total = 0.0
        for value in values:
            total += value
        return total / len(values) if how == "mean" else total
    return {"first": values[0], "last": values[-1], "min": min(values), "max": max(values)}[how]


def resample_slowly(batch, how, freq):
    steps = {}
    for row in batch.to_pylist():
        moment = pd.Timestamp(row["timestamp"]).tz_localize(None).to_period(freq).start_time
        steps.setdefault((row["series_id"], moment.tz_localize("UTC")), []).append(row)
    hows = {"target": how, "rain": "mean", "size": "last", "site": "last"}
    return [
        {"series_id": s, "timestamp": t}
        | {name: combine([row[name] for row in rows], how) for name, how in hows.items()}
        for (s, t), rows in steps.items()
    ]


@settings(deadline=None, max_examples=60)
@given(ROWS, st.sampled_from(HOWS), st.sampled_from(["h", "D"]))
def test_resampling_equals_a_loop_over_the_steps(cells, how, freq):
    batch = make_batch(cells)
    found = resample([batch], how, make_source(freq)).to_pylist()
    assert found == resample_slowly(batch, how, freq)


@settings(deadline=None, max_examples=60)
@given(ROWS, st.sampled_from(HOWS), st.lists(st.integers(0, 9), max_size=20))
def test_however_the_stream_is_cut_the_rows_are_the_same_to_the_bit(cells, how, sizes):
    batch = make_batch(cells)
    assert resample(cut(batch, sizes), how).equals(resample([batch], how))


@settings(deadline=None, max_examples=30)
@given(ROWS, st.sampled_from(["min", "max", "first", "last"]))
def test_rows_already_on_the_grid_stay_as_they_are(cells, how):
    batch = make_batch(cells, minutes=60)
    assert resample([batch], how).equals(pa.Table.from_batches([batch]))


@pytest.mark.parametrize("how", HOWS)
def test_pandas_says_the_same(how):
    rng = np.random.default_rng(0)
    cells = {
        (s, t): (float(rng.normal()), float(t), 1.0, s)
        for s in ("a", "b")
        for t in range(400)
        if rng.random() < 0.7
    }
    batch = make_batch(cells, minutes=15)
    found = resample(cut(batch, [7] * 90), how).to_pandas()
    grouped = batch.to_pandas().groupby(["series_id", pd.Grouper(key="timestamp", freq="h")])
    wanted = getattr(grouped["target"], how)().loc[lambda t: grouped.size()[t.index] > 0]
    np.testing.assert_allclose(found["target"], wanted.to_numpy(), rtol=1e-12)
    assert found["timestamp"].tolist() == wanted.index.get_level_values(1).tolist()


@pytest.mark.parametrize("how", HOWS)
def test_missing_values_are_passed_over_and_a_step_of_nothing_else_is_missing(how):
    missing = (None, None, None, None)
    cells = {("a", 0): missing, ("a", 1): (3.0, 1.0, 2.0, "x"), ("a", 2): missing}
    cells |= {("a", 6): missing, ("a", 7): missing}
    rows = resample([make_batch(cells, minutes=10)], how).to_pylist()
    assert [row["target"] for row in rows] == [3.0, None]
    assert [row["rain"] for row in rows] == [1.0, None]
    assert [row["site"] for row in rows] == ["x", None]


def test_a_step_without_a_row_is_not_made_up():
    cells = {("a", t): (1.0, 1.0, 1.0, "x") for t in (0, 1, 9)}
    rows = resample([make_batch(cells, minutes=30)]).to_pylist()
    hours = [(row["timestamp"] - START) / timedelta(hours=1) for row in rows]
    assert hours == [0, 4]
    assert [row["target"] for row in rows] == [2.0, 1.0]


def test_a_constant_static_number_stays_exact():
    cells = {("a", t): (0.1, 0.1, 0.1, "x") for t in range(10)}
    rows = resample([make_batch(cells, minutes=6)]).to_pylist()
    assert rows[0]["size"] == 0.1
    assert rows[0]["target"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("freq", "moment", "named"),
    [
        ("MS", "2024-02-29T23:00", "2024-02-01"),
        ("ME", "2024-02-05T12:00", "2024-02-29"),
        ("ME", "2024-02-29T23:00", "2024-02-29"),
        ("ME", "2024-03-01T00:00", "2024-03-31"),
        ("QS", "2024-03-31T12:00", "2024-01-01"),
        ("W-MON", "2024-03-03T12:00", "2024-02-26"),
        ("W-SUN", "2024-03-03T12:00", "2024-03-03"),
        ("B", "2024-03-02T12:00", "2024-03-01"),  # a Saturday counts to Friday's step
        ("2h", "2024-03-03T13:59", "2024-03-03T12:00"),
        ("h", "1969-12-31T23:59", "1969-12-31T23:00"),
    ],
)
def test_a_row_goes_into_the_step_of_the_calendar_that_holds_it(freq, moment, named):
    at = datetime.fromisoformat(f"{moment}Z")
    batch = pa.RecordBatch.from_pylist(
        [{"series_id": "a", "timestamp": at, "target": 1.0}], schema=SCHEMA
    )
    found = resample([batch], source=make_source(freq)).to_pylist()[0]["timestamp"]
    assert found == datetime.fromisoformat(named).replace(tzinfo=UTC)


def test_known_covariates_of_the_future_need_no_target():
    schema = pa.schema([SCHEMA.field("series_id"), SCHEMA.field("timestamp"), ("plan", "double")])
    moments = [START + timedelta(minutes=15 * i) for i in range(8)]
    rows = [{"series_id": "a", "timestamp": t, "plan": float(i)} for i, t in enumerate(moments)]
    source = make_source(past=(), static=(), known=("plan",))
    found = list(
        Resampler(source, "sum").resample(iter([pa.RecordBatch.from_pylist(rows, schema)]))
    )
    assert [plan for batch in found for plan in batch["plan"].to_pylist()] == [1.5, 5.5]


def test_an_empty_stream_gives_no_rows():
    assert resample([]).num_rows == 0
    assert resample([make_batch({})]).num_rows == 0


def test_one_step_of_many_batches_is_carried_as_one_row_of_figures():
    """A year of one step: nothing but running figures stays between batches."""
    resampler, most = Resampler(make_source("YS"), "sum"), 0
    fold = resampler._fold

    def watch(steps, carried):
        nonlocal most
        most = max(most, 0 if carried is None else len(carried))
        return fold(steps, carried)

    resampler._fold = watch
    cells = {("a", t): (0.1, 1.0, 1.0, "x") for t in range(3000)}
    batches = resampler.resample(cut(make_batch(cells), [50] * 60))
    total = [value for batch in batches for value in batch["target"].to_pylist()]
    assert most == 1
    assert len(total) == 1
    assert math.isclose(total[0], 300, rel_tol=1e-9)
    whole = resample([make_batch(cells)], source=make_source("YS"))
    assert whole["target"].to_pylist() == total

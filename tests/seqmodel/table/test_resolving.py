"""One row a step stays, and the ledger knows which."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel.errors import DataError, StoreError
from seqmodel.table.resolving import ORIGIN, Resolver

SCHEMA = pa.schema(
    [
        pa.field("series_id", pa.string()),
        pa.field("timestamp", pa.timestamp("us", tz="UTC")),
        pa.field("target", pa.float64()),
    ]
)
FULL = pa.schema([*SCHEMA, *ORIGIN])


def batch(rows):
    columns = list(zip(*rows, strict=True)) or [[]] * len(FULL)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, FULL, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=FULL)


@pytest.mark.parametrize(
    "batches",
    [
        [[("a", 2, 0.0, 0, 0), ("a", 1, 0.0, 0, 1)]],
        [[("b", 1, 0.0, 0, 0), ("a", 1, 0.0, 0, 1)]],
        [[("b", 1, 0.0, 0, 0)], [("a", 2, 0.0, 0, 1)]],
        [[("a", 1, 0.0, 0, 0), ("a", 3, 0.0, 0, 1)], [], [("a", 2, 0.0, 0, 2)]],
    ],
    ids=["time", "series", "series across batches", "time across batches"],
)
def test_unsorted_stream_is_refused(batches):
    with pytest.raises(StoreError, match="out of order"):
        list(Resolver("last", 1).resolve(batch(rows) for rows in batches))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 6), st.integers(0, 2)), max_size=30),
    st.lists(st.integers(0, 30), max_size=4),
    st.sampled_from(["first", "last"]),
)
def test_one_row_a_step_stays_however_the_stream_is_cut(keys, cuts, policy):
    rows = sorted((s, t, float(i), f, i) for i, (s, t, f) in enumerate(keys))
    rows.sort(key=lambda r: (r[0], r[1], r[3], r[4]))
    edges = [0, *sorted(min(c, len(rows)) for c in cuts), len(rows)]
    pieces = [batch(rows[a:b]) for a, b in itertools.pairwise(edges)]
    resolver = Resolver(policy, 3)
    found = [tuple(r.values()) for p in resolver.resolve(iter(pieces)) for r in p.to_pylist()]
    wanted = {}
    for row in rows:
        if policy == "last" or row[:2] not in wanted:
            wanted[row[:2]] = row
    assert [row[2] for row in found] == [row[2] for row in wanted.values()]
    kept = np.bincount([row[3] for row in wanted.values()], minlength=3)
    assert resolver.kept.tolist() == kept.tolist()
    assert (resolver.kept + resolver.dropped).sum() == len(rows)


def test_mean_leaves_one_row_with_the_means_of_numbers_and_the_last_text():
    schema = pa.schema([*SCHEMA, pa.field("price", pa.float64()), pa.field("kind", pa.string())])
    full = pa.schema([*schema, *ORIGIN])
    rows = [
        ("a", 0, 1.0, None, "x", 0, 0),
        ("a", 0, 4.0, None, None, 0, 1),
        ("a", 0, None, None, "z", 1, 0),
        ("a", 1, None, 5.0, "y", 1, 1),
        ("b", 0, 1.7e308, 2.0, "u", 0, 2),
        ("b", 0, 1.7e308, 2.0, "v", 2, 0),
    ]
    columns = [pa.array(c, f.type) for c, f in zip(zip(*rows, strict=True), full, strict=True)]
    whole = pa.RecordBatch.from_arrays(columns, schema=full)
    for cut in range(len(rows) + 1):
        resolver = Resolver("mean", 3)
        stream = iter([whole.slice(0, cut), whole.slice(cut)])
        found = [tuple(r.values()) for p in resolver.resolve(stream) for r in p.to_pylist()]
        assert [(s, *values) for s, _, *values in found] == [
            ("a", 2.5, None, "z"),
            ("a", None, 5.0, "y"),
            ("b", 1.7e308, 2.0, "v"),
        ]
        assert resolver.kept.tolist() == [0, 2, 1]
        assert resolver.dropped.tolist() == [3, 0, 0]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.none() | st.floats(-1e9, 1e9)), max_size=30))
def test_mean_lies_between_least_and_most_and_equal_values_stay(pairs):
    rows = [("a", t, y, 0, i) for i, (t, y) in enumerate(sorted(pairs, key=lambda p: p[0]))]
    groups = {t: [y for u, y in pairs if u == t and y is not None] for t, _ in pairs}
    stream = Resolver("mean", 1).resolve(iter([batch(rows)]))
    found = [y for piece in stream for y in piece["target"].to_pylist()]
    for y, (_, values) in zip(found, sorted(groups.items()), strict=True):
        assert (y is None) == (not values)
        if values:
            assert min(values) <= y <= max(values)
            assert y == pytest.approx(sum(values) / len(values), abs=1e-3)


def test_pair_is_refused_by_name_and_moment_even_across_batches():
    stream = [batch([("001", 0, 1.0, 0, 0)]), batch([("001", 0, 2.0, 0, 1)])]
    with pytest.raises(DataError, match=r"'001' twice at 1970-01-01T00:00:00Z"):
        list(Resolver("refuse", 1).resolve(iter(stream)))

"""The sort is sorted, keeps one row a step, and leaves nothing behind."""

import itertools
import subprocess
import sys
import textwrap

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel.errors import DataError, StoreError
from seqmodel.table.sorting import ORIGIN, Resolver, Sorter

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


def test_half_a_million_rows_in_any_order_come_back_sorted(tmp_path):
    series, steps = 50, 10_000
    rng = np.random.default_rng(0)
    order = rng.permutation(series * steps)
    names = np.array([f"{i:03d}" for i in range(series)])
    with Sorter(tmp_path, SCHEMA) as sorter:
        for piece in np.array_split(order, 7):
            columns = [
                pa.array(names[piece // steps]),
                pa.array(piece % steps, pa.int64()).cast(FULL.field("timestamp").type),
                pa.array(piece.astype(float)),
                pa.array(np.zeros(len(piece), np.int32)),
                pa.array(piece),
            ]
            sorter.add(pa.RecordBatch.from_arrays(columns, schema=FULL))
        found = pa.Table.from_batches(sorter.read())
    assert np.array_equal(found["target"].to_numpy(), np.arange(series * steps))


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


def test_pair_is_refused_by_name_and_moment_even_across_batches():
    stream = [batch([("001", 0, 1.0, 0, 0)]), batch([("001", 0, 2.0, 0, 1)])]
    with pytest.raises(DataError, match=r"'001' twice at 1970-01-01T00:00:00Z"):
        list(Resolver("refuse", 1).resolve(iter(stream)))


def test_text_that_is_not_utf8_is_refused(tmp_path):
    rows = batch([("a", 0, 1.0, 0, 0)])
    buffers = [None, pa.py_buffer(np.array([0, 2], np.int32)), pa.py_buffer(b"\xff\xfe")]
    broken = pa.Array.from_buffers(pa.string(), 1, buffers)
    with Sorter(tmp_path, SCHEMA) as sorter, pytest.raises(DataError, match="UTF-8"):
        sorter.add(rows.set_column(0, rows.schema.field(0), broken))


def test_error_that_outlives_the_interpreter_leaves_standard_error_clean(tmp_path):
    script = """
        import ctypes, sys
        from pathlib import Path
        import pyarrow as pa
        from seqmodel.errors import DataError
        from seqmodel.table.sorting import ORIGIN, Resolver, Sorter

        schema = pa.schema([("series_id", pa.string()), ("timestamp", pa.timestamp("us", "UTC"))])
        rows = pa.table([["a"] * 2, [0] * 2, [0] * 2, [0, 1]], schema=pa.schema([*schema, *ORIGIN]))
        try:
            with Sorter(Path(sys.argv[1]), schema) as sorter:
                sorter.add(rows.to_batches()[0])
                list(Resolver("refuse", 1).resolve(sorter.read()))
        except DataError as error:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(error))
            print("refused")
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("refused\n", "")

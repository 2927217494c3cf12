"""The files come back as one sorted stream, and nothing is left behind."""

import subprocess
import sys
import textwrap

import numpy as np
import pyarrow as pa
import pytest

from seqmodel.errors import DataError
from seqmodel.store.cleaned import SOUND, CleanedWriter
from seqmodel.table.merging import Merger, plain_schema

SCHEMA = pa.schema(
    [
        pa.field("series_id", pa.string()),
        pa.field("timestamp", pa.timestamp("us", tz="UTC")),
        # A name that DuckDB uses itself.
        pa.field("file_index", pa.float64()),
    ]
)


def write(folder, ids, moments, values):
    plain = plain_schema(SCHEMA)
    columns = [
        pa.array(ids, pa.string()),
        pa.array(moments, pa.int64()).cast(plain.field("c1").type),
        pa.array(values, pa.float64()),
        pa.array(np.arange(len(ids)), pa.int64()),
    ]
    with CleanedWriter(folder, plain) as writer:
        writer.add(pa.RecordBatch.from_arrays(columns, schema=plain))
    return folder / SOUND


def test_half_a_million_rows_in_any_order_come_back_sorted(tmp_path):
    series, steps = 50, 10_000
    order = np.random.default_rng(0).permutation(series * steps)
    names = np.array([f"{i:03d}" for i in range(series)])
    paths = [
        write(tmp_path / str(i), names[piece // steps], piece % steps, piece)
        for i, piece in enumerate(np.array_split(order, 7))
    ]
    with Merger(tmp_path, paths, SCHEMA) as merger:
        found = pa.Table.from_batches(merger.read(10**9))
    assert found.schema.names[:3] == SCHEMA.names
    assert np.array_equal(found["file_index"].to_numpy(), np.arange(series * steps))


def test_equal_rows_come_in_the_order_of_files_and_rows(tmp_path):
    paths = [write(tmp_path / str(i), ["a", "a"], [5, 5], [i, i + 0.5]) for i in range(12)]
    with Merger(tmp_path, paths, SCHEMA) as merger:
        found = pa.Table.from_batches(merger.read(5))
    assert found["file_index"].to_pylist() == sorted(i + h for i in range(12) for h in (0, 0.5))
    assert found["__file"].to_pylist() == [i for i in range(12) for _ in range(2)]


def test_later_rows_are_counted_and_read_apart(tmp_path):
    paths = [
        write(tmp_path / "x", ["a"] * 4, [1, 2, 3, 4], [1, 2, 3, 4]),
        write(tmp_path / "y", ["b"], [9], [9]),
        write(tmp_path / "z", [], [], []),
    ]
    with Merger(tmp_path, paths, SCHEMA) as merger:
        upto, later = merger.count(2)
        after = merger.read_after(2, 8, ["series_id", "file_index"])
    assert (upto.tolist(), later.tolist()) == ([2, 0, 0], [2, 1, 0])
    assert after.to_pydict() == {"series_id": ["a", "a"], "file_index": [3.0, 4.0]}


def test_a_folder_whose_name_is_a_pattern_is_read(tmp_path):
    place = tmp_path / "a[1]*?"
    path = write(place, ["a"], [1], [1])
    with Merger(tmp_path, [path], SCHEMA) as merger:
        assert pa.Table.from_batches(merger.read(1)).num_rows == 1


def test_text_that_is_not_utf8_is_refused(tmp_path):
    plain = plain_schema(SCHEMA)
    ids = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")]
    )
    rest = [pa.array([1]).cast(plain.field("c1").type), pa.array([1.0]), pa.array([0])]
    with CleanedWriter(tmp_path / "x", plain) as writer:
        writer.add(pa.RecordBatch.from_arrays([ids, *rest], schema=plain))
    with (
        Merger(tmp_path, [tmp_path / "x" / SOUND], SCHEMA) as merger,
        pytest.raises(DataError, match="UTF-8") as refused,
    ):
        list(merger.read(5))
    assert "\n" not in str(refused.value)


def test_error_that_outlives_the_interpreter_leaves_standard_error_clean(tmp_path):
    write(tmp_path / "x", ["a", "a"], [1, 1], [1, 2])
    code = """
        import ctypes, sys
        from pathlib import Path
        from seqmodel.table.merging import Merger
        from seqmodel.table.resolving import Resolver
        from tests.seqmodel.table.test_merging import SCHEMA
        folder = Path(sys.argv[1])
        try:
            with Merger(folder, [folder / "x" / "sound.parquet"], SCHEMA) as merger:
                list(Resolver("refuse", 1).resolve(merger.read(5)))
        except Exception as error:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(error))
            print(type(error).__name__)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.strip(), done.stderr) == ("DataError", "")

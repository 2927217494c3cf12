"""Rows set aside keep their columns and say why and whence."""

import datetime as dt

import pyarrow as pa

from seqmodel.table.quarantine import set_aside, unite


def put(file="a.parquet", number=0, **columns):
    batch = pa.record_batch(columns)
    return set_aside(batch, pa.array(["bad"]), file, pa.array([number], pa.int64()))


def test_rows_keep_all_columns_and_say_reason_file_and_row():
    wanted = {"id": "b", "note": "y", "reason": "bad", "source_file": "a.parquet", "row_number": 11}
    assert put(number=11, id=["b"], note=["y"]).to_pylist() == [wanted]


def test_nothing_set_aside_is_nothing():
    assert unite([]) is None


def test_column_that_the_source_calls_reason_stays_beside_ours():
    row = put(reason=["storm"]).to_pylist()[0]
    assert row["source_reason"] == "storm"
    assert row["reason"] == "bad"


def test_files_of_other_types_and_columns_come_together_as_text():
    moment = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    one = put(id=[1], at=[moment], tags=[[1, 2]])
    two = put(file="b.parquet", id=["001"], at=["?"], tags=["none"], extra=[1])
    first, second = unite([one, two]).to_pylist()
    assert (first["id"], second["id"]) == ("1", "001")
    assert first["at"].startswith("2024-01-01")
    assert (first["tags"], first["extra"], second["extra"]) == ("[1, 2]", None, 1)

"""Rows set aside keep their columns and say why and whence."""

import datetime as dt

import numpy as np
import pyarrow as pa

from seqmodel.table.quarantine import Quarantine


def set_aside(quarantine, broken, file="a.parquet", first=0, **columns):
    batch = pa.record_batch(columns)
    reasons = pa.array(["bad" if b else None for b in broken], pa.string())
    quarantine.add(batch, reasons, np.array(broken), file, first)


def test_rows_keep_all_columns_and_say_reason_file_and_row():
    quarantine = Quarantine()
    set_aside(quarantine, [False, True], first=10, id=["001", "b"], note=["x", "y"])
    wanted = {"id": "b", "note": "y", "reason": "bad", "source_file": "a.parquet", "row_number": 11}
    assert quarantine.collect().to_pylist() == [wanted]


def test_nothing_set_aside_is_nothing():
    quarantine = Quarantine()
    set_aside(quarantine, [False], id=["a"])
    assert quarantine.collect() is None


def test_column_that_the_source_calls_reason_stays_beside_ours():
    quarantine = Quarantine()
    set_aside(quarantine, [True], reason=["storm"])
    row = quarantine.collect().to_pylist()[0]
    assert row["source_reason"] == "storm"
    assert row["reason"] == "bad"


def test_files_of_other_types_and_columns_come_together_as_text():
    quarantine = Quarantine()
    moment = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    set_aside(quarantine, [True], id=[1], at=[moment], tags=[[1, 2]])
    set_aside(quarantine, [True], file="b.parquet", id=["001"], at=["?"], tags=["none"], extra=[1])
    first, second = quarantine.collect().to_pylist()
    assert (first["id"], second["id"]) == ("1", "001")
    assert first["at"].startswith("2024-01-01")
    assert (first["tags"], first["extra"], second["extra"]) == ("[1, 2]", None, 1)

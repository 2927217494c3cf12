"""Sources that cannot be used are refused in one sentence; others are recognised."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seqmodel.errors import SourceError
from seqmodel.specs import SourceSpec
from seqmodel.table.reading import list_files, look_at, read_batches

MOMENT = pa.timestamp("us", tz="UTC")


def rows(**columns):
    full = {
        "series_id": pa.array(["001", "b"]),
        "timestamp": pa.array([0, 1], MOMENT),
        "target": pa.array([1.0, 2.0]),
        **columns,
    }
    return pa.table({name: column for name, column in full.items() if column is not None})


def write(path, table=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows() if table is None else table, path)
    return path


def cut(path, share):
    data = write(path).read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def damage_footer(path):
    data = bytearray(write(path).read_bytes())
    data[-60:-8] = b"\xff" * 52
    path.write_bytes(data)


BAD_FILES = {
    "missing": (lambda _: None, "no file at"),
    "empty folder": (lambda p: p.mkdir(), "no Parquet file in the folder"),
    "zero bytes": (lambda p: p.write_bytes(b""), "unreadable as Parquet"),
    "not Parquet": (lambda p: p.write_text("series_id,timestamp\n"), "unreadable as Parquet"),
    "truncated": (lambda p: cut(p, 0.6), "unreadable as Parquet"),
    "damaged footer": (damage_footer, "unreadable as Parquet"),
    "no target": (lambda p: write(p, rows(target=None)), "no column 'target'"),
    "text target": (lambda p: write(p, rows(target=pa.array(["x", "y"]))), "to be string"),
    "text time": (lambda p: write(p, rows(timestamp=pa.array(["x", "y"]))), "a timestamp or date"),
    "nested id": (lambda p: write(p, rows(series_id=pa.array([[1], [2]]))), "a number or a string"),
    "naive time": (
        lambda p: write(p, rows(timestamp=pa.array([0, 1], pa.timestamp("us")))),
        "without a time zone",
    ),
    "column named twice": (
        lambda p: write(p, rows().append_column("target", pa.array([1.0, 2.0]))),
        "2 columns 'target'",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_source_is_refused_in_one_sentence_of_found_needed_and_what_to_do(tmp_path, name):
    make, said = BAD_FILES[name]
    path = tmp_path / "rows.parquet"
    make(path)
    with pytest.raises(SourceError) as caught:
        look_at(SourceSpec(uri=str(path)))
    sentence = str(caught.value)
    assert said in sentence
    assert str(path) in sentence
    assert sentence.startswith("found ")
    assert ", needed " in sentence
    assert "; " in sentence
    assert "\n" not in sentence


def test_column_of_a_file_with_thousands_is_missed_in_a_short_sentence(tmp_path):
    wide = pa.table({f"c{i}": pa.array([1.0]) for i in range(3000)})
    with pytest.raises(SourceError, match="2980 more") as caught:
        look_at(SourceSpec(uri=str(write(tmp_path / "x.parquet", wide))))
    assert len(str(caught.value)) < 800


def test_file_damaged_inside_is_refused_while_it_is_read(tmp_path):
    table = pa.table({"x": pa.array(range(100_000))})
    path = tmp_path / "x.parquet"
    pq.write_table(table, path, compression="zstd")
    data = bytearray(path.read_bytes())
    data[1000:60_000] = b"\x00" * 59_000
    path.write_bytes(data)
    with pytest.raises(SourceError, match="damaged inside"):
        list(read_batches(path))


def test_file_that_vanishes_after_listing_is_refused(tmp_path):
    with pytest.raises(SourceError, match="gone since"):
        list(read_batches(tmp_path / "x.parquet"))


def test_file_folder_and_glob_name_the_same_files(tmp_path):
    files = [write(tmp_path / "year" / f"{n}.parquet") for n in "ab"]
    (tmp_path / "year" / "README").write_text("not a table")
    assert list_files(str(tmp_path)) == files
    assert list_files(str(tmp_path / "*" / "*.parquet")) == files
    assert list_files(str(files[0])) == files[:1]


def test_hidden_and_half_written_files_of_a_folder_are_passed_over(tmp_path):
    kept = write(tmp_path / "a.parquet")
    for name in (".a.parquet", "_temporary/0/a.parquet", "x/.staging/a.parquet"):
        write(tmp_path / name)
    assert list_files(str(tmp_path)) == [kept]


def test_brackets_in_a_name_are_not_a_pattern_when_the_name_exists(tmp_path):
    path = write(tmp_path / "data[1]" / "a[2].parquet")
    assert list_files(str(path)) == [path]
    assert list_files(str(path.parent)) == [path]


def test_fingerprint_stays_for_the_same_files_and_changes_with_rows_or_time(tmp_path):
    path = write(tmp_path / "a.parquet")
    source = SourceSpec(uri=str(tmp_path))
    first = look_at(source)
    assert look_at(source) == first
    os.utime(path, ns=(1, 1))
    touched = look_at(source)
    write(path, rows(target=pa.array([1.0, 3.0])))
    os.utime(path, ns=(1, 1))
    changed = look_at(source)
    assert len({first.fingerprint, touched.fingerprint, changed.fingerprint}) == 3
    assert first.files[0].rows == 2


def test_dictionary_columns_and_dates_are_accepted(tmp_path):
    table = rows(
        series_id=pa.array(["001", "b"]).dictionary_encode(),
        timestamp=pa.array([0, 1], pa.date32()),
    )
    assert look_at(SourceSpec(uri=str(write(tmp_path / "a.parquet", table)))).files[0].rows == 2

"""Sources that cannot be used are refused in one sentence; others are recognised."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seqmodel.errors import SourceError
from seqmodel.specs import SourceSpec
from seqmodel.table.reading import list_files, look_at, observe_schema, read_batches
from seqmodel.table.schemas import check_kinds, read_keys

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
    "whole number time": (lambda p: write(p, rows(timestamp=pa.array([0, 1]))), "to be int64"),
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
    with pytest.raises(SourceError, match="2995 more") as caught:
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
    assert list_files(str(tmp_path)) == [str(f) for f in files]
    assert list_files(str(tmp_path / "*" / "*.parquet")) == [str(f) for f in files]
    assert list_files(str(files[0])) == [str(files[0])]


def test_hidden_and_half_written_files_of_a_folder_are_passed_over(tmp_path):
    kept = write(tmp_path / "a.parquet")
    for name in (".a.parquet", "_temporary/0/a.parquet", "x/.staging/a.parquet"):
        write(tmp_path / name)
    assert list_files(str(tmp_path)) == [str(kept)]


def test_brackets_in_a_name_are_not_a_pattern_when_the_name_exists(tmp_path):
    path = write(tmp_path / "data[1]" / "a[2].parquet")
    assert list_files(str(path)) == [str(path)]
    assert list_files(str(path.parent)) == [str(path)]


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


def test_file_urls_and_urls_of_fsspec_are_read(tmp_path):
    path = write(tmp_path / "a b" / "x.parquet")
    assert list_files((tmp_path / "a b").as_uri()) == [str(path)]
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe("/bin/k=1/x.parquet", path.read_bytes())
    for uri in ("memory://bin", "memory://bin/*/x.parquet", "memory://bin/k=*"):
        (stamp,) = look_at(SourceSpec(uri=uri)).files
        assert stamp.uri == "memory:///bin/k=1/x.parquet"
        assert next(read_batches(stamp.uri))["k"].to_pylist() == ["1", "1"]


@pytest.mark.parametrize("uri", ["zzz://a/b.parquet", "hdfs://nowhere.invalid:1/b.parquet"])
def test_url_that_nothing_reads_is_refused(uri):
    with pytest.raises(SourceError, match="found no way to read"):
        list_files(uri)


def test_link_that_leads_nowhere_is_refused_and_not_passed_over(tmp_path):
    write(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").symlink_to(tmp_path / "gone.parquet")
    for uri in (tmp_path, tmp_path / "b.parquet", tmp_path / "*.parquet"):
        with pytest.raises(SourceError, match="link that leads nowhere"):
            look_at(SourceSpec(uri=str(uri)))


def test_linked_folders_are_followed_and_circles_are_not(tmp_path):
    write(tmp_path / "elsewhere" / "a.parquet")
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "in").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "source" / "round").symlink_to(tmp_path / "source")
    found = list_files(str(tmp_path / "source"))
    assert found == [str(tmp_path / "source" / "in" / "a.parquet")]


def test_folders_that_match_a_glob_count_with_all_they_hold_but_the_hidden(tmp_path):
    kept = write(tmp_path / "year=2024" / "month=1" / "a.parquet")
    for name in ("year=2024/_tmp/b.parquet", "_year=2024/c.parquet"):
        write(tmp_path / name)
    (tmp_path / "year=2024" / "README").write_text("not a table")
    assert list_files(str(tmp_path / "*2024")) == [str(kept)]
    assert list_files(str(tmp_path / "**" / "*.parquet")) == [str(kept)]


def test_keys_of_folders_are_text_and_the_files_own_column_wins(tmp_path):
    path = write(tmp_path / "series_id=7" / "city=K%C3%B6ln" / "x=" / "n=001" / "a.parquet")
    assert read_keys(path) == {"series_id": "7", "city": "Köln", "x": "", "n": "001"}
    batch = next(read_batches(path))
    assert batch["series_id"].to_pylist() == ["001", "b"]
    assert batch["city"].to_pylist() == ["Köln"] * 2
    assert next(read_batches(path, ["n", "target"])).to_pylist()[0] == {"n": "001", "target": 1.0}
    source = SourceSpec(uri=str(tmp_path), series_id=("city", "n"), static=("x",))
    assert look_at(source).files[0].rows == 2


def test_key_without_value_is_null(tmp_path):
    path = write(tmp_path / "k=__HIVE_DEFAULT_PARTITION__" / "a.parquet")
    assert next(read_batches(path))["k"].null_count == 2


def test_types_of_all_files_are_reconciled(tmp_path):
    whole = write(tmp_path / "a.parquet", rows(target=pa.array([1, 2]), x=pa.nulls(2)))
    real = write(tmp_path / "b.parquet", rows(x=pa.array(["u", "v"])))
    later = write(tmp_path / "c.parquet", rows(rain=pa.array([1, 2], pa.int8())))
    source = SourceSpec(uri=str(tmp_path), past=("x",), known=("rain",))
    assert len(look_at(source).files) == 3
    observed = observe_schema([whole, real, later], source)
    kinds = [str(observed.field(n).type) for n in ("target", "x", "rain")]
    assert kinds == ["double", "string", "int8"]


@pytest.mark.parametrize("name", ["series_id", "x"])
def test_text_that_meets_numbers_is_refused_by_file_and_column(tmp_path, name):
    one = write(tmp_path / "a.parquet", rows(x=pa.array([1, 2]), series_id=pa.array([1, 2])))
    columns = {"x": pa.array([1, 2]), "series_id": pa.array([1, 2]), name: pa.array(["u", "v"])}
    two = write(tmp_path / "b.parquet", rows(**columns))
    source = SourceSpec(uri=str(tmp_path), past=("x",))
    with pytest.raises(SourceError, match=f"'{name}' of .*b.parquet to be string.*numbers") as e:
        look_at(source)
    assert str(one) in str(e.value)
    if name == "x":
        first = observe_schema([one], source)
        with pytest.raises(SourceError, match=r"'x' of .*b\.parquet"):
            check_kinds(two, pq.read_schema(two), first, source)


def test_covariate_that_no_file_has_is_refused_and_a_static_one_is_needed_in_each(tmp_path):
    write(tmp_path / "a.parquet", rows(kind=pa.array(["u", "v"])))
    last = write(tmp_path / "b.parquet")
    with pytest.raises(SourceError, match="no column 'rain'"):
        look_at(SourceSpec(uri=str(tmp_path), past=("rain",)))
    with pytest.raises(SourceError, match="no column 'kind'") as caught:
        look_at(SourceSpec(uri=str(tmp_path), static=("kind",)))
    assert str(last) in str(caught.value)


def test_wide_files_need_numbers_and_a_column_must_not_be_text_elsewhere(tmp_path):
    wide = {"series_id": None, "target": None}
    write(tmp_path / "a.parquet", rows(**wide, m1=pa.array([1, 2]), note=pa.array(["x", "y"])))
    source = SourceSpec(uri=str(tmp_path), layout="wide")
    assert look_at(source).files[0].rows == 2
    write(tmp_path / "b.parquet", rows(**wide, m1=pa.array(["x", "y"]), m2=pa.array([1, 2])))
    with pytest.raises(SourceError, match=r"'m1' of .*b\.parquet"):
        look_at(source)
    write(tmp_path / "b.parquet", rows(**wide, note=pa.array(["x", "y"])))
    with pytest.raises(SourceError, match=r"no column of numbers in .*b\.parquet"):
        look_at(source)


def test_files_of_many_columns_come_in_batches_of_fewer_rows(tmp_path):
    table = pa.table({f"c{i}": pa.array(range(5000)) for i in range(500)})
    batches = list(read_batches(write(tmp_path / "a.parquet", table)))
    assert max(b.num_rows * b.num_columns for b in batches) <= 2**20
    assert sum(b.num_rows for b in batches) == 5000

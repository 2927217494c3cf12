"""Ingest against an independent count: every row is somewhere, once."""

import json
import math
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel.errors import DataError, SourceError
from seqmodel.specs import PipelineSpec
from seqmodel.store.runs import name_run
from seqmodel.store.store import Store
from seqmodel.store.tables import list_parts, publish_table, read_future, read_rows
from seqmodel.table.ingesting import ingest_table
from seqmodel.table.reading import look_at

START = datetime(2024, 1, 1, tzinfo=UTC)
AS_OF = START + timedelta(hours=8)  # the step of 07:00 is the last that is over
COLUMNS = ["series_id", "timestamp", "target", "price"]
FLOATS = st.one_of(st.none(), st.floats(-3, 9), st.sampled_from([math.inf, -math.inf, math.nan]))
ROW = st.tuples(
    st.sampled_from([None, "001", "1", "b"]),
    st.one_of(st.none(), st.integers(0, 14), st.just(0.5)),
    FLOATS,
    st.floats(0, 9),
)
FILES = st.lists(st.lists(ROW, max_size=25), min_size=1, max_size=3)


def write(root, files, naive=False):
    root.mkdir(exist_ok=True)
    zone = None if naive else "UTC"
    schema = [pa.string(), pa.timestamp("ns", zone), pa.float64(), pa.float64()]
    for number, rows in enumerate(files):
        full = [(s, t if t is None else START + timedelta(hours=t), y, p) for s, t, y, p in rows]
        columns = list(zip(*full, strict=True)) or [[]] * 4
        arrays = [pa.array(c, k, from_pandas=False) for c, k in zip(columns, schema, strict=True)]
        pq.write_table(pa.table(arrays, names=COLUMNS), root / f"{number}.parquet")
    return root


def make_spec(uri, **source):
    names = {"uri": str(uri), "known": ("price",), "timezone": "UTC", **source}
    quality = {"minimum": 0, "max_quarantined": 1}
    return PipelineSpec(name="p", source=names, quality=quality, window={"horizon": 3})


def ingest(root, spec, as_of=AS_OF):
    store, source = Store(root), look_at(spec.source)
    run = name_run(spec, as_of, source)
    return store, run, ingest_table(store, run, as_of, source, spec)


def judge(row):
    """Say what becomes of one row before duplicates are looked at."""
    series, hour, target, _ = row
    if hour is not None and hour > 7:
        return "after_as_of"
    broken = series is None or hour is None
    broken = broken or (target is not None and (math.isinf(target) or target < 0))
    return "quarantined" if broken else "kept"


def count(rows, seen):
    found = Counter(read=len(rows), kept=0, quarantined=0, duplicates=0, after_as_of=0)
    found.update(judge(row) for row in rows)
    last = {row[:2]: i for i, row in enumerate(rows) if judge(row) == "kept"}
    stays = len(set(last) - seen)
    found["duplicates"] = found["kept"] - stays
    found["kept"] = stays
    return found, seen | set(last)


@settings(deadline=None, max_examples=60)
@given(FILES, st.booleans())
def test_independent_count_of_a_dirty_source_equals_the_ledger(files, naive):
    with tempfile.TemporaryDirectory() as folder:
        spec = make_spec(write(Path(folder) / "source", files, naive))
        # The last row of a step stays: count the files backwards.
        wanted, seen = [], set()
        for rows in reversed(files):
            counted, seen = count(rows, seen)
            wanted.insert(0, dict(counted))
        if not seen:
            with pytest.raises(DataError, match="found no row"):
                ingest(Path(folder) / "data", spec)
            return
        store, run, table = ingest(Path(folder) / "data", spec)
        found = json.loads(store.path(f"{run.key}/ledger.json").read_text())
        assert list(found.pop("files").values()) == wanted
        assert found == {name: sum(w[name] for w in wanted) for name in found}
        assert found["read"] == sum(found[n] for n in found if n != "read")
        check_places(store, table, [row for rows in files for row in rows])


def check_places(store, table, rows):
    folder = store.find(table.key)
    stored = read_rows(folder, COLUMNS)
    keys = list(zip(stored["series_id"].to_pylist(), stored["timestamp"].to_pylist(), strict=True))
    assert keys == sorted({(s, START + timedelta(hours=h)) for s, h, *_ in kept_of(rows)})
    assert table.series == len({s for s, _ in keys})
    assert table.cutoff == max(t for _, t in keys)
    aside = pq.read_table(store.path(table.quarantine)) if table.quarantine else ()
    assert len(aside) == table.ledger.quarantined
    newest = {(r[0], r[1]): r[3] for r in rows if is_near(r)}
    future = read_future(folder)
    assert table.future == len(newest) == (future.num_rows if future else 0)
    if future:
        assert sorted(future["price"].to_pylist()) == sorted(newest.values())


def kept_of(rows):
    return [row for row in rows if judge(row) == "kept"]


def is_near(row):
    series, hour, target, _ = row
    sound = series is not None and (target is None or not (math.isinf(target) or target < 0))
    return sound and hour is not None and 7 < hour <= 10


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_same_rows_in_other_order_and_other_files_give_the_same_fingerprint(data):
    unique = st.lists(ROW, min_size=1, max_size=30, unique_by=lambda r: r[:2])
    rows = [("b", 0, 1.0, 1.0)] + [
        r for r in data.draw(unique) if None not in r[:2] and r[:2] != ("b", 0)
    ]
    other = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))
    with tempfile.TemporaryDirectory() as folder:
        prints = []
        for name, files in {"a": [rows], "b": [other[:cut], other[cut:]]}.items():
            spec = make_spec(write(Path(folder) / name, files))
            prints.append(ingest(Path(folder) / "data", spec)[2].fingerprint)
    assert prints[0] == prints[1]


def test_exact_duplicates_do_not_change_the_fingerprint(tmp_path):
    rows = [("001", h, 1.0, 1.0) for h in range(8)]
    once = ingest(tmp_path, make_spec(write(tmp_path / "a", [rows])))[2]
    twice = ingest(tmp_path, make_spec(write(tmp_path / "b", [rows, rows])))[2]
    assert once.fingerprint == twice.fingerprint
    assert twice.ledger.duplicates == 8
    assert twice.files[0].ledger.kept == 0


@pytest.mark.parametrize(("policy", "stays"), [("last", 2.0), ("first", 1.0)])
def test_policy_says_which_of_two_rows_stays_across_files(tmp_path, policy, stays):
    files = [[("001", 0, 1.0, 1.0)], [("001", 0, 2.0, 1.0)]]
    spec = make_spec(write(tmp_path / "s", files), duplicates=policy)
    store, _, table = ingest(tmp_path, spec)
    rows = read_rows(store.find(table.key), ["series_id", "target"])
    assert rows.to_pylist() == [{"series_id": "001", "target": stays}]


def test_backfill_is_not_refused_for_bad_rows_that_come_later(tmp_path):
    rows = [("a", 0, 1.0, 1.0), *(("a", h, math.inf, 1.0) for h in range(9, 14))]
    spec = make_spec(write(tmp_path / "s", [rows]))
    spec = spec.model_copy(
        update={"quality": spec.quality.model_copy(update={"max_quarantined": 0.0})}
    )
    ledger = ingest(tmp_path, spec)[2].ledger
    assert (ledger.kept, ledger.quarantined, ledger.after_as_of) == (1, 0, 5)


def test_too_many_bad_rows_are_refused_with_the_path_of_the_reasons(tmp_path):
    rows = [("a", 0, 1.0, 1.0), ("a", 1, math.inf, 1.0)]
    spec = make_spec(write(tmp_path / "s", [rows]))
    spec = spec.model_copy(
        update={"quality": spec.quality.model_copy(update={"max_quarantined": 0.4})}
    )
    with pytest.raises(DataError, match=r"1 of 2 rows \(50.0%\).*quarantine/.*parquet"):
        ingest(tmp_path, spec)
    (aside,) = (tmp_path / "p/quarantine").glob("*.parquet")
    assert pq.read_table(aside).to_pylist()[0]["reason"] == "target is infinite"


def spoil_rows(path):
    pq.write_table(pq.read_table(path).slice(1), path)


def spoil_type(path):
    table = pq.read_table(path)
    pq.write_table(table.set_column(3, "price", pa.array(["dear"] * len(table))), path)


def spoil_bytes(path):
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (spoil_rows, "1 rows in .*needed the 2"),
        (spoil_type, "'price' of .*needed numbers as in the first file"),
        (spoil_bytes, "unreadable as Parquet"),
        (Path.unlink, "gone since"),
    ],
)
def test_file_that_changes_after_it_was_looked_at_is_refused_and_nothing_published(
    tmp_path, spoil, said
):
    rows = [("a", 0, 1.0, 1.0), ("a", 1, 1.0, 1.0)]
    spec = make_spec(write(tmp_path / "s", [rows, rows]))
    source = look_at(spec.source)
    run = name_run(spec, AS_OF, source)
    spoil(tmp_path / "s" / "1.parquet")
    pointer = tmp_path / "p" / "champion.json"
    pointer.parent.mkdir()
    pointer.write_text("{}")
    with pytest.raises(SourceError, match=said) as caught:
        ingest_table(Store(tmp_path), run, AS_OF, source, spec)
    assert "\n" not in str(caught.value)
    assert pointer.read_text() == "{}"
    left = {p.name for p in (tmp_path / "p").iterdir()}
    assert left <= {"champion.json", "staging"}
    assert not list((tmp_path / "p" / "staging").glob("tmp-*"))


def test_table_is_staged_until_it_is_published(tmp_path):
    spec = make_spec(write(tmp_path / "s", [[("a", 0, 1.0, 1.0)]]))
    store, _, table = ingest(tmp_path, spec)
    assert not store.path(table.key).exists()
    publish_table(store, table)
    assert list_parts(store.path(table.key))

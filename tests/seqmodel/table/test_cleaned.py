"""Only new files are cleaned, and the table is the same as if all had been."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import TableRef
from seqmodel.store.runs import name_run
from seqmodel.store.store import Store
from seqmodel.table import cleaned
from seqmodel.table.ingesting import ingest_table
from seqmodel.table.reading import look_at

HOUR = 3_600_000_000
START = 1_700_000_000_000_000 // HOUR * HOUR
LATE = datetime(2030, 1, 1, tzinfo=UTC)


def write_file(folder: Path, number: int, steps: range, value: float, *, bad: int = 0) -> None:
    """Two series of hourly rows, the first `bad` of them infinite."""
    folder.mkdir(exist_ok=True)
    n = len(steps)
    target = np.full(2 * n, value)
    target[:bad] = np.inf
    rows = pa.table(
        {
            "series_id": ["a"] * n + ["b"] * n,
            "timestamp": pa.array([START + HOUR * s for s in steps] * 2).cast(
                pa.timestamp("us", tz="UTC")
            ),
            "target": target,
            "plan": np.arange(2.0 * n),
        }
    )
    pq.write_table(rows, folder / f"{number}.parquet")


def make_spec(folder: Path, duplicates: str = "last") -> PipelineSpec:
    source = {"uri": str(folder), "target": "target", "known": ["plan"], "duplicates": duplicates}
    quality = {"max_quarantined": 1.0}
    return PipelineSpec.model_validate({"name": "p", "source": source, "quality": quality})


def ingest(root: Path, spec: PipelineSpec, as_of: datetime = LATE) -> TableRef:
    source = look_at(spec.source)
    return ingest_table(Store(root), name_run(spec, as_of, source), as_of, source, spec)


@pytest.fixture
def counted(monkeypatch):
    """Names of the files that are really cleaned."""
    names = []
    clean = cleaned.clean_file

    def count(folder, stamp, schema, spec):
        names.append(Path(stamp.uri).name)
        clean(folder, stamp, schema, spec)

    monkeypatch.setattr(cleaned, "clean_file", count)
    return names


def test_only_a_new_file_is_cleaned_and_the_table_is_as_if_all_were(tmp_path, counted):
    source, spec = tmp_path / "s", make_spec(tmp_path / "s")
    write_file(source, 0, range(10), 1.0, bad=2)
    write_file(source, 1, range(10, 20), 2.0)
    ingest(tmp_path / "grown", spec)
    write_file(source, 2, range(20, 30), 3.0, bad=1)
    counted.clear()
    grown = ingest(tmp_path / "grown", spec)
    assert counted == ["2.parquet"]
    whole = ingest(tmp_path / "whole", spec)
    assert grown.fingerprint == whole.fingerprint
    assert grown.files == whole.files
    assert grown.ledger.quarantined == 3


def test_a_late_correction_in_a_new_file_is_honoured(tmp_path, counted):
    source, spec = tmp_path / "s", make_spec(tmp_path / "s")
    write_file(source, 0, range(10), 1.0)
    write_file(source, 1, range(10, 20), 2.0)
    ingest(tmp_path / "grown", spec)
    write_file(source, 2, range(5, 8), 99.0)
    counted.clear()
    grown = ingest(tmp_path / "grown", spec)
    assert counted == ["2.parquet"]
    assert grown.ledger.duplicates == 6
    assert grown.files[0].ledger.duplicates == 6, "the corrected rows are those of the first file"
    assert grown.fingerprint == ingest(tmp_path / "whole", spec).fingerprint


def test_a_changed_file_is_cleaned_again(tmp_path, counted):
    source, spec = tmp_path / "s", make_spec(tmp_path / "s")
    write_file(source, 0, range(10), 1.0)
    write_file(source, 1, range(10, 20), 2.0)
    ingest(tmp_path / "grown", spec)
    write_file(source, 1, range(10, 20), 5.0)
    os.utime(source / "1.parquet", ns=(1, 1))
    counted.clear()
    ingest(tmp_path / "grown", spec)
    assert counted == ["1.parquet"]


def test_a_later_as_of_cleans_nothing_and_lets_the_later_rows_in(tmp_path, counted):
    source, spec = tmp_path / "s", make_spec(tmp_path / "s")
    write_file(source, 0, range(10), 1.0, bad=1)
    write_file(source, 1, range(10, 20), 2.0, bad=1)
    early = datetime.fromtimestamp((START + 10 * HOUR) / 1e6, UTC)
    first = ingest(tmp_path / "grown", spec, early)
    assert (first.ledger.kept, first.ledger.quarantined, first.ledger.after_as_of) == (19, 1, 20)
    assert first.future == 20 - 1, "what is not sound tells nothing of the future"
    counted.clear()
    later = ingest(tmp_path / "grown", spec)
    assert counted == []
    assert (later.ledger.kept, later.ledger.quarantined, later.ledger.after_as_of) == (38, 2, 0)


def test_a_knob_that_changes_the_cleaning_cleans_again(tmp_path, counted):
    source, spec = tmp_path / "s", make_spec(tmp_path / "s")
    write_file(source, 0, range(10), 1.0)
    write_file(source, 1, range(10, 20), 2.0)
    ingest(tmp_path / "grown", spec)
    counted.clear()
    other = spec.model_copy(update={"quality": spec.quality.model_copy(update={"minimum": 1.5})})
    assert ingest(tmp_path / "grown", other).ledger.quarantined == 20
    assert counted == ["0.parquet", "1.parquet"]


def test_files_that_the_source_no_longer_has_leave_no_trace(tmp_path):
    source, spec = tmp_path / "s", make_spec(tmp_path / "s")
    for number in range(3):
        write_file(source, number, range(10 * number, 10 * number + 10), 1.0)
    ingest(tmp_path / "root", spec)
    kept = tmp_path / "root" / "p" / "staging" / "cleaned"
    assert len(list(kept.iterdir())) == 3
    (source / "0.parquet").unlink()
    ingest(tmp_path / "root", spec)
    assert len(list(kept.iterdir())) == 2


@settings(max_examples=15, deadline=None)
@given(
    files=st.lists(
        st.tuples(st.integers(0, 8), st.integers(1, 6), st.integers(0, 3)), min_size=2, max_size=4
    ),
    policy=st.sampled_from(["last", "first"]),
)
def test_file_by_file_gives_the_same_table_as_all_at_once(tmp_path_factory, files, policy):
    folder = tmp_path_factory.mktemp("files")
    spec = make_spec(folder / "s", policy)
    for number, (start, length, bad) in enumerate(files):
        # One sound row at least: a table of nothing is refused.
        broken = min(bad, 2 * length - 1)
        write_file(folder / "s", number, range(start, start + length), number + 1.0, bad=broken)
        if number:
            grown = ingest(folder / "grown", spec)
    whole = ingest(folder / "whole", spec)
    assert grown.fingerprint == whole.fingerprint
    assert grown.files == whole.files
    ledger = next((folder / "grown").rglob("ledger.json"))
    assert json.loads(ledger.read_text())["files"]

"""Every kind of dirty source ends in a clean table plus quarantine, or in one clear sentence."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prefect.testing.utilities import prefect_test_harness

from flows.command import parse_flags, run_command
from flows.nightly import nightly
from seqmodel.errors import DataError, SpecError
from seqmodel.specs import PipelineSpec
from seqmodel.store.fingerprints import digest_file
from seqmodel.store.refs import TableRef
from seqmodel.store.runs import name_run
from seqmodel.store.store import Store
from seqmodel.store.tables import publish_table
from seqmodel.table.ingesting import ingest_table
from seqmodel.table.reading import look_at
from tasks.judging import explain, judge
from tests.faults import corpus
from tests.faults.corpus import AS_OF, HOURS, KINDS, MOMENT, START, Kind, good, put
from tests.faults.counting import WORDS, Count, Meaning, count_source

NOBODY = 65534
NAME = "p"
#: Letters of a sentence beside the paths in it.
LONGEST = 420
CANONICAL = {"series_id": "string", "timestamp": "timestamp[us, tz=UTC]", "target": "double"}
SMALL = {
    "name": NAME,
    "window": {"lookback": 6, "horizon": 2},
    "backtest": {"cutoffs": 2, "step": 3},
}


@dataclass
class End:
    """How an ingest ended."""

    store: Store
    ledger: dict[str, Any] | None
    table: TableRef | None = None
    error: Exception | None = None


def make_spec(overrides: dict[str, Any], quality: dict[str, Any]) -> PipelineSpec:
    return PipelineSpec.model_validate({**SMALL, "source": overrides, "quality": quality})


def mean_of(overrides: dict[str, Any], as_of: datetime, quality: dict[str, Any]) -> Meaning:
    """Say in plain values what a spec means."""
    given = dict(overrides)
    covariates = tuple(n for role in ("past", "known", "static") for n in given.pop(role, ()))
    ids = given.pop("series_id", "series_id")
    limits = {name: quality.get(name) for name in ("minimum", "maximum")}
    ids = (ids,) if isinstance(ids, str) else ids
    return Meaning(as_of=as_of, series_id=ids, covariates=covariates, **given, **limits)


@pytest.fixture(scope="session")
def published(tmp_path_factory) -> Path:
    """A data root with a table, a pointer, a model and a forecast."""
    folder = tmp_path_factory.mktemp("published")
    spec = make_spec(put(folder, good(("old",), 30)), {})
    store = Store(folder / "root")
    source = look_at(spec.source)
    run = name_run(spec, AS_OF, source)
    publish_table(store, ingest_table(store, run, AS_OF, source, spec))
    pointer = {"version": "v1", "previous": None, "reason": "first", "promoted_at": "2024-01-01"}
    store.write_json(f"{NAME}/champion.json", pointer)
    store.write_json(f"{NAME}/models/v1/manifest.json", {"version": "v1"})
    store.write_json(f"{NAME}/forecasts/cutoff=20240101T000000Z/_manifest.json", {"rows": 0})
    return store.root


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter; those of pytest are closed to others."""
    place = Path(tempfile.mkdtemp(prefix="seqmodel-faults-")).resolve()
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


def snapshot(root: Path) -> dict[str, str]:
    return {str(p): digest_file(p) for p in sorted(root.rglob("*")) if p.is_file()}


@contextmanager
def without_rights() -> Iterator[None]:
    """Be nobody for a while, where we are root: root may read everything."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def acting_while_reading(kind: Kind, folder: Path) -> Iterator[None]:
    """Let something happen to the source once the first rows of its second file are out."""
    if kind.during is None:
        yield
        return
    iterate, files, acts = pq.ParquetFile.iter_batches, [], []

    def iter_slowly(file, *, batch_size=0, **options):
        del batch_size
        files.append(file)
        for number, batch in enumerate(iterate(file, batch_size=8, **options)):
            yield batch
            if len(files) == 2 and number == 0:
                acts.append(kind.during)
                kind.during(folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pq.ParquetFile, "iter_batches", iter_slowly)
        yield
    assert acts, "nothing happened: the files are no longer read by ParquetFile.iter_batches"


def run_kind(kind: Kind, folder: Path, root: Path, overrides: dict[str, Any]) -> End:
    """Look at a source, clean it, and say how that ended."""
    store, table, error, run = Store(root), None, None, None
    spec = make_spec(overrides, kind.quality)
    try:
        with without_rights() if kind.unprivileged else nullcontext():
            source = look_at(spec.source)
        run = name_run(spec, kind.as_of, source)
        if kind.then:
            kind.then(folder)
        with acting_while_reading(kind, folder):
            table = ingest_table(store, run, kind.as_of, source, spec)
    except DataError as refused:
        error = refused
    ledger = store.path(f"{run.key}/ledger.json") if run else None
    found = json.loads(ledger.read_text()) if ledger and ledger.exists() else None
    return End(store, found, table, error)


def as_parameter(kind: Kind) -> Any:
    fails = pytest.mark.xfail(strict=True, run=not kind.hangs, reason=kind.broken)
    marks = [fails] if kind.broken else []
    return pytest.param(kind, id=kind.name.replace(" ", "-"), marks=marks)


def test_the_corpus_is_large_and_every_kind_has_a_name_of_its_own():
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 60
    for ends in ("clean", "refused", "wrong spec"):
        assert any(kind.ends == ends for kind in KINDS)


@pytest.mark.parametrize("kind", [as_parameter(kind) for kind in KINDS])
def test_a_dirty_source_ends_clean_or_in_one_sentence(kind, folder, published, tmp_path):
    overrides = kind.build(folder)
    root = Path(shutil.copytree(published, tmp_path / "root"))
    before = snapshot(root)
    if kind.ends == "wrong spec":
        assert_one_sentence(refuse_spec(overrides, folder), kind, folder)
        return
    wanted = None
    if kind.ends != "refused":
        wanted = count_source(mean_of(overrides, kind.as_of, kind.quality))
    end = run_kind(kind, folder, root, overrides)
    if end.error is not None:
        assert kind.ends != "clean", end.error
        assert end.error.exit_code == 3
        assert_one_sentence(str(end.error), kind, folder)
        if end.ledger:
            assert_adds_up(end.ledger)
    else:
        assert kind.ends != "refused", end.ledger
        assert_equal_to_the_count(end, wanted, mean_of(overrides, kind.as_of, kind.quality))
        assert_judged(end, kind, overrides)
    assert before.items() <= snapshot(root).items()
    assert not list(root.glob("**/table")), "a half-made table was left behind"


def assert_judged(end: End, kind: Kind, overrides: dict[str, Any]) -> None:
    if not kind.judged:
        return
    verdict = judge(end.store.find(end.table.key), make_spec(overrides, kind.quality), kind.as_of)
    assert ("stops" if verdict.stops else "passes") == kind.judged, explain(verdict)
    if not verdict.stops:
        assert [r.rule for r in verdict.rules if r.outcome == "not evaluated"] == []
    else:
        assert_one_sentence(explain(verdict), None, end.store.root)


def refuse_spec(overrides: dict[str, Any], folder: Path) -> str:
    with pytest.raises(SpecError) as refused:
        parse_flags(["--deployment", NAME, "--prefect-file", str(deploy(folder, overrides, {}))])
    assert refused.value.exit_code == 2
    return str(refused.value)


def deploy(folder: Path, overrides: dict[str, Any], quality: dict[str, Any], **more: Any) -> Path:
    """Write a deployment of a spec."""
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in overrides.items()}
    spec = {**SMALL, **more, "source": plain, "quality": quality}
    parameters = {"spec": spec, "as_of": AS_OF.isoformat()}
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump({"deployments": [{"name": NAME, "parameters": parameters}]}))
    return path


def assert_one_sentence(sentence: str, kind: Kind | None, folder: Path) -> None:
    assert "found " in sentence
    assert "needed " in sentence
    assert "; " in sentence
    assert len(sentence.splitlines()) == 1, sentence
    assert len(sentence.replace(str(folder), "")) < LONGEST, sentence
    assert sentence.isprintable(), sentence
    if kind:
        assert kind.says in sentence


def assert_adds_up(ledger: dict[str, Any]) -> None:
    for one in (ledger, *ledger["files"].values()):
        assert one["read"] == sum(one[word] for word in WORDS if word != "read")
    for word in WORDS:
        assert ledger[word] == sum(one[word] for one in ledger["files"].values())


def assert_equal_to_the_count(end: End, wanted: Count, meaning: Meaning) -> None:
    assert_adds_up(end.ledger)
    files = end.ledger["files"]
    assert [Path(name).name for name in files] == [Path(name).name for name in wanted.names]
    assert {word: end.ledger[word] for word in WORDS} == wanted.total
    for found, figures in zip(files.values(), wanted.files, strict=True):
        if meaning.duplicates == "mean":  # no row stays as it was: whose it is, is open
            found = {**found, "kept": found["kept"] + found["duplicates"], "duplicates": 0}  # noqa: PLW2901
            figures["kept"] += figures.pop("duplicates")
            figures["duplicates"] = 0
        assert {word: found[word] for word in WORDS} == dict(figures)
    assert_kept(end, wanted, meaning)
    assert_set_aside(end, wanted)


def read_table(folder: Path) -> pa.Table:
    parts = []
    for path in sorted(folder.glob("part-*.parquet")):
        with pq.ParquetFile(path) as file:
            parts.append(file.read())
    return pa.concat_tables(parts)


def assert_kept(end: End, wanted: Count, meaning: Meaning) -> None:
    table = read_table(end.store.find(end.table.key))
    types = {name: str(table.schema.field(name).type) for name in CANONICAL}
    assert types == CANONICAL
    assert set(table.column_names) == {*CANONICAL, *meaning.covariates}
    ids, targets = table["series_id"].to_pylist(), table["target"].to_pylist()
    moments = table["timestamp"].cast(pa.int64()).to_pylist()
    keys = list(zip(ids, moments, strict=True))
    assert all(above < below for above, below in pairwise(keys))
    values = wanted.values(meaning.duplicates)
    assert set(keys) == set(values)
    assert len(keys) == end.ledger["kept"] == end.table.ledger.kept
    for key, target in zip(keys, targets, strict=True):
        assert is_the_same(target, values[key]), key
    if meaning.duplicates == "mean":
        return
    others = wanted.covariates(meaning.duplicates)
    for number, name in enumerate(meaning.covariates):
        for key, value in zip(keys, table[name].to_pylist(), strict=True):
            assert is_the_same(value, others[key][number]), (key, name)


def is_the_same(found: float | str | None, wanted: float | str | None) -> bool:
    """Whether a stored value is what the source says; NaN says nothing."""
    if wanted is None or (isinstance(wanted, float) and math.isnan(wanted)):
        return found is None
    if isinstance(found, str):
        return found == wanted or math.isclose(float(found), float(wanted), rel_tol=1e-12)
    return found is not None and math.isclose(found, wanted, rel_tol=1e-12)


def assert_set_aside(end: End, wanted: Count) -> None:
    assert (end.table.quarantine is None) == (not wanted.aside)
    if not wanted.aside:
        return
    with pq.ParquetFile(end.store.path(end.table.quarantine)) as file:
        rows = file.read()
    places = zip(rows["source_file"].to_pylist(), rows["row_number"].to_pylist(), strict=True)
    assert sorted(places) == sorted(wanted.aside)
    assert rows["reason"].null_count == 0
    assert rows["row_number"].type == pa.int64()
    originals = set()
    for name in {name for name, _ in wanted.aside}:
        originals |= set(wanted.columns[name])
    added = {"reason", "source_file", "row_number"}
    assert (originals - added) <= set(rows.column_names)
    assert len(rows.column_names) >= len(originals) + len(added)


# ---- any mixture


SERIES = st.sampled_from([None, "001", "1", "b", "", "B", "b ", "a/b", "ä\n"])
HOUR = st.one_of(st.none(), st.integers(-3, HOURS + 3), st.sampled_from([0.5, 7.25, 7, 7, 7]))
TARGET = st.one_of(
    st.none(), st.floats(-3, 20), st.sampled_from([math.inf, -math.inf, math.nan, 0.0, 1e308])
)
FAR = st.sampled_from([datetime(y, 6, 1, tzinfo=UTC) for y in (1, 1677, 1969, 2023, 2262, 9999)])
ROW = st.tuples(SERIES, st.one_of(HOUR, HOUR, HOUR, FAR), TARGET)
SHAPE = st.fixed_dictionaries(
    {
        "ids": st.sampled_from([pa.string(), pa.large_string(), "dictionary"]),
        "moments": st.sampled_from(
            [MOMENT, pa.timestamp("us"), pa.timestamp("ms", "Asia/Tokyo"), pa.timestamp("ms")]
        ),
        "target": st.sampled_from([pa.float64(), pa.float32(), "dictionary"]),
        "options": st.sampled_from(
            [{}, {"row_group_size": 3}, {"compression": "gzip"}, {"data_page_version": "2.0"}]
        ),
    }
)
FILES = st.lists(st.tuples(st.lists(ROW, max_size=30), SHAPE), min_size=1, max_size=4)
POLICIES = st.fixed_dictionaries(
    {
        "duplicates": st.sampled_from(["last", "first"]),
        "timezone": st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia"]),
        "freq": st.sampled_from(["h", "15min", "D"]),
    }
)
LIMITS = st.fixed_dictionaries(
    {"minimum": st.sampled_from([None, 0.0]), "maximum": st.sampled_from([None, 15.0])}
)


def write_files(folder: Path, files: list[tuple[list[Any], dict[str, Any]]]) -> dict[str, Any]:
    for number, (rows, shape) in enumerate(files):
        table = corpus.rows_of(*rows)
        for name, to in (("series_id", shape["ids"]), ("target", shape["target"])):
            column = table[name]
            column = (
                column.dictionary_encode() if to == "dictionary" else column.cast(to, safe=False)
            )
            table = corpus.swap(table, name, column)
        table = corpus.cast(table, "timestamp", shape["moments"])
        source = put(folder, table, f"{number}.parquet", **shape["options"])
    return source


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(FILES, POLICIES, LIMITS, st.integers(-2, HOURS + 4))
def test_on_any_dirty_table_the_independent_count_is_the_ledger(files, policies, limits, hour):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        overrides = {**write_files(folder, files), **policies}
        quality = {**corpus.ALL, **limits}
        mixture = Kind(
            "any", lambda _: overrides, "either", "", quality, START + timedelta(hours=hour)
        )
        meaning = mean_of(overrides, mixture.as_of, quality)
        wanted = count_source(meaning)
        end = run_kind(mixture, folder, folder / "root", overrides)
        assert {word: end.ledger[word] for word in WORDS} == wanted.total
        if end.error is None:
            assert wanted.rows
            assert_equal_to_the_count(end, wanted, meaning)
        else:
            assert not wanted.rows
            assert_one_sentence(str(end.error), None, folder)
            assert_adds_up(end.ledger)


# ---- the command line


@pytest.fixture(scope="session")
def harness() -> Iterator[None]:
    """A temporary server; its first start migrates a database."""
    with prefect_test_harness(server_startup_timeout=120):
        yield


def run_main(monkeypatch: pytest.MonkeyPatch, *flags: str) -> int:
    """Run the command as a user would; return its exit code."""
    monkeypatch.setattr(sys, "argv", ["nightly", *flags])
    try:
        run_command(nightly)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


BY_NAME = {kind.name.replace(" ", "_"): kind for kind in KINDS}


@pytest.mark.parametrize(
    "name",
    [
        "truncated_in_the_footer",
        "encrypted_columns_behind_an_open_footer",
        "a_target_of_numbers_then_text",
        "null_ids_beyond_the_tolerance",
        "an_all_null_target",
        "the_target_as_covariate",
    ],
)
def test_the_command_line_says_one_sentence_and_leaves_what_was_published(
    harness, name, folder, published, tmp_path, monkeypatch, capfd
):
    del harness
    kind = BY_NAME[name]
    root = Path(shutil.copytree(published, tmp_path / "root"))
    before = snapshot(root)
    own = deploy(folder, kind.build(folder), kind.quality)
    flags = ["--deployment", NAME, "--prefect-file", str(own), "--data-root", str(root)]
    code = run_main(monkeypatch, *flags)
    err = capfd.readouterr().err
    said = [line for line in err.splitlines() if line.startswith("seqmodel: ")]
    assert code == (2 if kind.ends == "wrong spec" else 3), err
    assert len(said) == 1
    sentence = said[0].split(" (report:")[0]
    assert_one_sentence(sentence, None, folder)
    assert kind.says in sentence
    assert "Traceback" not in err
    assert before.items() <= snapshot(root).items()

"""The task: judged beside the last accepted table, shown, written down before it refuses."""

import json
import logging
from datetime import UTC, datetime, timedelta

import pyarrow.compute as pc
import pytest

from seqmodel.errors import QualityError
from seqmodel.store.ledgers import Ledger
from seqmodel.store.refs import RunRef, TableRef
from seqmodel.store.store import Store
from seqmodel.store.tables import fingerprint_table, table_key, write_table
from tasks import showing as module
from tasks.validate import validate
from tests.seqmodel.small import make_spec, make_table

SPEC = make_spec(quality={"max_drift": 0.05, "max_level_shift": 1.0})
AS_OF = datetime(2024, 1, 11, tzinfo=UTC)
RUN = RunRef(pipeline=SPEC.name, run="one", as_of=AS_OF)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQMODEL_DATA", str(tmp_path))
    return Store(tmp_path)


@pytest.fixture(autouse=True)
def shown(monkeypatch):
    """The table artifacts, by key; no server is needed."""
    found = {}

    def keep(table, key, description):
        found[key] = (table, description)

    monkeypatch.setattr(module, "create_table_artifact", keep)
    return found


def stage(store, table):
    """Put a table where ingest leaves it."""
    with store.workshop(SPEC.name) as shop:
        folder = shop / "table"
        folder.mkdir()
        write_table(folder / "part-00000.parquet", table)
        fingerprint = fingerprint_table(folder)
        key = table_key(SPEC.name, fingerprint)
        place = store.staged_path(key)
        place.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(place)
    ledger = Ledger(
        read=table.num_rows, kept=table.num_rows, quarantined=0, duplicates=0, after_as_of=0
    )
    return TableRef(
        key=key,
        fingerprint=fingerprint,
        series=3,
        first=AS_OF,
        cutoff=AS_OF,
        future=0,
        ledger=ledger,
        files=(),
    )


def run(ref, as_of=AS_OF, spec=SPEC):
    return validate.fn(run=RUN, as_of=as_of, table=ref, spec=spec)


def outcome(judged, name):
    (result,) = [r for r in judged.verdict.rules if r.rule == name]
    return result.outcome, result.found


def lift(table, by=50.0):
    lifted = pc.add(table["target"], by)
    return table.set_column(table.schema.get_field_index("target"), "target", lifted)


def test_a_first_table_is_published_with_its_profile(store):
    judged = run(stage(store, make_table()))
    short = judged.table.fingerprint[:16]
    assert store.path(f"{SPEC.name}/tables/{short}").is_dir()
    assert store.path(f"{SPEC.name}/profiles/{short}.parquet").is_file()
    assert outcome(judged, "drift") == ("passed", "nothing to check")


def test_a_second_table_is_judged_beside_the_first(store):
    run(stage(store, make_table()))
    judged = run(stage(store, lift(make_table())), AS_OF + timedelta(minutes=1))
    assert {r.rule for r in judged.verdict.failed} >= {"level", "drift"}
    assert judged.verdict.stops == ()
    assert outcome(judged, "as_many_series") == ("passed", "3 series where there were 3")


def test_a_repeated_run_says_the_same(store):
    ref = stage(store, make_table())
    first = run(ref)
    run(stage(store, lift(make_table())), AS_OF + timedelta(minutes=1))
    assert run(ref) == first


def test_a_missing_reference_never_fails(store):
    run(stage(store, make_table()))
    for path in store.path(f"{SPEC.name}/profiles").iterdir():
        path.write_bytes(b"damaged")
    judged = run(stage(store, lift(make_table())), AS_OF + timedelta(minutes=1))
    assert outcome(judged, "level") == ("passed", "nothing to check")


def test_a_refusal_is_written_and_shown_before_it_is_raised(store, shown):
    ref = stage(store, lift(make_table(), float("inf")))
    with pytest.raises(QualityError, match="infinite or NaN"):
        run(ref)
    written = json.loads(store.path(f"{RUN.key}/quality.json").read_bytes())
    assert {r["outcome"] for r in written["rules"]} >= {"failed"}
    rows, _ = shown[f"{SPEC.name}-quality"]
    assert (rows[0]["rule"], rows[0]["outcome"], rows[0]["severity"]) == (
        "finite",
        "failed",
        "critical",
    )
    assert rows[0]["examples"] == "000, 001, 002"
    assert len(rows) == len(written["rules"])
    assert not store.path(f"{SPEC.name}/profiles").exists()
    assert not store.path(ref.key).exists()


def test_an_artifact_that_fails_is_only_logged(store, monkeypatch, caplog):
    def refuse(*_, **__):
        raise RuntimeError("the server is away")

    monkeypatch.setattr(module, "create_table_artifact", refuse)
    monkeypatch.setattr(module, "get_run_logger", lambda: logging.getLogger("seqmodel"))
    with caplog.at_level(logging.WARNING):
        judged = run(stage(store, make_table()))
    assert judged.verdict.stops == ()
    assert "the server is away" in caplog.text


def test_example_rows_of_a_declared_rule_reach_the_verdict(store):
    rule = {
        "expectation": "expect_column_values_to_be_between",
        "arguments": {"column": "target", "max_value": 1},
        "severity": "warning",
    }
    judged = run(stage(store, make_table()), spec=make_spec(quality={"rules": [rule]}))
    (found,) = [r for r in judged.verdict.rules if "(quality.rules.0)" in r.rule]
    assert (found.outcome, len(found.rows)) == ("failed", 5)
    assert all(float(row.value) > 1 for row in found.rows)

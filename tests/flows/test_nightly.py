import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from flows.nightly import nightly
from flows.refresh import refresh
from flows.retrain import retrain
from seqmodel.errors import OutOfMemory, QualityError, SourceError
from seqmodel.reporting.night import Night
from seqmodel.specs import PipelineSpec
from seqmodel.store.fingerprints import digest_file
from seqmodel.store.forecasts import read_forecast
from tests.conftest import make_meters, meters_spec

AS_OF = datetime(2024, 2, 8, tzinfo=UTC)  # 38 of the 40 days have passed

pytestmark = pytest.mark.usefixtures("harness")


def make_spec(path: Path, **sections: object) -> PipelineSpec:
    return PipelineSpec.model_validate(meters_spec(path, **sections))


def run(flow, spec: PipelineSpec, root: Path, as_of: datetime = AS_OF) -> Night:
    ref = flow(spec=spec, as_of=as_of)
    return Night.model_validate_json((root / ref.night).read_text())


def outcomes(night: Night) -> dict[str, str]:
    return {record.step: record.outcome for record in night.steps}


def list_files(root: Path, *below: str) -> dict[str, str]:
    """Every file below some folders of the pipeline with its digest."""
    found = {}
    for name in below:
        place = root / "meters" / name
        paths = [place] if place.is_file() else sorted(place.rglob("*"))
        found |= {str(p.relative_to(root)): digest_file(p) for p in paths if p.is_file()}
    return found


@pytest.fixture(scope="module")
def first(harness, tmp_path_factory) -> tuple[Path, Path, Night]:
    """One night on fresh data: the source file, the data root, what the report says."""
    del harness
    folder = tmp_path_factory.mktemp("first")
    source, root = folder / "meters.parquet", folder / "root"
    pq.write_table(make_meters(), source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQMODEL_DATA", str(root))
        night = run(nightly, make_spec(source), root)
    return source, root, night


def test_a_first_night_leaves_the_files_of_the_contract(first):
    _, root, night = first
    pipeline = root / "meters"
    assert list(pipeline.glob("tables/*/part-*.parquet"))
    reports = pipeline / "reports" / night.run
    for name in ("ledger.json", "quality.json", "backtest.json", "report.html"):
        assert (reports / name).is_file(), name
    pointer = json.loads((pipeline / "champion.json").read_text())
    assert set(pointer) == {"version", "previous", "reason", "promoted_at"}
    manifest = json.loads((pipeline / "models" / pointer["version"] / "manifest.json").read_text())
    assert set(manifest["files"]) == {
        "model.keras",
        "preprocessor.json",
        "calibration.json",
        "distribution.json",
    }
    assert {"table", "spec", "seed", "versions", "holdout"} <= set(manifest)
    folder = pipeline / "forecasts" / "cutoff=20240207T230000Z"
    published = json.loads((folder / "_manifest.json").read_text())
    assert {"cutoff", "model_version", "rows", "series", "files"} <= set(published)
    assert published["rows"] == 18
    assert published["series"] == 3


def test_forecast_rows_have_the_contract_columns_and_start_at_as_of(first):
    _, root, _ = first
    rows = read_forecast(root / "meters" / "forecasts" / "cutoff=20240207T230000Z")
    names = ["series_id", "cutoff", "timestamp", "step", "q0.1", "q0.5", "q0.9", "model_version"]
    assert rows.column_names == names
    assert rows["timestamp"][0].as_py() == AS_OF
    assert sorted(set(rows["series_id"].to_pylist())) == ["001", "002", "003"]
    assert rows.schema.field("series_id").type == pa.string()
    q = rows.select(["q0.1", "q0.5", "q0.9"]).to_pandas()
    assert (q["q0.1"] <= q["q0.5"]).all()
    assert (q["q0.5"] <= q["q0.9"]).all()


def test_no_row_after_as_of_is_in_the_table_and_the_ledger_says_so(first):
    _, root, night = first
    table = pq.read_table(next((root / "meters").glob("tables/*/part-*.parquet")))
    assert pc.max(table["timestamp"]).as_py() < AS_OF
    assert night.ledger is not None
    assert night.ledger.balances
    assert night.ledger.after_as_of == 3 * 48
    ledger = json.loads((root / "meters" / "reports" / night.run / "ledger.json").read_text())
    assert ledger["read"] == 3 * 40 * 24
    assert sum(f["read"] for f in ledger["files"].values()) == ledger["read"]


def test_a_second_run_on_unchanged_input_redoes_nothing(first, monkeypatch):
    source, root, _ = first
    monkeypatch.setenv("SEQMODEL_DATA", str(root))
    below = ("tables", "models", "forecasts", "champion.json")
    before = list_files(root, *below)
    night = run(nightly, make_spec(source), root)
    assert set(outcomes(night).values()) == {"from cache"}
    assert list_files(root, *below) == before


@pytest.mark.long
def test_a_changed_knob_of_a_late_step_leaves_the_early_ones_cached(first, monkeypatch):
    source, root, _ = first
    monkeypatch.setenv("SEQMODEL_DATA", str(root))
    night = run(nightly, make_spec(source, forecast={"minimum": 0}), root)
    done = outcomes(night)
    assert [done[s] for s in ("ingest", "validate", "window", "train")] == ["from cache"] * 4
    assert done["forecast"] == "ran"
    assert (root / "meters" / "reports" / night.run / "ledger.json").is_file()


@pytest.mark.long
def test_a_forecast_that_was_cleared_away_is_made_again(first, monkeypatch):
    source, root, _ = first
    monkeypatch.setenv("SEQMODEL_DATA", str(root))
    manifest = root / "meters" / "forecasts" / "cutoff=20240207T230000Z" / "_manifest.json"
    run(nightly, make_spec(source), root)
    before = manifest.read_bytes()
    manifest.unlink()
    night = run(nightly, make_spec(source), root)
    assert outcomes(night)["forecast"] == "ran"
    assert manifest.read_bytes() == before, "the same cutoff gives the same bytes"


@pytest.mark.long
def test_the_next_night_compares_with_the_champion(first, monkeypatch):
    source, root, before = first
    monkeypatch.setenv("SEQMODEL_DATA", str(root))
    as_of = datetime(2024, 2, 9, tzinfo=UTC)
    night = run(nightly, make_spec(source), root, as_of)
    assert set(night.scores) == {"challenger", "champion", "baseline", "naive", "drift"}
    assert before.labels["challenger"].split()[-1] in night.labels["champion"]
    again = run(nightly, make_spec(source), root, as_of)
    assert set(outcomes(again).values()) == {"from cache"}


def test_refresh_forecasts_with_the_champion_and_trains_nothing(first, monkeypatch):
    source, root, _ = first
    monkeypatch.setenv("SEQMODEL_DATA", str(root))
    night = run(refresh, make_spec(source), root, datetime(2024, 2, 9, 5, 30, tzinfo=UTC))
    assert set(outcomes(night)) == {"ingest", "validate", "forecast"}
    folder = root / "meters" / "forecasts" / "cutoff=20240209T040000Z"
    assert json.loads((folder / "_manifest.json").read_text())["model_version"] != "baseline"


def test_without_a_champion_refresh_forecasts_with_the_baseline_and_says_so(meters_file, data_root):
    night = run(refresh, make_spec(meters_file), data_root)
    rows = read_forecast(data_root / "meters" / "forecasts" / "cutoff=20240207T230000Z")
    assert set(rows["model_version"].to_pylist()) == {"baseline"}
    assert any("seasonal naive" in note for note in night.notes)


@pytest.mark.long
def test_retrain_promotes_and_forecasts_nothing(meters_file, data_root):
    night = run(retrain, make_spec(meters_file, model={"kind": "lstm"}), data_root)
    assert night.promoted is not None
    assert not (data_root / "meters" / "forecasts").exists()
    assert night.labels["challenger"].startswith("lstm")


@pytest.mark.long
def test_a_training_that_overruns_its_deadline_still_leaves_a_forecast(meters_file, data_root):
    spec = make_spec(meters_file, train={"deadline": 0.2})
    night = run(nightly, spec, data_root)
    assert outcomes(night)["train"] == "failed"
    assert outcomes(night)["forecast"] == "ran"
    assert any("retraining failed" in note for note in night.notes)
    assert night.tone == "warn"


@pytest.mark.long
def test_a_training_above_its_memory_limit_is_refused_by_its_knob_and_touches_no_champion(
    first, monkeypatch
):
    source, root, _ = first
    monkeypatch.setenv("SEQMODEL_DATA", str(root))
    before = list_files(root, "models", "forecasts", "champion.json")
    with pytest.raises(OutOfMemory, match=r"\(train.memory_limit\)") as refused:
        retrain(spec=make_spec(source, train={"memory_limit": 256}), as_of=AS_OF)
    assert refused.value.exit_code == 2
    assert list_files(root, "models", "forecasts", "champion.json") == before


@pytest.mark.long
def test_a_training_above_its_memory_limit_still_leaves_the_champions_forecast(first, monkeypatch):
    source, root, _ = first
    monkeypatch.setenv("SEQMODEL_DATA", str(root))
    champion = (root / "meters" / "champion.json").read_bytes()
    spec = make_spec(source, train={"memory_limit": 256})
    night = run(nightly, spec, root, AS_OF + timedelta(hours=1))
    assert outcomes(night)["train"] == "failed"
    assert outcomes(night)["forecast"] == "ran"
    assert night.forecast_head[0]["model_version"] == json.loads(champion)["version"]
    assert (root / "meters" / "champion.json").read_bytes() == champion


@pytest.mark.long
def test_the_future_does_not_change_the_forecast(tmp_path, monkeypatch):
    bytes_of = []
    for name, factor in (("as it came", 1.0), ("another future", -50.0)):
        rows = make_meters()
        after = pc.greater_equal(rows["at"], pa.scalar(AS_OF, pa.timestamp("us", tz="UTC")))
        for column in ("load", "temperature"):
            changed = pc.if_else(after, pc.multiply(rows[column], factor), rows[column])
            rows = rows.set_column(rows.column_names.index(column), column, changed)
        folder = tmp_path / name
        folder.mkdir()
        pq.write_table(rows, folder / "meters.parquet")
        monkeypatch.setenv("SEQMODEL_DATA", str(folder / "root"))
        monkeypatch.chdir(folder)
        # A relative source: nothing about the place may differ either.
        run(nightly, make_spec(Path("meters.parquet")), folder / "root")
        forecasts = folder / "root" / "meters" / "forecasts" / "cutoff=20240207T230000Z"
        bytes_of.append({p.name: p.read_bytes() for p in forecasts.iterdir()})
    assert bytes_of[0] == bytes_of[1]


def test_stale_data_are_refused_with_a_report_and_touch_nothing(first, monkeypatch):
    source, root, _ = first
    monkeypatch.setenv("SEQMODEL_DATA", str(root))
    below = ("tables", "models", "forecasts", "champion.json")
    before = list_files(root, *below)
    with pytest.raises(QualityError, match="report: ") as refused:
        nightly(spec=make_spec(source), as_of=datetime(2025, 1, 1, tzinfo=UTC))
    path = Path(str(refused.value).rsplit("report: ", 1)[1].rstrip(")"))
    assert "Stopped" in path.read_text()
    assert list_files(root, *below) == before


def test_a_missing_source_is_refused_with_a_report(tmp_path, data_root):
    with pytest.raises(SourceError, match="found no file at") as refused:
        nightly(spec=make_spec(tmp_path / "nowhere.parquet"), as_of=AS_OF)
    path = Path(str(refused.value).rsplit("report: ", 1)[1].rstrip(")"))
    assert path.is_file()
    assert path.is_relative_to(data_root)

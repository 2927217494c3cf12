"""Two nights of a pipeline of events: which place comes next."""

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from flows.nightly import nightly
from seqmodel.reporting.night import Night
from seqmodel.store.forecasts import read_forecast
from seqmodel.store.histories import read_history
from seqmodel.store.store import Store
from tests.seqmodel.classes import make_event_spec, make_events, put_source

AS_OF = datetime(2024, 1, 8, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("harness")


def run(root, spec, as_of):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQMODEL_DATA", str(root))
        ref = nightly(spec=spec, as_of=as_of)
    return Night.model_validate_json((root / ref.night).read_text())


@pytest.fixture(scope="module")
def first(harness, tmp_path_factory):
    """The data root, the spec, and what the report of a first night says."""
    del harness
    folder = tmp_path_factory.mktemp("events")
    source = put_source(folder / "source", make_events(events=120))
    spec = make_event_spec(source, train={"warm_start": True, "warm_epochs": 2})
    return folder / "root", spec, run(folder / "root", spec, AS_OF)


@pytest.fixture(scope="module")
def second(first):
    """What the report of the next night says."""
    root, spec, _ = first
    return run(root, spec, AS_OF + timedelta(days=1))


def test_a_night_of_events_is_trained_promoted_by_the_gate_and_forecast(first):
    root, _, night = first
    assert {step.step for step in night.steps if step.outcome == "ran"} == {
        "ingest", "validate", "window", "train", "backtest", "promote", "forecast",
    }  # fmt: skip
    assert night.promoted
    assert "log_loss" in night.decision
    assert night.scores["challenger"]["accuracy"] > night.scores["baseline"]["accuracy"]
    folder = min((root / "events" / "forecasts").iterdir())
    rows = read_forecast(folder)
    assert rows.column_names == [
        "series_id", "cutoff", "timestamp", "step", "label", "p_A", "p_B", "p_C", "model_version",
    ]  # fmt: skip
    assert pc.max(rows["cutoff"]).as_py() < AS_OF
    assert json.loads((folder / "_manifest.json").read_text())["series"] == 6


def test_the_report_of_a_night_of_events_shows_both_candidates_and_the_plots(first):
    root, _, night = first
    page = (root / "events" / "reports" / night.run / "report.html").read_text()
    for text in ("Confusion matrix of 3 classes", "Reliability of challenger", "log_loss"):
        assert text in page
    assert "the frequency of the classes after the last one" in night.labels["baseline"]


@pytest.mark.long
def test_the_next_night_goes_on_from_the_champion_and_is_compared_with_it(first, second):
    root, _, night = first
    version = night.labels["challenger"].split()[-1]
    assert second.begun == f"from version {version}, night 1 since one from scratch"
    assert set(second.scores) == {"challenger", "champion", "baseline"}
    assert second.labels["champion"].endswith(version)
    backtest = json.loads((root / "events" / "reports" / second.run / "backtest.json").read_text())
    assert backtest["versions"]["champion"] == version
    assert backtest["paired"]["champion"]["windows"] > 0


@pytest.mark.long
def test_the_next_night_scores_the_forecast_that_is_out(first, second):
    root, _, night = first
    store = Store(root)
    ((name, rows, notes),) = read_history(store, "events", "accuracy")
    version = night.labels["challenger"].split()[-1]
    assert set(rows["model_version"].to_pylist()) == {version}
    assert notes["complete"]
    told = rows.filter(pc.equal(rows["candidate"], "forecast"))
    assert pc.sum(told["observed"]).as_py() == 6
    monitor = store.read_json(f"events/reports/{second.run}/monitor.json")
    assert monitor["scored"] == [name]
    assert set(monitor["live"]) == {"log_loss", "accuracy"}
    assert not any("failed" in note for note in (*night.notes, *second.notes))
    assert pa.types.is_floating(rows.schema.field("log_loss").type)

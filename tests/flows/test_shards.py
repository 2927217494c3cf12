"""A forecast in shards through Prefect: a task each, one of them killed, published once."""

import json
import os
import signal

import pytest

from flows.refresh import refresh
from seqmodel.reporting.night import Night
from seqmodel.store import tables
from seqmodel.store.forecasts import read_forecast
from tasks import crew
from tests.flows.test_nightly import AS_OF, make_spec

pytestmark = pytest.mark.usefixtures("harness")


def run(spec, root):
    ref = refresh(spec=spec, as_of=AS_OF)
    return Night.model_validate_json((root / ref.night).read_text())


def test_a_killed_shard_is_tried_again_without_the_others(meters_file, data_root, monkeypatch):
    monkeypatch.setattr(tables, "ROW_GROUP", 200)
    asked, ask = [], crew.Worker.ask

    def kill_first(worker, function, job, deadline, log):
        asked.append(job["shard"]["number"])
        if len(asked) == 1:
            os.kill(worker.process.pid, signal.SIGKILL)
        return ask(worker, function, job, deadline, log)

    monkeypatch.setattr(crew.Worker, "ask", kill_first)
    night = run(make_spec(meters_file, forecast={"shards": 3}), data_root)
    assert sorted(asked) == sorted([0, 1, 2, asked[0]])
    outcomes = {record.step: record.outcome for record in night.steps}
    assert outcomes["3 forecast shards"] == "ran"
    assert outcomes["forecast"] == "ran"
    folder = data_root / "meters" / "forecasts" / "cutoff=20240207T230000Z"
    manifest = json.loads((folder / "_manifest.json").read_text())
    assert len(manifest["files"]) == 3
    rows = read_forecast(folder)
    assert sorted(set(rows["series_id"].to_pylist())) == ["001", "002", "003"]
    assert rows.num_rows == manifest["rows"] == 18
    again = run(make_spec(meters_file, forecast={"shards": 3}), data_root)
    assert {record.outcome for record in again.steps} == {"from cache"}
    assert len(asked) == 4

"""A forecast in shards through Prefect: a task each, one of them killed, published once."""

import json
import os
import random
import shutil
import signal
import threading
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
from prefect import task

from flows import spreading, stages
from flows.backtest import backtest
from flows.refresh import refresh
from flows.retrain import retrain
from seqmodel.errors import StoreError
from seqmodel.reporting.night import Night
from seqmodel.store import tables
from seqmodel.store.forecasts import read_forecast
from tasks import crew
from tests.conftest import make_meters
from tests.flows.test_nightly import AS_OF, make_spec

pytestmark = pytest.mark.usefixtures("harness")


def run(spec, root):
    ref = refresh(spec=spec, as_of=AS_OF)
    return Night.model_validate_json((root / ref.night).read_text())


@pytest.fixture
def asked(monkeypatch):
    """Numbers of the shards asked for; the child that gets the first one is killed."""
    numbers, ask = [], crew.Worker.ask

    def kill_first(worker, function, job, deadline, log):
        numbers.append(job["shard"]["number"])
        if len(numbers) == 1:
            os.kill(worker.process.pid, signal.SIGKILL)
        return ask(worker, function, job, deadline, log)

    monkeypatch.setattr(crew.Worker, "ask", kill_first)
    monkeypatch.setattr(tables, "ROW_GROUP", 200)
    return numbers


def test_a_killed_shard_is_tried_again_without_the_others(meters_file, data_root, asked):
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


def test_a_killed_shard_of_a_backtest_is_predicted_again_without_the_others(
    meters_file, data_root, asked
):
    def score():
        spec = make_spec(meters_file, backtest={"shards": 3}, quality={"shards": 3})
        ref = backtest(spec=spec, as_of=AS_OF)
        assert not list((data_root / "meters" / "staging").rglob("*.npz"))
        night = Night.model_validate_json((data_root / ref.night).read_text())
        return {record.step: record.outcome for record in night.steps}

    outcomes = score()
    assert sorted(asked) == sorted([0, 1, 2, asked[0]])
    assert outcomes["3 profile shards"] == outcomes["validate"] == "ran"
    assert outcomes["3 backtest shards"] == outcomes["backtest"] == "ran"
    assert set(score().values()) == {"from cache"}
    assert len(asked) == 4
    (scores,) = (data_root / "meters" / "reports").glob("*/backtest.json")
    before = scores.read_bytes()
    scores.unlink()
    outcomes = score()
    assert outcomes["3 backtest shards"] == outcomes["backtest"] == "ran"
    assert outcomes["train"] == "from cache"
    assert scores.read_bytes() == before


@pytest.mark.long
def test_shards_are_forecast_by_graphs_and_by_keras_where_there_are_none(
    meters_file, data_root, monkeypatch
):
    monkeypatch.setattr(tables, "ROW_GROUP", 200)
    held, hold = [], spreading.hold_crew

    def look(size, ready=()):
        held.append(ready)
        return hold(size, ready)

    def refuse(*_args, **_options):
        raise StoreError("found no such operator, needed one; go without")

    monkeypatch.setattr(spreading, "hold_crew", look)
    parts = {"shards": 3, "max_failed": 1}
    spec = make_spec(meters_file, forecast=parts, promotion={"test": "none"})
    retrain(spec=spec, as_of=AS_OF)
    said = []
    for go_without in (False, False, True):
        held.clear()
        for graph in data_root.glob("meters/graphs/*/model.onnx"):
            graph.write_bytes(b"of a failing disk")  # and the night must not wait for it
        if go_without:
            monkeypatch.setattr(stages, "make_graph", task(refuse))
        shutil.rmtree(data_root / "meters" / "forecasts", ignore_errors=True)
        night = run(spec, data_root)
        assert held == [crew.NETWORK if go_without else crew.GRAPH]
        steps = {record.step: record.outcome for record in night.steps}
        assert steps["refuse" if go_without else "make graph"] == (
            "failed" if go_without else "ran"
        )
        assert any("forecast by Keras: found no such" in note for note in night.notes) == go_without
        rows = read_forecast(next((data_root / "meters" / "forecasts").iterdir()))
        assert "baseline" not in rows["model_version"].to_pylist()
        said.append(rows["q0.5"].to_numpy())
    np.testing.assert_array_equal(said[0], said[1])
    np.testing.assert_allclose(said[0], said[2], rtol=1e-4)


class Killer:
    """Ends one child a run by SIGKILL, somewhere in the middle of a shard that it is at.

    Attributes:
        took: time that each shard asked for took, in order (seconds).
        killed: children ended while they had a shard.
    """

    def __init__(self, seed):
        self.chance, self.killed, self.took = random.Random(seed), 0, []  # noqa: S311 - no secret
        self.ask, self.asked, self.armed, self.before = crew.Worker.ask, 0, False, []

    def arm(self, shards):
        """Choose a shard by the order in which they are asked for, and a moment within it."""
        self.asked, self.armed = 0, True
        self.target = self.chance.randrange(shards - 1)
        self.took, self.before = [], self.took or self.before
        self.wait = self.chance.uniform(0.1, 0.8) * self.before[self.target]

    def __call__(self, worker, function, job, deadline, log):
        busy, begun, number = threading.Event(), time.monotonic(), self.asked
        self.asked += 1

        def strike():
            if not busy.wait(self.wait) and self.armed:
                self.armed = False
                self.killed += 1
                os.kill(worker.process.pid, signal.SIGKILL)

        if self.armed and number >= self.target:  # one that was too quick is followed by others
            threading.Thread(target=strike).start()
        try:
            return self.ask(worker, function, job, deadline, log)
        finally:
            busy.set()
            self.took.append(time.monotonic() - begun)


# The short forms are above, and that without Prefect in tests/tasks/test_crew.py.
@pytest.mark.long
@pytest.mark.timeout(1800)
def test_ten_runs_each_with_a_child_killed_inside_a_shard_publish_what_an_unbroken_one_does(
    tmp_path, data_root, monkeypatch
):
    monkeypatch.setattr(tables, "ROW_GROUP", 2000)
    one = spreading.forecast_shard.with_options(retry_delay_seconds=0.1, refresh_cache=True)
    monkeypatch.setattr(spreading, "forecast_shard", one)
    whole = stages.publish_shards.with_options(refresh_cache=True)
    monkeypatch.setattr(stages, "publish_shards", whole)
    source = tmp_path / "meters.parquet"
    pq.write_table(make_meters(series=60), source)
    spec = make_spec(source, forecast={"shards": 6, "max_failed": 1})
    retrain(spec=spec, as_of=AS_OF)
    killer = Killer(9)

    def ask(worker, *what):
        return killer(worker, *what)

    monkeypatch.setattr(crew.Worker, "ask", ask)
    folder = data_root / "meters" / "forecasts"

    def publish():
        shutil.rmtree(folder, ignore_errors=True)
        run(spec, data_root)
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.*")}

    unbroken = publish()
    assert len(unbroken) == killer.asked + 1 == 7
    # A shard may be done before its blow falls: such a run is none of the ten.
    for _ in range(30):
        killer.arm(6)
        assert publish() == unbroken
        assert killer.asked == 6 + (not killer.armed)
        if killer.killed == 10:
            break
    assert killer.killed == 10
    rows = read_forecast(next(folder.iterdir()))
    assert rows.num_rows == 60 * spec.window.horizon
    assert "baseline" not in rows["model_version"].to_pylist()

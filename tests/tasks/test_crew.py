"""Children that stay: killed at any moment, what is published is complete, single and the same."""

import logging
import os
import random
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest

from seqmodel.errors import ChildDied, DataError
from seqmodel.forecasting import forecast_table
from seqmodel.jobs import ShardJob
from seqmodel.planning import plan_forecast
from seqmodel.publishing import publish_shards
from seqmodel.store import tables
from seqmodel.store.forecasts import read_forecast
from seqmodel.store.parts import PartRef
from seqmodel.store.store import Store
from tasks import crew
from tasks.crew import Crew, hold_crew, run_by_crew
from tests.seqmodel.small import SOURCE, make_spec, make_table, put_table

LOG = logging.getLogger("parent")
HERE = "tests.tasks.work_in_child"
KNOWN_MISSING = {"missing_known": "mean"}


def ask(crew, name, job=None, deadline=30.0):
    return crew.ask(f"{HERE}:{name}", job or {}, deadline=deadline, log=LOG)


def test_a_child_does_one_job_after_the_other_also_after_a_refusal():
    with hold_crew(1) as crew:
        first = ask(crew, "answer", {"n": 2})
        with pytest.raises(DataError, match="found 1, needed 2"):
            ask(crew, "refuse")
        second = ask(crew, "answer", {"n": 3})
    assert (first["doubled"], second["doubled"]) == (4, 6)
    assert first["pid"] == second["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(first["pid"], 0)


def test_children_that_are_to_be_ready_load_before_they_are_asked():
    with hold_crew(2, ("seqmodel.store.compiled", f"{HERE}")) as crew:
        begun = [worker.process.pid for worker in crew._all]
        told = ask(crew, "answer", {"n": 2})
    assert told["doubled"] == 4
    assert len(begun) == 2
    assert told["pid"] in begun


def test_a_child_that_is_to_forecast_loads_no_frames_and_yet_makes_one_when_asked():
    with hold_crew(1, crew.NETWORK) as held:
        told = ask(held, "make_frame", deadline=120.0)
    assert told == {"loaded": ["keras", "tensorflow"], "later": [1.0, None]}


def test_a_child_that_forecasts_by_graphs_has_neither_keras_nor_frames():
    with hold_crew(1, crew.GRAPH) as held:
        told = ask(held, "make_frame", deadline=120.0)
    assert told == {"loaded": ["onnxruntime"], "later": [1.0, None]}


def test_a_child_that_cannot_load_fails_the_job_in_one_sentence():
    told = pytest.raises(ChildDied, match="No module named 'seqmodel")
    with hold_crew(1, ("seqmodel.nothing",)) as crew, told:
        ask(crew, "answer", {"n": 2})


def test_a_run_that_begins_beside_another_leaves_it_its_own_children():
    beside = copy_context()
    with hold_crew(1) as crew:
        mine, other = ask(crew, "answer", {"n": 1}), hold_crew(1)
        beside.run(other.__enter__)
        told = run_by_crew(f"{HERE}:answer", {"n": 2}, deadline=30, log=LOG)
        beside.run(other.__exit__, None, None, None)
    assert told["pid"] == mine["pid"]


def test_a_killed_child_fails_its_job_alone_and_is_replaced():
    with hold_crew(2) as crew:
        with pytest.raises(ChildDied, match="SIGKILL"):
            ask(crew, "kill")
        assert ask(crew, "answer", {"n": 1})["doubled"] == 2


def test_a_child_that_overruns_is_ended():
    with hold_crew(1) as crew:
        with pytest.raises(ChildDied, match="still running after 1 s"):
            ask(crew, "sleep", deadline=1.0)
        assert ask(crew, "answer", {"n": 1})["doubled"] == 2


def test_without_a_crew_a_job_has_a_child_of_its_own():
    told = run_by_crew(f"{HERE}:answer", {"n": 4}, deadline=30, log=LOG)
    assert told["doubled"] == 8


def test_a_worker_of_a_cluster_keeps_its_children_from_job_to_job():
    told = [run_by_crew(f"{HERE}:answer", {"n": n}, deadline=30, log=LOG, far=True) for n in (1, 2)]
    assert [one["doubled"] for one in told] == [2, 4]
    assert told[0]["pid"] == told[1]["pid"]
    crew._keep_crew().close()
    crew._keep_crew.cache_clear()


@pytest.fixture
def large(tmp_path, monkeypatch):
    """A table of small row groups, its shards, and what they publish undisturbed."""
    monkeypatch.setattr(tables, "ROW_GROUP", 100)
    store, spec = Store(tmp_path), make_spec(SOURCE, features=KNOWN_MISSING, forecast={"shards": 6})
    table = put_table(store, make_table(series=24), spec).table
    ref = forecast_table(store, table, None, spec)
    return store, table, spec, {p.name: p.read_bytes() for p in store.path(ref.key).iterdir()}


def try_again(crew: Crew, job: dict[str, object]) -> PartRef:
    """What a task does: up to two further tries."""
    for left in (2, 1, 0):
        try:
            answer = crew.ask("seqmodel.jobs:forecast_shard", job, deadline=60, log=LOG)
            return PartRef.model_validate(answer)
        except ChildDied:
            if not left:
                raise
    raise AssertionError


@pytest.mark.parametrize("runs", [2, pytest.param(10, marks=pytest.mark.long)])
def test_runs_each_with_a_child_killed_at_random_publish_the_same_bytes(large, runs):
    store, table, spec, before = large
    shards = plan_forecast(store, table, spec)
    assert len(shards) == 6
    what = {"root": str(store.root), "spec": spec, "table": table, "model": None}
    jobs = [ShardJob(shard=one, **what).model_dump(mode="json") for one in shards]
    chance, killed = random.Random(0), 0  # noqa: S311 - no secret
    with hold_crew(2) as crew, ThreadPoolExecutor(6) as pool:
        for _ in range(runs):
            for path in store.path(f"{spec.name}/forecasts").glob("*/*"):
                path.unlink()

            def kill():
                nonlocal killed
                alive = [w.process for w in crew._all if w.process.poll() is None]
                if alive:
                    os.kill(chance.choice(alive).pid, signal.SIGKILL)
                    killed += 1

            timer = threading.Timer(chance.uniform(0.0, 0.3), kill)
            timer.start()
            parts = list(pool.map(lambda job: try_again(crew, job), jobs))
            timer.join()
            ref = publish_shards(store, table, None, parts, spec, "")
            now = {p.name: p.read_bytes() for p in store.path(ref.key).iterdir()}
            assert now == before
    assert killed >= max(1, runs - 2)
    rows = read_forecast(store.path(ref.key))
    assert rows.num_rows == 24 * spec.window.horizon
    assert not list(store.path(f"{spec.name}/staging").rglob("part-0*"))

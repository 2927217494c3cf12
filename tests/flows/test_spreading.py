"""The shards of a forecast on a Dask cluster: what is published is what a local run publishes."""

import os
import shutil
import signal
import subprocess
import sys
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from pydantic import ValidationError

from flows import spreading, stages
from flows.command import read_parameters
from flows.refresh import refresh
from flows.stages import begin, compare, fit, prepare
from seqmodel.errors import SpecError
from seqmodel.specs import PipelineSpec
from seqmodel.specs.runner import RunnerSpec
from seqmodel.store import tables
from seqmodel.store.champion import Champion, swap_champion
from seqmodel.store.forecasts import read_forecast
from seqmodel.store.store import Store
from tasks import crew
from tasks.clusters import make_runner
from tasks.request_runs import request_runs

needs_dask = pytest.mark.skipif(
    find_spec("prefect_dask") is None,
    reason="found no prefect-dask, needed the extra [dask] for this test",
)

ROOMS = ("quality", "backtest")
SMALL = {
    "model": {"kind": "gru", "units": 8},
    "train": {"epochs": 1, "windows_per_epoch": 512},
    "backtest": {"cutoffs": 3, "step": 24},
    "forecast": {"shards": 4, "max_failed": 1},
}


def read_files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refuse(*_args):
    raise AssertionError("a shard ran in this process's children")


@flow
def teach(spec, as_of):
    """Train, and leave the backtest out."""
    course = begin(spec, as_of)
    prepare(course, spec)
    fit(course, spec)
    return course.challenger.version


@flow
def score(spec, as_of):
    """Train, and score what was trained."""
    course = begin(spec, as_of)
    prepare(course, spec)
    fit(course, spec)
    compare(course, spec)
    return course.scores.key


@pytest.fixture
def forecast_here(project, data_root, monkeypatch):
    """A small pipeline on the sample, its moment, and the folder of its local forecast."""
    monkeypatch.setattr(tables, "ROW_GROUP", 8000)
    given = read_parameters(project / "prefect.yaml", "nightly")
    uri = str(project / given["spec"]["source"]["uri"])
    source = {**given["spec"]["source"], "uri": uri}
    spec = PipelineSpec.model_validate({**given["spec"], "source": source, **SMALL})
    moment = datetime.fromisoformat(given["as_of"])
    new = Champion(version=teach(spec, moment), previous=None, reason="taught", promoted_at=moment)
    swap_champion(Store(data_root), "departures", new, None)
    refresh(spec=spec, as_of=moment)
    folder = data_root / "departures" / "forecasts" / "cutoff=20131130T230000Z"
    rows = read_forecast(folder)
    assert len(read_files(folder)) == 5
    assert rows.num_rows == 23 * 24
    assert "baseline" not in rows["model_version"].to_pylist()
    return spec, moment, folder


@needs_dask
@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("harness")
def test_the_sample_on_a_cluster_of_processes_is_the_local_forecast_byte_for_byte(
    forecast_here, monkeypatch
):
    spec, moment, folder = forecast_here
    before, local = "tensorflow" in sys.modules, read_files(folder)  # another test's
    shutil.rmtree(folder)

    monkeypatch.setattr(spreading, "hold_crew", refuse)
    afresh = spreading.forecast_shard.with_options(refresh_cache=True)
    monkeypatch.setattr(spreading, "forecast_shard", afresh)
    spread = spec.model_copy(update={"runner": RunnerSpec(kind="dask", workers=2)})
    refresh(spec=spread, as_of=moment)
    assert read_files(folder) == local
    assert ("tensorflow" in sys.modules) == before


@needs_dask
@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("harness")
def test_profile_and_backtest_of_the_sample_on_a_cluster_are_the_local_ones_byte_for_byte(
    forecast_here, data_root, monkeypatch
):
    spec, moment, _ = forecast_here
    apart = {room: getattr(spec, room).model_copy(update={"shards": 4}) for room in ROOMS}
    spec = spec.model_copy(update=apart)
    (profile,) = (data_root / "departures" / "profiles").iterdir()
    profile.unlink()  # of the table measured in one go
    folder = data_root / Path(score(spec, moment)).parent
    local = read_files(folder)
    del local["ledger.json"]
    assert set(local) == {"quality.json", "backtest.json", "scores.parquet"}
    measured = profile.read_bytes()
    profile.unlink()

    monkeypatch.setattr(spreading, "hold_crew", refuse)
    for room, task in (
        (spreading, "measure_shard"),
        (spreading, "backtest_shard"),
        (stages, "validate"),
        (stages, "backtest"),
    ):
        afresh = getattr(room, task).with_options(refresh_cache=True)
        monkeypatch.setattr(room, task, afresh)
    spread = spec.model_copy(update={"runner": RunnerSpec(kind="dask", workers=2)})
    assert read_files(data_root / Path(score(spread, moment)).parent) == local
    assert profile.read_bytes() == measured


@pytest.fixture
def pool(project, data_root):
    """The address of the server, where a worker waits for shards of the data root."""
    with get_client(sync_client=True) as client:
        url = str(client.api_url)
    own = {**os.environ, "PREFECT_API_URL": url, "SEQMODEL_DATA": str(data_root)}
    prefect = [sys.executable, "-m", "prefect", "--no-prompt"]
    for words in (
        ["work-pool", "create", "shards", "--type", "process"],
        ["deploy", "flows/shard.py:shard", "--name", "shard", "--pool", "shards"],
    ):
        subprocess.run([*prefect, *words], cwd=project, env=own, check=True, timeout=200)
    words = ["worker", "start", "--pool", "shards", "--limit", "2"]
    worker = subprocess.Popen([*prefect, *words], cwd=project, env=own)
    yield url
    worker.send_signal(signal.SIGINT)
    try:
        worker.wait(30)
    except subprocess.TimeoutExpired:
        # It heard, said so, and now and then stays: Prefect's matter, not ours.
        worker.kill()
        worker.wait()


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("harness", "pool")
def test_each_shard_as_a_flow_run_of_its_own_is_the_local_forecast_byte_for_byte(
    forecast_here, monkeypatch
):
    spec, moment, folder = forecast_here
    local = read_files(folder)
    shutil.rmtree(folder)
    # Other knobs that change nothing, but the key by which a task finds its result.
    forecast = spec.forecast.model_copy(update={"deadline": spec.forecast.deadline + 1})
    runner = RunnerSpec(kind="deployment")
    spread = spec.model_copy(update={"runner": runner, "forecast": forecast})
    monkeypatch.setattr(crew.Worker, "ask", refuse)
    refresh(spec=spread, as_of=moment)
    assert read_files(folder) == local


@pytest.mark.usefixtures("harness")
def test_a_deployment_that_is_not_there_is_one_sentence():
    with pytest.raises(SpecError, match="found no deployment 'shard/none' on this server"):
        request_runs("shard/none", [{}], 1.0)


@needs_dask
def test_a_cluster_without_its_packages_is_refused_in_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "prefect_dask.task_runners", None)
    with pytest.raises(SpecError, match=r"needed the extra \[dask\]; pip install"):
        make_runner(RunnerSpec(kind="dask"))


@needs_dask
def test_an_address_is_that_of_a_scheduler():
    assert make_runner(RunnerSpec(kind="dask", address="tcp://host:8786")).address.endswith("8786")
    for wrong in ({"kind": "dask", "address": "host"}, {"address": "tcp://host:8786"}):
        with pytest.raises(ValidationError):
            RunnerSpec(**wrong)

"""The shards of a forecast on a Dask cluster: what is published is what a local run publishes."""

import shutil
import sys
from datetime import datetime

import pytest
from prefect import flow
from pydantic import ValidationError

from flows import spreading
from flows.command import read_parameters
from flows.refresh import refresh
from flows.stages import begin, fit, prepare
from seqmodel.errors import SpecError
from seqmodel.specs import PipelineSpec
from seqmodel.specs.runner import RunnerSpec
from seqmodel.store import tables
from seqmodel.store.champion import Champion, swap_champion
from seqmodel.store.forecasts import read_forecast
from seqmodel.store.store import Store
from tasks.clusters import make_runner

try:
    import prefect_dask  # noqa: F401 - only whether it is there
except ImportError:
    pytestmark = pytest.mark.skip("found no prefect-dask, needed the extra [dask] for these tests")

SMALL = {
    "model": {"kind": "gru", "units": 8},
    "train": {"epochs": 1, "windows_per_epoch": 512},
    "backtest": {"cutoffs": 3, "step": 24},
    "forecast": {"shards": 4, "max_failed": 1},
}


def read_files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@flow
def teach(spec, as_of):
    """Train, and leave the backtest out."""
    course = begin(spec, as_of)
    prepare(course, spec)
    fit(course, spec)
    return course.challenger.version


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("harness")
def test_the_sample_on_a_cluster_of_processes_is_the_local_forecast_byte_for_byte(
    project, data_root, monkeypatch
):
    monkeypatch.setattr(tables, "ROW_GROUP", 8000)
    given = read_parameters(project / "prefect.yaml", "nightly")
    uri = str(project / given["spec"]["source"]["uri"])
    source = {**given["spec"]["source"], "uri": uri}
    spec = PipelineSpec.model_validate({**given["spec"], "source": source, **SMALL})
    moment = datetime.fromisoformat(given["as_of"])
    before = "tensorflow" in sys.modules  # another test's, in the same process
    new = Champion(version=teach(spec, moment), previous=None, reason="taught", promoted_at=moment)
    swap_champion(Store(data_root), "departures", new, None)
    refresh(spec=spec, as_of=moment)
    folder = data_root / "departures" / "forecasts" / "cutoff=20131130T230000Z"
    local, rows = read_files(folder), read_forecast(folder)
    assert len(local) == 5
    assert rows.num_rows == 23 * 24
    assert "baseline" not in rows["model_version"].to_pylist()
    shutil.rmtree(folder)

    def refuse(_size):
        raise AssertionError("a shard ran in this process's children")

    monkeypatch.setattr(spreading, "hold_crew", refuse)
    afresh = spreading.forecast_shard.with_options(refresh_cache=True)
    monkeypatch.setattr(spreading, "forecast_shard", afresh)
    spread = spec.model_copy(update={"runner": RunnerSpec(kind="dask", workers=2)})
    refresh(spec=spread, as_of=moment)
    assert read_files(folder) == local
    assert ("tensorflow" in sys.modules) == before


def test_a_cluster_without_its_packages_is_refused_in_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "prefect_dask.task_runners", None)
    with pytest.raises(SpecError, match=r"needed the extra \[dask\]; pip install"):
        make_runner(RunnerSpec(kind="dask"))


def test_an_address_is_that_of_a_scheduler():
    assert make_runner(RunnerSpec(kind="dask", address="tcp://host:8786")).address.endswith("8786")
    for wrong in ({"kind": "dask", "address": "host"}, {"address": "tcp://host:8786"}):
        with pytest.raises(ValidationError):
            RunnerSpec(**wrong)

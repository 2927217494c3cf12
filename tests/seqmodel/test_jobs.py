"""Jobs cross a process as JSON and come out the same."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from seqmodel.jobs import BacktestJob, ForecastJob, TrainJob
from seqmodel.store.refs import RunRef
from seqmodel.store.store import Store
from seqmodel.windowing import make_windows
from tests.seqmodel.rich import make_rich_spec, make_rich_table
from tests.seqmodel.small import put_table

AS_OF = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """One of each, of a pipeline with every kind of feature."""
    store, spec = Store(tmp_path_factory.mktemp("root")), make_rich_spec()
    judged = put_table(store, make_rich_table(), spec)
    windows, table = make_windows(store, judged, spec), judged.table
    run = RunRef(pipeline=spec.name, run="night", as_of=AS_OF)
    root = str(store.root)
    return [
        TrainJob(root=root, spec=spec, as_of=AS_OF, windows=windows, lineage={"table": "t"}),
        BacktestJob(root=root, spec=spec, run=run, table=table, models={}),
        ForecastJob(root=root, spec=spec, table=table, model=None),
    ]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_job_survives_json_and_opens_the_parents_root(jobs, which):
    job = jobs[which]
    again = type(job).model_validate_json(job.model_dump_json())
    assert again == job
    assert again.store.root == Path(job.root)


@pytest.mark.parametrize("kind", [TrainJob, BacktestJob, ForecastJob])
def test_an_unknown_part_of_a_job_is_refused(kind):
    with pytest.raises(ValidationError, match="extra"):
        kind.model_validate({"root": "x", "wat": 1})


def test_a_job_without_its_spec_is_refused():
    with pytest.raises(ValidationError, match="spec"):
        ForecastJob.model_validate({"root": "x", "table": None, "model": None})

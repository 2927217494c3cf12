"""Jobs cross a process as JSON and come out the same."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from seqmodel.jobs import ForecastJob
from seqmodel.store.store import Store
from tests.seqmodel.small import make_spec, make_table, put_table


def test_a_job_survives_json_and_opens_the_parents_root(tmp_path):
    table = put_table(Store(tmp_path), make_table(), make_spec()).table
    job = ForecastJob(root=str(tmp_path), spec=make_spec(), table=table, model=None)
    again = ForecastJob.model_validate_json(job.model_dump_json())
    assert again == job
    assert again.store.root == Path(tmp_path)


def test_an_unknown_part_of_a_job_is_refused():
    with pytest.raises(ValidationError, match="extra"):
        ForecastJob.model_validate({"root": "x", "wat": 1})

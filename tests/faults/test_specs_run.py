"""A spec that is accepted runs: to a forecast, or to one sentence; never into a traceback."""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from prefect.testing.utilities import prefect_test_harness
from pydantic import ValidationError

from flows.refresh import refresh
from seqmodel.errors import SeqmodelError
from seqmodel.specs import PipelineSpec
from seqmodel.store.forecasts import read_forecast
from tests.conftest import make_meters, meters_spec
from tests.faults.knobs import specs
from tests.faults.night import check_ledger, check_whole

EXAMPLES = 60
AS_OF = datetime(2024, 2, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    with prefect_test_harness(server_startup_timeout=120):
        yield tmp_path_factory.mktemp("specs")


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.fault("a spec made of its own fields", tries=EXAMPLES)
def test_what_is_accepted_runs_to_a_forecast_or_to_one_sentence(ground, monkeypatch):
    path, root = ground / "meters.parquet", ground / "root"
    pq.write_table(make_meters(), path)
    monkeypatch.setenv("SEQMODEL_DATA", str(root))
    ends = Counter()

    @settings(
        deadline=None,
        max_examples=EXAMPLES,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(specs())
    def run(drawn):
        known = meters_spec(path)
        values = {
            name: {**known.get(name, {}), **part} if isinstance(part, dict) else part
            for name, part in {**known, **drawn}.items()
        }
        values |= {"name": "p", "runner": {}}
        values["source"] = {**values["source"], **known["source"]}
        try:
            spec = PipelineSpec.model_validate(values)
        except ValidationError:
            ends["contradiction"] += 1
            return
        shutil.rmtree(root, ignore_errors=True)
        try:
            refresh(spec=spec, as_of=AS_OF)
        except SeqmodelError as error:
            said = str(error)
            assert all(word in said for word in ("found ", ", needed ")), said
            ends["sentence"] += 1
        else:
            (folder,) = (root / "p").glob("forecasts/*")
            assert read_forecast(folder).num_rows
            ends["forecast"] += 1
        if list((root / "p").glob("reports/*/ledger.json")):
            check_ledger(root / "p")
        check_whole(root / "p")

    run()
    assert ends["forecast"] > EXAMPLES / 4, ends
    print(dict(ends))  # noqa: T201 - the figures of this test

"""The flow `backtest` with trainings for later cutoffs, each a task of its own."""

import json
from datetime import UTC, datetime

import pytest

from flows.backtest import backtest
from seqmodel.specs import PipelineSpec
from tests.conftest import meters_spec

AS_OF = datetime(2024, 2, 8, tzinfo=UTC)


@pytest.mark.long
@pytest.mark.usefixtures("harness")
def test_each_further_training_is_a_task_and_their_forecasts_one_candidate(meters_file, data_root):
    spec = meters_spec(meters_file, backtest={"refit": 2}, train={"epochs": 1})
    ref = backtest(spec=PipelineSpec.model_validate(spec), as_of=AS_OF)
    night = json.loads((data_root / ref.night).read_text())
    steps = [step["step"] for step in night["steps"]]
    assert [s for s in steps if s.startswith("train")] == ["train", "train refit 1"]
    assert "window refit 1" in steps
    assert night["scores"]["refitted"]["mase"] != night["scores"]["challenger"]["mase"]
    assert night["labels"]["refitted"] == "trained anew every 2 cutoffs"
    assert not (data_root / "meters" / "champion.json").exists()

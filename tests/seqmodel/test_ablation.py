"""What the pipeline without some inputs looks like, and what an input gains."""

import math
from pathlib import Path

import pytest
import yaml

from seqmodel.ablation import leave_out, measure_gain
from seqmodel.specs import PipelineSpec

ROOT = Path(__file__).parents[2]
DEPLOYMENTS = [
    found
    for found in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    if found["parameters"].get("spec", {}).get("backtest", {}).get("ablation")
]
GROUPS = [
    pytest.param(PipelineSpec.model_validate(found["parameters"]["spec"]), group, id=group)
    for found in DEPLOYMENTS
    for group in found["parameters"]["spec"]["backtest"]["ablation"]
]


@pytest.mark.parametrize(("spec", "group"), GROUPS)
def test_every_group_of_the_deployments_can_be_left_out(spec, group):
    names = set(spec.backtest.ablation[group])
    left = leave_out(spec, names)
    assert not names & set(left.source.covariates)
    assert left == PipelineSpec.model_validate(left.model_dump())
    assert left.window == spec.window
    assert not left.backtest.ablation


def test_what_is_shown_beside_an_input_goes_with_it():
    spec, _ = GROUPS[0].values
    gate = spec.promotion.model_copy(update={"group_by": "airport"})
    spec = spec.model_copy(update={"promotion": gate})
    left = leave_out(spec, {"scheduled", "airport"})
    assert spec.backtest.reference == "scheduled"
    assert left.backtest.reference is None
    assert "airport" not in left.backtest.groups
    assert left.promotion.group_by is None
    kept = leave_out(spec, {"calendar"})
    assert kept.backtest.reference == "scheduled"
    assert kept.promotion.group_by == "airport"


def test_a_gain_is_a_share_of_the_error_without_the_input():
    gain, error = measure_gain({"a": 0.9, "b": 0.7}, {"a": 1.0, "b": 1.0})
    assert gain == pytest.approx(0.2)
    # Gains of 0.1 and 0.3: a deviation of 0.1414 over the root of two, as a share of 1.0.
    assert error == pytest.approx(0.1)


def test_cutoffs_without_both_errors_are_no_gain():
    assert all(math.isnan(value) for value in measure_gain({"a": None}, {"a": 1.0}))

"""Every deployment in prefect.yaml is valid, and its flow takes its parameters."""

import importlib

import pytest
import yaml
from prefect.cli.deploy._models import PrefectYamlModel
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import validate

from tests.conftest import ROOT

CONTENT = yaml.safe_load((ROOT / "prefect.yaml").read_text())
DEPLOYMENTS = {d["name"]: d for d in CONTENT["deployments"]}


def test_prefect_accepts_the_file():
    PrefectYamlModel.model_validate(CONTENT)


def test_the_deployments_of_the_contract_are_there():
    assert {"nightly", "refresh", "retrain"} <= set(DEPLOYMENTS)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_its_flow_takes_its_parameters(name):
    path, _, attribute = DEPLOYMENTS[name]["entrypoint"].partition(":")
    flow = getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), attribute)
    taken = flow.validate_parameters(DEPLOYMENTS[name]["parameters"])
    assert taken["spec"].name
    assert taken["as_of"] is None or taken["as_of"].tzinfo is not None


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_its_parameters_pass_the_schema_by_which_the_server_judges_them(name):
    path, _, attribute = DEPLOYMENTS[name]["entrypoint"].partition(":")
    flow = getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), attribute)
    schema = parameter_schema(flow.fn).model_dump_for_openapi()
    assert not validate(DEPLOYMENTS[name]["parameters"], schema, ignore_required=True)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_misspelt_knob_is_refused_by_its_flow(name):
    from prefect.exceptions import ParameterTypeError

    path, _, attribute = DEPLOYMENTS[name]["entrypoint"].partition(":")
    flow = getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), attribute)
    spec = {**DEPLOYMENTS[name]["parameters"]["spec"], "windw": {}}
    with pytest.raises(ParameterTypeError, match="windw"):
        flow.validate_parameters({"spec": spec})


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_schedules_stay_out_of_the_hours_that_daylight_saving_moves(name):
    for schedule in DEPLOYMENTS[name].get("schedules") or []:
        hour = schedule["cron"].split()[1]
        assert hour.isdigit()
        assert not 1 <= int(hour) < 3
        assert schedule["timezone"]


def test_a_night_never_meets_the_next_one():
    limit = DEPLOYMENTS["nightly"]["concurrency_limit"]
    assert limit == {"limit": 1, "collision_strategy": "CANCEL_NEW"}

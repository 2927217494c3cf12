"""Every deployment in prefect.yaml is valid, and its flow takes its parameters."""

import importlib

import pytest
import yaml
from prefect.cli.deploy._models import PrefectYamlModel
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import validate

from flows.automations import SCHEDULED_TAG, TAG
from tests.conftest import ROOT

CONTENT = yaml.safe_load((ROOT / "prefect.yaml").read_text())
DEPLOYMENTS = {d["name"]: d for d in CONTENT["deployments"]}


def find_flow(name):
    path, _, attribute = DEPLOYMENTS[name]["entrypoint"].partition(":")
    return getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), attribute)


def test_prefect_accepts_the_file():
    PrefectYamlModel.model_validate(CONTENT)


def test_the_deployments_of_the_contract_are_there():
    assert {"nightly", "refresh", "retrain"} <= set(DEPLOYMENTS)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_its_flow_takes_its_parameters(name):
    flow = find_flow(name)
    taken = flow.validate_parameters(DEPLOYMENTS[name]["parameters"])
    assert taken["spec"].name
    assert taken["as_of"] is None or taken["as_of"].tzinfo is not None


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_its_parameters_pass_the_schema_by_which_the_server_judges_them(name):
    flow = find_flow(name)
    schema = parameter_schema(flow.fn).model_dump_for_openapi()
    assert not validate(DEPLOYMENTS[name]["parameters"], schema, ignore_required=True)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_misspelt_knob_is_refused_by_its_flow(name):
    from prefect.exceptions import ParameterTypeError

    flow = find_flow(name)
    spec = {**DEPLOYMENTS[name]["parameters"]["spec"], "windw": {}}
    with pytest.raises(ParameterTypeError, match="windw"):
        flow.validate_parameters({"spec": spec})


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_schedules_stay_out_of_the_hours_that_daylight_saving_moves(name):
    for schedule in DEPLOYMENTS[name].get("schedules") or []:
        hours = schedule["cron"].split()[1].split(",")
        assert all(hour.isdigit() and not 1 <= int(hour) < 3 for hour in hours)
        assert schedule["timezone"]


def test_a_night_never_meets_the_next_one():
    limit = DEPLOYMENTS["nightly"]["concurrency_limit"]
    assert limit == {"limit": 1, "collision_strategy": "CANCEL_NEW"}


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_each_has_a_description_tags_and_a_limit_that_keeps_a_persons_wish(name):
    one = DEPLOYMENTS[name]
    assert one["description"].endswith((".", "?"))
    assert TAG in one["tags"]
    assert (SCHEDULED_TAG in one["tags"]) == any(s["active"] for s in one.get("schedules") or [])
    assert one["concurrency_limit"]["limit"] == 1
    by_itself = one["entrypoint"].startswith(("flows/nightly", "flows/refresh"))
    strategy = "CANCEL_NEW" if by_itself else "ENQUEUE"
    assert one["concurrency_limit"]["collision_strategy"] == strategy


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_every_field_of_its_form_is_described(name):
    def walk(part, path):
        for key, field in part.get("properties", {}).items():
            target = field.get("$ref") or next((a["$ref"] for a in field.get("allOf", [])), "")
            inner = schema["definitions"].get(target.rpartition("/")[2], {})
            assert field.get("description") or inner.get("description"), f"{path}{key}"
            walk(inner, f"{path}{key}.")

    schema = parameter_schema(find_flow(name).fn).model_dump_for_openapi()
    walk(schema, "")

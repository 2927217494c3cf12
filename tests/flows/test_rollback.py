"""The rollback as a flow and as a command: the pointer, the report, the exit code."""

import json
import sys
from datetime import timedelta

import pytest

from flows.command import list_parameters, parse_flags, run_command
from flows.rollback import rollback
from seqmodel.reporting.night import Night
from seqmodel.store.store import Store
from tests.conftest import ROOT
from tests.seqmodel.store.stored import NIGHT, SPEC, point, write

pytestmark = pytest.mark.usefixtures("harness")


@pytest.fixture
def store(data_root):
    store = Store(data_root)
    for version, previous in (("v1", None), ("v2", "v1")):
        write(store, version, NIGHT)
        point(store, version, previous, previous)
    return store


def run_main(monkeypatch, *flags):
    monkeypatch.setattr(sys, "argv", ["rollback", "--name", "p", "--source.uri", "x", *flags])
    try:
        run_command(rollback)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_the_flow_moves_the_pointer_and_says_why(store):
    ref = rollback(spec=SPEC, as_of=NIGHT + timedelta(hours=9), reason="too high in spring")
    night = Night.model_validate(store.read_json(ref.night))
    assert night.verdict == "Rolled back to v1: too high in spring."
    pointer = store.read_json("p/champion.json")
    assert (pointer["version"], pointer["previous"]) == ("v1", None)


def test_the_command_names_a_version_and_a_second_one_has_nowhere_to_go(store, monkeypatch, capsys):
    assert run_main(monkeypatch, "--to", "baseline") == 0
    assert "Rolled back to baseline: by hand" in capsys.readouterr().out
    assert run_main(monkeypatch, "--to", "v2") == 0
    assert json.loads(store.path("p/champion.json").read_text())["version"] == "v2"
    assert run_main(monkeypatch, "--to", "nowhere") == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("seqmodel: found no ")
    assert "report: " in said


def test_parameters_of_the_flow_are_flags_and_come_from_the_deployment():
    own = list_parameters(rollback)
    flags = ["--deployment", "rollback", "--prefect-file", str(ROOT / "prefect.yaml")]
    _, settings = parse_flags(flags, own)
    assert (settings.to, settings.reason) == ("previous", "by hand")
    _, settings = parse_flags([*flags, "--to", "v7"], own)
    assert settings.to == "v7"

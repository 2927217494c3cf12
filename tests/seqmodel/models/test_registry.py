"""The list of networks: complete, lazy and readable."""

import re
import subprocess
import sys
from typing import get_args

import pytest
from rich.console import Console

from seqmodel.models.__main__ import print_models
from seqmodel.models.registry import KINDS, list_models
from seqmodel.specs import ModelSpec

FIELDS = ModelSpec.model_fields


def test_the_spec_offers_just_what_the_registry_has():
    assert set(get_args(FIELDS["kind"].annotation)) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_lists_the_knobs_that_its_spec_takes(kind):
    (listing,) = [found for found in list_models() if found.kind == kind]
    knobs = {knob.name for knob in listing.knobs}
    assert {"units", "layers", "dropout", "embedding"} <= knobs
    for name, field in FIELDS.items():
        readers = (field.json_schema_extra or {}).get("read_by", KINDS)
        assert (name in knobs) == (name != "kind" and kind in readers)
    for knob in listing.knobs:
        assert knob.default == FIELDS[knob.name].default
        assert knob.description == FIELDS[knob.name].description


def test_the_command_prints_every_knob_without_loading_keras():
    code = (
        "import sys, runpy; sys.argv = ['models']\n"
        "try: runpy.run_module('seqmodel.models', run_name='__main__')\n"
        "except SystemExit as end: assert not end.code\n"
        "assert 'keras' not in sys.modules"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for kind, about, knobs in list_models():
        assert f"model.kind {kind}" in found.stdout
        assert about.split(",")[0] in re.sub(r"\s+", " ", found.stdout)
        assert all(f"model.{knob.name}" in found.stdout for knob in knobs)


def test_the_command_prints_the_kinds_named_and_refuses_unknown_ones(capsys):
    assert print_models(["gru"], Console()) == 0
    printed = capsys.readouterr().out
    assert "model.kind gru" in printed
    assert "model.kind lstm" not in printed
    assert print_models(["gur"], Console()) == 2
    assert "found gur" in capsys.readouterr().err

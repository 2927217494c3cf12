"""A spec that fits is accepted and stays the same; one wrong value is refused with its path."""

from __future__ import annotations

import string
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from flows.command import describe_invalid, parse_flags
from seqmodel.errors import SpecError
from seqmodel.specs import PipelineSpec
from tests.conftest import ROOT
from tests.faults.knobs import DRAWN, KNOBS, LEAST, PLANTED, SECTIONS, put, specs, strip

FUZZ = settings(
    deadline=None, max_examples=100, suppress_health_check=list(HealthCheck), derandomize=True
)
PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**12), 10**12), st.floats(), st.text(max_size=20)
)
JUNK = st.one_of(
    PLAIN, st.lists(PLAIN, max_size=3), st.dictionaries(st.text(max_size=5), PLAIN, max_size=2)
)


def parse(spec: dict[str, Any]) -> PipelineSpec:
    """Read a deployment of a spec as the command line does."""
    with tempfile.TemporaryDirectory() as folder:
        return parse_flags(deploy(Path(folder), spec))[0]


def deploy(folder: Path, spec: dict[str, Any]) -> list[str]:
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump({"deployments": [{"name": "p", "parameters": {"spec": spec}}]}))
    return ["--deployment", "p", "--prefect-file", str(path)]


def assert_one_sentence(error: SpecError) -> None:
    said = str(error)
    assert error.exit_code == 2
    assert all(word in said for word in ("found ", "needed ")), said
    assert said.isprintable()
    assert "Traceback" not in said


def test_nearly_all_knobs_are_drawn():
    assert len(DRAWN) > 0.75 * len(KNOBS)


@pytest.mark.fault("a spec made of its own fields", tries=500)
@settings(FUZZ, max_examples=500)
@given(st.data(), st.sampled_from(sorted(DRAWN)))
def test_a_value_within_its_type_and_bounds_is_refused_only_beside_another(data, path):
    value = data.draw(DRAWN[path])
    try:
        assert PipelineSpec.model_validate(put(LEAST, path, value))
    except ValidationError as error:
        said = error.errors()
        assert {e["type"] for e in said} == {"value_error"}
        assert "needed" in said[0]["msg"]


@pytest.mark.fault("a spec made of its own fields", tries=100)
@FUZZ
@given(specs())
def test_an_accepted_spec_survives_json_and_the_yaml_of_a_deployment(values):
    try:
        spec = PipelineSpec.model_validate(values)
    except ValidationError:
        assume(False)
        return
    assert PipelineSpec.model_validate(spec.model_dump()) == spec
    assert PipelineSpec.model_validate(spec.model_dump(mode="json")) == spec
    assert parse(spec.model_dump(mode="json")) == spec


@pytest.mark.fault("a spec of anything", tries=300)
@settings(FUZZ, max_examples=300)
@given(st.sampled_from(sorted(KNOBS)), JUNK)
def test_any_value_of_any_knob_is_accepted_or_refused_by_its_path(path, value):
    try:
        found = PipelineSpec.model_validate(put(LEAST, path, value))
    except ValidationError as error:
        # Some fault names the knob, or is a sentence about two of them.
        names = [".".join(map(str, one["loc"])) for one in error.errors()]
        kinds = {one["type"] for one in error.errors()}
        assert "value_error" in kinds or any(name.startswith(path) for name in names), error  # noqa: PT017
        return
    # What was accepted comes back the same from JSON: prefect.yaml, manifests and forms hold it.
    again = PipelineSpec.model_validate_json(found.model_dump_json())
    assert again.model_dump_json() == found.model_dump_json()


@pytest.mark.fault("a knob of the wrong kind", tries=len(PLANTED))
def test_a_value_that_does_not_fit_is_refused_with_the_path_of_its_knob():
    assert {path for path, _ in PLANTED} > {"window.lookback", "train.learning_rate"}
    for path, value in PLANTED:
        with pytest.raises(ValidationError) as refused:
            PipelineSpec.model_validate(put(LEAST, path, value))
        said = SpecError(describe_invalid(refused.value))
        assert_one_sentence(said)
        assert path in str(said), value


@pytest.mark.fault("a knob of the wrong kind", tries=100)
@FUZZ
@given(specs(), st.sampled_from(PLANTED))
def test_it_is_refused_among_any_other_values_too(values, planted):
    with pytest.raises(SpecError) as refused:
        parse(put(values, *planted))
    assert_one_sentence(refused.value)
    assert planted[0] in str(refused.value) or "more)" in str(refused.value)


@pytest.mark.fault("a knob misspelt", tries=100)
@FUZZ
@given(st.sampled_from(SECTIONS), st.text(string.ascii_lowercase + "_", min_size=1, max_size=12))
def test_an_unknown_knob_is_refused_with_its_path(section, name):
    path = f"{section}.{name}" if section else name
    assume(not any(knob == path or knob.startswith(f"{path}.") for knob in KNOBS))
    with pytest.raises(SpecError) as refused:
        parse(put(LEAST, path, 1))
    assert_one_sentence(refused.value)
    assert f"unknown knob {path}" in str(refused.value)


NUMBERS = sorted(p for p, f in KNOBS.items() if strip(f.annotation)[0] in {int, float})


@pytest.mark.fault("a flag of nonsense", tries=40)
@settings(FUZZ, max_examples=40)
@given(st.sampled_from(NUMBERS), st.text(string.ascii_letters, min_size=1, max_size=8))
def test_nonsense_on_the_command_line_is_one_sentence_with_the_path(path, word):
    try:
        TypeAdapter(KNOBS[path].annotation).validate_python(word)
    except ValidationError:
        pass
    else:
        return
    assume(word.lower() not in {"none", "null", "inf", "infinity", "nan", "true", "false"})
    with pytest.raises(SpecError) as refused:
        parse_flags(["--name", "p", "--source.uri", "x", f"--{path}", word])
    assert_one_sentence(refused.value)
    assert path in str(refused.value)


@pytest.mark.fault("a flag of nonsense")
@pytest.mark.parametrize(
    ("path", "value"),
    [("window.lookback", 0), ("train.learning_rate", "fast"), ("quality.max_ags", 3)],
)
def test_the_real_command_line_says_it_in_one_line_and_ends_with_2(path, value, tmp_path):
    words = deploy(tmp_path, put(LEAST, path, value))
    done = subprocess.run(
        [sys.executable, "-m", "flows.nightly", *words, "--data-root", str(tmp_path / "root")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert path in done.stderr
    assert not (tmp_path / "root").exists()

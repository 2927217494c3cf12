"""Specs of any kind: valid ones are accepted, invalid ones refused with the path of the knob."""

import string
from typing import Any, get_args, get_origin

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from flows.command import parse_flags
from seqmodel.errors import SpecError
from seqmodel.specs import PipelineSpec

QUICK = settings(
    deadline=None, max_examples=300, suppress_health_check=list(HealthCheck), derandomize=True
)


def list_sections(model: Any = PipelineSpec, path: tuple[str, ...] = ()):
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from list_sections(kind, (*path, name))
        else:
            yield (*path, name), field


KNOBS = dict(list_sections())
PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**12), 10**12), st.floats(), st.text(max_size=20)
)
JUNK = st.one_of(
    PLAIN, st.lists(PLAIN, max_size=3), st.dictionaries(st.text(max_size=5), PLAIN, max_size=2)
)


def put(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {"name": "p", "source": {"uri": "x.parquet"}}
    inner = spec
    for name in path[:-1]:
        inner = inner.setdefault(name, {})
    inner[path[-1]] = value
    return spec


def is_plain(error: ValidationError, path: tuple[str, ...]) -> bool:
    """Whether some fault names the knob, or is a sentence about two of them."""
    return any(
        tuple(map(str, one["loc"][: len(path)])) == path or one["type"] == "value_error"
        for one in error.errors()
    )


@QUICK
@given(st.sampled_from(sorted(KNOBS)), JUNK)
@pytest.mark.fault("a spec of anything", tries=300)
def test_any_value_of_any_knob_is_accepted_or_refused_by_its_path(path, value):
    try:
        found = PipelineSpec.model_validate(put(path, value))
    except ValidationError as error:
        refused = error
    else:
        refused = None
    if refused:
        assert is_plain(refused, path), refused
        return
    # What was accepted comes back the same from JSON: prefect.yaml, manifests and forms hold it.
    again = PipelineSpec.model_validate_json(found.model_dump_json())
    assert again.model_dump_json() == found.model_dump_json()


@QUICK
@given(
    st.sampled_from(sorted({path[:-1] for path in KNOBS})),
    st.text(string.ascii_lowercase + "_", min_size=1, max_size=12),
)
@pytest.mark.fault("a knob misspelt", tries=300)
def test_a_knob_that_does_not_exist_is_refused_by_its_path(section, name):
    path = (*section, name)
    assume(path not in KNOBS and not any(k[: len(path)] == path for k in KNOBS))
    with pytest.raises(ValidationError) as refused:
        PipelineSpec.model_validate(put(path, 1))
    assert any(tuple(map(str, e["loc"])) == path for e in refused.value.errors())


def is_number(kind: Any) -> bool:
    return kind in {int, float} or (
        get_origin(kind) is not None and any(map(is_number, get_args(kind)))
    )


NUMBERS = sorted(p for p, f in KNOBS.items() if is_number(f.annotation))


@settings(QUICK, max_examples=40)
@given(st.sampled_from(NUMBERS), st.text(string.ascii_letters, min_size=1, max_size=8))
@pytest.mark.fault("a flag of nonsense", tries=40)
def test_nonsense_on_the_command_line_is_one_sentence_with_the_path(path, word):
    knob = ".".join(path)
    kind = KNOBS[path].annotation
    try:
        TypeAdapter(kind).validate_python(word)
    except ValidationError:
        pass
    else:
        return
    assume(word.lower() not in {"none", "null", "inf", "infinity", "nan", "true", "false"})
    with pytest.raises(SpecError) as refused:
        parse_flags(["--name", "p", "--source.uri", "x", f"--{knob}", word])
    said = str(refused.value)
    assert knob in said
    assert "\n" not in said
    assert refused.value.exit_code == 2

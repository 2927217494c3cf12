"""What makes a stored result another one."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import RunRef
from tasks import caching
from tasks.caching import FRESH, cached
from tasks.retrying import retry_if_it_may_pass

AS_OF = datetime(2024, 5, 1, tzinfo=UTC)
RUN = RunRef(pipeline="demand", run="one", as_of=AS_OF)


def make_spec(**sections):
    return PipelineSpec.model_validate({"name": "demand", "source": {"uri": "x"}, **sections})


SPEC = make_spec()


def key(*, task="train", options=None, **parameters):
    options = options or cached("window", "train.holdout", ignore=("run",))
    make = options["cache_policy"].cache_key_fn
    chosen = {"run": RUN, "spec": SPEC, "as_of": AS_OF, "rows": 3, **parameters}
    return make(SimpleNamespace(task=SimpleNamespace(name=task)), chosen)


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQMODEL_DATA", str(tmp_path))


def test_the_same_call_has_the_same_key():
    assert key() == key(spec=make_spec())


@pytest.mark.parametrize(
    "change",
    [
        {"task": "window"},
        {"rows": 4},
        {"rows": "3"},
        {"rows": None},
        {"as_of": datetime(2024, 5, 2, tzinfo=UTC)},
        {"rows": {"a": RUN}},
        {"spec": make_spec(window={"lookback": 99})},
        {"spec": make_spec(window={"stride": 2})},
        {"spec": make_spec(train={"holdout": 0.2})},
        {"spec": make_spec(name="supply")},
    ],
)
def test_an_input_or_a_knob_named_makes_another_key(change):
    assert key(**change) != key()


@pytest.mark.parametrize(
    "change",
    [
        {"spec": make_spec(train={"epochs": 99})},
        {"spec": make_spec(model={"units": 3})},
        {"spec": make_spec(forecast={"minimum": 0})},
        {"run": RUN.model_copy(update={"run": "two"})},
    ],
)
def test_another_knob_or_an_ignored_parameter_does_not(change):
    assert key(**change) == key()


def test_a_ref_counts_by_all_its_fields_and_its_type():
    plain = cached()
    other = RUN.model_copy(update={"run": "two"})
    assert key(options=plain, rows=RUN) != key(options=plain, rows=other)
    as_dict = RUN.model_dump(mode="json")
    assert key(options=plain, rows=RUN) != key(options=plain, rows=as_dict)
    assert key(options=plain, rows={"a": RUN}) != key(options=plain, rows={"a": other})
    assert key(options=plain, rows=(RUN,)) != key(options=plain, rows=(other,))


def test_another_data_root_has_its_own_results(monkeypatch, tmp_path):
    before = key()
    monkeypatch.setenv("SEQMODEL_DATA", str(tmp_path / "other"))
    assert key() != before


def test_changed_code_makes_every_result_new(monkeypatch):
    before, asked = key(), []

    def digest(*packages):
        asked.append(packages)
        return "other"

    monkeypatch.setattr(caching, "digest_code", digest)
    assert key() != before
    assert asked == [("seqmodel", "tasks")]


def test_results_are_kept_as_json_and_tried_again_by_the_one_policy():
    options = cached("window")
    assert options["persist_result"] is True
    assert options["result_serializer"] == "json"
    for chosen in (options, FRESH):
        assert chosen["retry_condition_fn"] is retry_if_it_may_pass
        assert chosen["retries"] == 2
    assert FRESH["persist_result"] is False


def test_a_knob_that_does_not_exist_is_an_error_not_a_silence():
    with pytest.raises(AttributeError):
        key(options=cached("windows"))

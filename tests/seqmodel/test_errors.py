"""Errors survive the way out of a child process."""

import json
import pickle

import pytest

from seqmodel.errors import ChildDied, DataError, SeqmodelError, SpecError, StoreError, find_error


def tree(kind):
    return [kind, *(leaf for sub in kind.__subclasses__() for leaf in tree(sub))]


@pytest.mark.parametrize("kind", tree(SeqmodelError))
def test_error_survives_pickle_and_json_with_its_one_sentence(kind):
    error = kind("found x, needed y; do z")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    sent = json.loads(json.dumps([type(error).__name__, str(error)]))
    raised = find_error(sent[0])(sent[1])
    assert type(again) is type(raised) is kind
    assert again.args == raised.args == ("found x, needed y; do z",)


@pytest.mark.parametrize("kind", tree(SeqmodelError))
def test_error_takes_one_argument_only(kind):
    with pytest.raises(TypeError):
        kind("found", "needed")


def test_unknown_name_becomes_the_base_error():
    assert find_error("ValueError") is SeqmodelError


def test_exit_code_is_2_for_specs_3_for_data_and_1_for_the_rest():
    assert SpecError.exit_code == 2
    assert {kind.exit_code for kind in tree(DataError)} == {3}
    assert {SeqmodelError.exit_code, StoreError.exit_code, ChildDied.exit_code} == {1}

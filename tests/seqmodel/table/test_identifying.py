"""Two keys have one id only if they are one key."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel.table.identifying import join_ids, to_text

PART = st.text("ab|\\\\/^~-", max_size=4)


def join(rows, separator):
    return join_ids([pa.array(c, pa.string()) for c in zip(*rows, strict=True)], separator)


@settings(deadline=None, max_examples=300)
@given(
    st.integers(2, 3).flatmap(lambda n: st.lists(st.tuples(*[PART] * n), min_size=2, max_size=40)),
    st.text("ab|\\\\/^~-", min_size=1, max_size=3),
)
def test_different_keys_have_different_ids_whatever_they_hold(rows, separator):
    assert len(set(join(rows, separator).to_pylist())) == len(set(rows))


@pytest.mark.parametrize("separator", ["|", "||", "\\", "a", "^~/"])
def test_neighbours_that_would_collide_do_not(separator):
    rows = [(separator, ""), ("", separator), (separator + "b", "c"), ("b", separator + "c")]
    assert len(set(join([*rows, ("b" + separator, "c")], separator).to_pylist())) == 5


def test_values_without_the_separator_are_joined_as_they_are():
    rows = [("001", "a"), ("x", "")]
    assert join(rows, " / ").to_pylist() == ["001 / a", "x / "]


def test_single_column_stays_as_it_is():
    assert join([("a|b",), (None,)], "|").to_pylist() == ["a|b", None]


def test_great_whole_numbers_look_alike_as_integers_and_doubles():
    numbers = pa.array([10**15, 7, -3])
    assert to_text(numbers.cast(pa.float64())).to_pylist() == to_text(numbers).to_pylist()
    assert to_text(pa.array([0.5, float("nan"), 1e300])).to_pylist() == ["0.5", None, "1e+300"]

"""What a freq says, with pandas as the judge; the common ones are read without it."""

import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pandas.tseries.frequencies import to_offset

from seqmodel.errors import SpecError
from seqmodel.specs.steps import UNITS, read_step

#: Nanoseconds of pandas in one of our microseconds.
NANOS = 1000


@given(st.sampled_from(sorted(UNITS)), st.integers(1, 10**7))
@example("D", 1)
def test_a_fixed_step_is_as_long_as_pandas_says(unit, count):
    found, offset = read_step(f"{count}{unit}"), to_offset(f"{count}{unit}")
    said = offset.n * UNITS["D"] if unit == "D" else offset.nanos // NANOS
    assert found.length == said
    assert found.counts_days is (said % UNITS["D"] == 0)
    assert not found.names_ends


@pytest.mark.parametrize(
    ("freq", "rule", "count", "length"),
    [
        ("h", "h", 1, 3_600_000_000),
        ("1h30min", "min", 90, 5_400_000_000),
        ("1.5h", "min", 90, 5_400_000_000),
        ("01h", "h", 1, 3_600_000_000),
        ("2D", "D", 2, 172_800_000_000),
        ("W", "W", 1, None),
        ("2W-MON", "W", 2, None),
        ("MS", "MS", 1, None),
        ("QE-NOV", "QE", 1, None),
        ("bh", "bh", 1, None),
    ],
)
def test_rule_count_and_length_of_an_alias(freq, rule, count, length):
    found = read_step(freq)
    assert (found.rule, found.count, found.length) == (rule, count, length)


@pytest.mark.parametrize("freq", ["", "hourly", "T", "0h", "-1h", "-2W", "five"])
def test_what_is_no_positive_alias_is_refused(freq):
    with pytest.raises(SpecError, match="needed a pandas alias of a positive step"):
        read_step(freq)


def test_a_step_below_a_microsecond_is_refused():
    with pytest.raises(SpecError, match="needed whole microseconds"):
        read_step("100ns")


@pytest.mark.parametrize("freq", ["ME", "BME", "SME", "QE", "BQE", "YE", "BYE"])
def test_ends_of_months_quarters_and_years_name_the_step_they_end(freq):
    assert read_step(freq).names_ends


@pytest.mark.parametrize("freq", ["MS", "BMS", "QS", "YS", "B", "W-SUN", "h", "D"])
def test_all_others_name_the_step_they_begin(freq):
    assert not read_step(freq).names_ends


@pytest.mark.parametrize(
    ("freq", "days"),
    [
        *(("h", False), ("15min", False), ("24h", True), ("36h", False), ("bh", False)),
        *(("D", True), ("2D", True), ("MS", True), ("W-MON", True), ("B", True)),
    ],
)
def test_steps_of_whole_days_are_told_from_shorter_ones(freq, days):
    assert read_step(freq).counts_days is days


@pytest.mark.parametrize(("freq", "loads"), [("h", False), ("15min", False), ("MS", True)])
def test_pandas_is_loaded_for_calendar_steps_only(freq, loads):
    code = (
        "import sys; from seqmodel.grid import Grid; from seqmodel.specs import SourceSpec;"
        " from seqmodel.calendar_features import choose_cycles;"
        f" choose_cycles(Grid({freq!r})); assert SourceSpec(uri='x', freq={freq!r}).season;"
        f" assert ('pandas' in sys.modules) is {loads}"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

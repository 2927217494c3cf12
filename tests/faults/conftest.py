"""Counts what was tried, and prints the table at the end."""

from __future__ import annotations

import pytest

from tests.faults.faults import show_tally

PROPERTY = "fault"


@pytest.fixture
def tried(record_property):
    """Say how often a fault was tried, where only the run itself can tell."""
    return lambda times: record_property("tries", times)


@pytest.fixture(autouse=True)
def _name_the_fault(request, record_property):
    for mark in request.node.iter_markers("fault"):
        record_property(PROPERTY, mark.args[0])
        record_property("tries", mark.kwargs.get("tries", 1))


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter):
    """Print fault, tries, survived, lost."""
    tally: dict[str, list[int]] = {}
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            said = dict(getattr(report, "user_properties", ()))
            if PROPERTY in said and (report.when == "call" or outcome == "error"):
                tries, lost = tally.setdefault(said[PROPERTY], [0, 0])
                tally[said[PROPERTY]] = [
                    tries + said["tries"],
                    lost + (said["tries"] if outcome != "passed" else 0),
                ]
    if tally:
        terminalreporter.section("what was broken on purpose")
        terminalreporter.write_line(show_tally(tally))

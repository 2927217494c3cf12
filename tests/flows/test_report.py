"""`python -m flows.report`: the page of a run is drawn again from what the run wrote down."""

import sys

import pytest

from flows import report
from seqmodel.reporting.html import render_html
from seqmodel.reporting.night import Night
from seqmodel.store.store import Store
from tests.seqmodel.reporting.test_html import build_night


@pytest.fixture
def root(data_root):
    """Two pipelines, each with a run of the same name whose page is gone or old."""
    store = Store(data_root)
    for pipeline in ("demand", "supply"):
        night = build_night(pipeline=pipeline, run="one")
        store.write_text(f"{pipeline}/reports/one/night.json", night.model_dump_json())
    store.write_text("demand/reports/one/report.html", "an old look")
    return data_root


def run(monkeypatch, *flags):
    monkeypatch.setattr(sys, "argv", ["report", *flags])
    return report.main()


def test_the_page_is_the_one_that_the_run_drew(root, monkeypatch, capsys):
    assert run(monkeypatch, "--run", "demand/one") == 0
    page = root / "demand/reports/one/report.html"
    night = Night.model_validate_json((page.parent / "night.json").read_text())
    assert page.read_text() == render_html(night)
    assert capsys.readouterr().out == f"report: {page}\n"


def test_the_newest_run_needs_no_name(root, monkeypatch):
    assert run(monkeypatch, "--run", "newest", "--data-root", str(root)) == 0
    assert (root / "supply/reports/one/report.html").exists()


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--run", "one"), "found 2 runs 'one'"),
        (("--run", "demand/two"), "found 0 runs 'demand/two'"),
        ((), "found no run, needed it"),
        (("--run", "one", "--colour", "red"), "--colour"),
    ],
)
def test_a_run_that_is_not_there_or_twice_is_refused_in_one_line(monkeypatch, capsys, flags, says):
    assert run(monkeypatch, *flags) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line

"""The list, its tests and the README say the same."""

from tests.conftest import ROOT
from tests.faults.faults import FAULTS, README, show_tally, write_readme


def list_marks():
    """Yield the fault and the function of every mark in this folder."""
    import ast

    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        text = path.read_text()
        if "mark.fault(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            for mark in getattr(node, "decorator_list", []):
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
                    name = f"{path.relative_to(ROOT / 'tests').as_posix()}::{node.name}"
                    yield ast.literal_eval(mark.args[0]), name


def test_every_fault_has_its_test_and_every_marked_test_its_fault():
    marks = list(list_marks())
    assert {fault for fault, _ in marks} == {one.name for one in FAULTS}
    for one in FAULTS:
        assert (one.name, one.test) in marks, one
    assert len({one.name for one in FAULTS}) == len(FAULTS)


def test_the_readme_has_the_table_of_this_list():
    text = README.read_text()
    assert write_readme(text) == text, "run python -m tests.faults.faults"


def test_the_table_of_a_run_adds_up():
    lines = show_tally({FAULTS[0].name: [8, 0], FAULTS[1].name: [60, 2]}).splitlines()
    assert [line.split()[-3:] for line in lines[1:]] == [
        ["8", "8", "0"],
        ["60", "58", "2"],
        ["68", "66", "2"],
    ]

"""The house: what may import what, and who may write."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

SOURCES = sorted(p for room in ("flows", "tasks", "seqmodel") for p in (ROOT / room).rglob("*.py"))
WRITERS = {"write_text", "write_bytes", "to_parquet", "to_csv", "ParquetWriter"}


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return done.stdout


@pytest.mark.parametrize("heavy", ["keras", "tensorflow", "prefect", "great_expectations"])
def test_import_seqmodel_pulls_in_nothing_heavy(heavy):
    out = run_python(f"import sys, seqmodel; print({heavy!r} in sys.modules)")
    assert out.strip() == "False"


def test_flows_load_neither_keras_nor_great_expectations():
    out = run_python(
        "import sys, flows.nightly, flows.command;"
        "print([m for m in ('keras', 'tensorflow', 'great_expectations') if m in sys.modules])"
    )
    assert out.strip() == "[]"


def test_the_import_contracts_hold():
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_store_writes(path):
    if path.is_relative_to(ROOT / "seqmodel" / "store"):
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        owner = getattr(getattr(node.func, "value", None), "id", "")
        own = owner == "store"  # the store's own methods
        assert own or name not in WRITERS, f"line {node.lineno} calls {name}"
        if name == "open":
            modes = [a.value for a in node.args if isinstance(a, ast.Constant)]
            assert not any("w" in str(m) or "a" in str(m) for m in modes if len(str(m)) < 4)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_room_is_small_and_says_what_it_is_for(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 330
    assert path.name == "__init__.py" or ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("path", sorted((ROOT / "flows").glob("*.py")), ids=lambda p: p.name)
def test_a_flow_is_at_most_forty_lines(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno + 1 <= 55, node.name


def test_no_room_has_a_name_that_says_nothing():
    banned = {"utils", "helpers", "common", "misc", "manager", "handler"}
    assert not banned & {p.stem for p in SOURCES}


def test_prefect_would_not_find_our_packages_shadowed():
    assert not (ROOT / "flows" / "tasks.py").exists()
    assert not (ROOT / "flows" / "seqmodel.py").exists()
    assert (ROOT / "tasks" / "__init__.py").read_text() == ""


def test_nothing_pickles():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [a.name for a in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not {"pickle", "cloudpickle", "joblib", "dill"} & set(names), path


def test_the_prefect_server_can_be_imported():
    # A fastapi beyond the pin breaks exactly this, and nothing before a server is started.
    assert run_python("import prefect.server.api.server; print('ok')").strip() == "ok"


def test_the_pins_that_prefect_needs_are_kept():
    text = (ROOT / "constraints.txt").read_text().lower()
    pins = dict(line.split("==") for line in text.splitlines() if "==" in line)
    assert tuple(map(int, pins["fastapi"].split(".")[:2])) < (0, 151)
    assert tuple(map(int, pins["sqlalchemy"].split(".")[:2])) < (2, 1)
    assert "://" not in text, "a registry has no place in it"

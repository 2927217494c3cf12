"""The syntax trees of the three packages."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.conftest import ROOT

ROOMS = ("flows", "tasks", "seqmodel")
TREES = {
    str(path.relative_to(ROOT)): ast.parse(path.read_text())
    for room in ROOMS
    for path in sorted((ROOT / room).rglob("*.py"))
}


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Yield where, what is called, and the call."""
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                yield f"{name}:{node.lineno}", called, node

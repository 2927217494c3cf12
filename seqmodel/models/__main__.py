"""Prints the networks and their knobs: `python -m seqmodel.models [KIND ...]`."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from seqmodel.models.registry import KINDS, list_models


def print_models(kinds: list[str], console: Console) -> int:
    """Print some networks, all without a name; return the exit code."""
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        Console(stderr=True).print(
            f"found {', '.join(unknown)}, needed networks of the registry"
            f" ({', '.join(KINDS)}); name some of these"
        )
        return 2
    for kind, about, knobs in list_models():
        if kinds and kind not in kinds:
            continue
        table = Table(title=f"model.kind {kind}: {about}", title_justify="left", box=None)
        for column in ("knob", "default", "what it is"):
            table.add_column(column, overflow="fold")
        for name, default, description in knobs:
            table.add_row(f"model.{name}", str(default), description)
        console.print(table, "")
    return 0


if __name__ == "__main__":
    sys.exit(print_models(sys.argv[1:], Console(markup=False, highlight=False)))

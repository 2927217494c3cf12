"""The stored versions of a pipeline: list, show, compare, promote, check, prune, export.

python -m seqmodel.registry list --name departures
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from seqmodel.errors import SeqmodelError, SpecError, StoreError
from seqmodel.specs import RegistrySpec
from seqmodel.store.bundles import read_model
from seqmodel.store.champion import Champion, read_champion, read_journal, swap_champion
from seqmodel.store.checking import check_store
from seqmodel.store.retention import prune_store
from seqmodel.store.store import ROOT_VARIABLE, Store
from seqmodel.store.versions import (
    ORIGINS,
    compare_versions,
    find_version,
    list_versions,
    trace_lineage,
)

SHORT = 16


def main(words: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 done, 2 a flag is wrong, 1 a version is not there or something stored is damaged.
    """
    chosen = _parse(words)
    store = Store(chosen.data_root) if chosen.data_root else Store.from_environment()
    try:
        return COMMANDS[chosen.command](store, chosen)
    except SeqmodelError as error:
        sys.stderr.write(f"seqmodel: {error}\n")
        return error.exit_code


def _parse(words: Sequence[str] | None) -> argparse.Namespace:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--name", required=True, help="name of the pipeline")
    root = f"folder of the outputs; also {ROOT_VARIABLE}"
    shared.add_argument("--data-root", type=Path, help=root)
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m seqmodel.registry", description=about)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, says: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, parents=[shared], help=says, description=says)

    add("list", "list all versions, which serves, and whether their files are whole")
    add("journal", "list every move of the champion pointer")
    show = add("show", "show where a version comes from")
    show.add_argument("version", help="its name, champion or previous")
    compare = add("compare", "list what differs between two versions")
    compare.add_argument("versions", nargs=2, metavar="VERSION", help="a name, champion, previous")
    promote = add("promote", "let a version serve, such as one that waits for a person")
    promote.add_argument("version", help="its name")
    promote.add_argument("--reason", default="by hand", help="one sentence for the journal")
    add("check", "check every stored file against its checksum")
    prune = add("prune", "remove what is old and named by nothing")
    prune.add_argument("--nights", type=int, help="age of versions, tables, reports (nights)")
    prune.add_argument("--forecast-nights", type=int, help="age of forecasts (nights)")
    prune.add_argument("--history-nights", type=int, help="age of the watch's histories (nights)")
    prune.add_argument("--as-of", type=datetime.fromisoformat, help="moment ages count from")
    prune.add_argument("--dry-run", action="store_true", help="only say what would go")
    export = add("export", "put a version into an MLflow registry (extra mlflow)")
    export.add_argument("version", help="its name, champion or previous")
    export.add_argument("--mlflow", required=True, help="http://host:port or sqlite:///file")
    return parser.parse_args(words)


def _list(store: Store, chosen: argparse.Namespace) -> int:
    rows = [
        (
            one.version,
            one.state,
            str(one.manifest.get("kind", "")),
            f"{one.manifest.get('parameters', 0):,}",
            f"{one.manifest.get('holdout') or float('nan'):.4g}",
            str(one.manifest.get("trained_until", ""))[:16],
            one.parent or "",
        )
        for one in list_versions(store, chosen.name)
    ]
    names = ("version", "state", "kind", "parameters", "holdout", "trained until", "went on from")
    _print(names, rows)
    return 0


def _list_journal(store: Store, chosen: argparse.Namespace) -> int:
    rows = [
        (f"{m.moved_at:%Y-%m-%d %H:%M}", m.kind, m.left or "", m.version, m.reason)
        for m in read_journal(store, chosen.name)
    ]
    _print(("as of", "move", "from", "to", "reason"), rows)
    return 0


def _show(store: Store, chosen: argparse.Namespace) -> int:
    for one in trace_lineage(store, chosen.name, chosen.version):
        why = one.manifest.get("start", {}).get("why", one.damage)
        _say(f"{one.version}  {one.state}".rstrip())
        _say(f"  trained: {why}")
        for name in ORIGINS:
            _say(f"  {name}: {str(one.manifest.get(name))[:SHORT]}")
    return 0


def _compare(store: Store, chosen: argparse.Namespace) -> int:
    one, other = (find_version(store, chosen.name, name) for name in chosen.versions)
    found = compare_versions(one, other)
    rows = [(name, _write(a), _write(b)) for name, (a, b) in found.items()]
    _print(("what", one.version, other.version), rows)
    return 0


def _promote(store: Store, chosen: argparse.Namespace) -> int:
    pointer = read_champion(store, chosen.name)
    model = read_model(store, chosen.name, chosen.version)
    if pointer and pointer.version == model.version:
        raise StoreError(
            f"found {model.version} serving already, needed another version to promote; name one"
            " that list shows"
        )
    previous = pointer.version if pointer else None
    now = datetime.now(UTC)
    # An earlier night must not replace what a later one promoted, a later one may.
    since = max(model.as_of, pointer.promoted_at) if pointer else model.as_of
    new = Champion(
        version=model.version, previous=previous, reason=chosen.reason, promoted_at=since
    )
    swap_champion(store, chosen.name, new, previous, at=now)
    _say(f"{model.version} serves, {previous or 'the baseline'} did before")
    return 0


def _check(store: Store, chosen: argparse.Namespace) -> int:
    found = list(check_store(store, chosen.name))
    damaged = [one for one in found if one.damage]
    for one in damaged:
        _say(f"{one.kind} {one.name}: {one.damage}")
    _say(f"{len(found)} checked, {len(damaged)} damaged")
    return 1 if damaged else 0


def _prune(store: Store, chosen: argparse.Namespace) -> int:
    try:
        spec = RegistrySpec(
            nights=chosen.nights,
            forecast_nights=chosen.forecast_nights,
            history_nights=chosen.history_nights,
        )
    except ValueError:
        raise SpecError(
            f"found --nights {chosen.nights} --forecast-nights {chosen.forecast_nights}"
            f" --history-nights {chosen.history_nights}, needed whole numbers from 1 on; correct"
            " them"
        ) from None
    moment = chosen.as_of or datetime.now(UTC)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    gone = prune_store(store, chosen.name, spec, moment, pretend=chosen.dry_run)
    for key in gone:
        _say(key)
    _say(f"{len(gone)} {'would be ' * chosen.dry_run}removed")
    return 0


def _export(store: Store, chosen: argparse.Namespace) -> int:
    from seqmodel.store.mlflow_registry import export_version

    one = find_version(store, chosen.name, chosen.version)
    _say(f"MLflow version: {export_version(store, chosen.name, one.version, chosen.mlflow)}")
    return 0


def _write(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 3 * SHORT else f"{text[: 3 * SHORT]}..."


def _print(names: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    table = [names, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(names))]
    for row in table:
        cells = (cell.ljust(w) for cell, w in zip(row, widths, strict=True))
        _say("  ".join(cells).rstrip())


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


COMMANDS: dict[str, Callable[[Store, argparse.Namespace], int]] = {
    "list": _list,
    "journal": _list_journal,
    "show": _show,
    "compare": _compare,
    "promote": _promote,
    "check": _check,
    "prune": _prune,
    "export": _export,
}

if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.exit(main())

"""The columns that a canonical table has, against those it must have."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from seqmodel.errors import SourceError
from seqmodel.specs import SourceSpec
from seqmodel.store.tables import list_parts

#: Plain strings, as Arrow and as pandas write them; dictionaries defeat row-group pruning.
TEXT = ("string", "large_string")
MOMENT = "timestamp[us, tz=UTC]"
NUMBER = "double"
LISTS = ("list<double>", "list<string>")


def describe_columns(folder: Path, source: SourceSpec) -> pd.DataFrame:
    """Return one row for each column that the table must have.

    Args:
        folder: the table's folder of `part-*.parquet`.
        source: which covariates the table has.

    Returns:
        `column`, `wanted` and `found` (types; of the first part where it is wrong).

    Raises:
        SourceError: if there is no readable part.
    """
    schemas = [_read_schema(part) for part in find_parts(folder)]
    target = TEXT if source.of_classes else (NUMBER,)
    wanted = {"series_id": TEXT, "timestamp": (MOMENT,), "target": target}
    wanted |= dict.fromkeys(source.covariates, (NUMBER, *TEXT))
    if source.layout == "sequences":
        wanted |= dict.fromkeys(source.past, LISTS)
    rows = []
    for column, kinds in wanted.items():
        found = [_name_type(schema, column) for schema in schemas]
        # One part of another type is as wrong as all: readers take the first part's word.
        wrong = [kind for kind in found if kind not in kinds or kind != found[0]]
        fits = found[0] if found[0] in kinds else " or ".join(k for k in kinds if k != TEXT[1])
        rows.append({"column": column, "wanted": fits, "found": wrong[0] if wrong else fits})
    return pd.DataFrame(rows, columns=["column", "wanted", "found"], dtype="str")


def _name_type(schema: pa.Schema, column: str) -> str:
    """Return a type's name; of a list without the name that a writer gave to its elements."""
    if column not in schema.names:
        return "nothing"
    kind = schema.field(column).type
    return f"list<{kind.value_type}>" if pa.types.is_list(kind) else str(kind)


def find_parts(folder: Path) -> list[Path]:
    """Return the parts of a table, in order.

    Raises:
        SourceError: if there is none.
    """
    parts = list_parts(folder)
    if not parts:
        raise SourceError(
            f"found no part-*.parquet in {folder}, needed a canonical table; ingest the source"
        )
    return parts


def _read_schema(part: Path) -> pa.Schema:
    try:
        return pq.read_schema(part)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(
            f"found {part} unreadable ({error}), needed Parquet; ingest the table again"
        ) from error


def read_names(folder: Path, source: SourceSpec) -> list[str]:
    """Return the columns of a table, in order.

    Args:
        folder: the table's folder of `part-*.parquet`.
        source: which covariates the table has.

    Raises:
        SourceError: if a part lacks one of them, or has other columns than the first.
    """
    parts = find_parts(folder)
    names: list[str] = list(_read_schema(parts[0]).names)
    lacking = {"series_id", "timestamp", "target", *source.covariates} - set(names)
    for part in parts[1:]:
        other = list(_read_schema(part).names)
        if other != names:
            raise SourceError(
                f"found columns {other} in {part}, needed {names} as in the first part; ingest the"
                " table again"
            )
    if lacking:
        raise SourceError(
            f"found no column {min(lacking)!r} in {folder}, needed all that source names;"
            " ingest the table again"
        )
    return names

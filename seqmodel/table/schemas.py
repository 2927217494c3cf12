"""What the columns of source files must be, each file by itself and all of them together.

file 1   int    text            file and path disagree, or text meets number: refused
file 2   float  text  new       int and float: doubles; a column new in later files: fine
all      double text  new       declared columns in every file, past and known ones in one
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa

from seqmodel.errors import SourceError, quote
from seqmodel.specs import SourceSpec

#: Column names that an error lists at most.
SHOWN = 5
#: How Hive writes a key that has no value.
NO_KEY = "__HIVE_DEFAULT_PARTITION__"


def list_declared(source: SourceSpec) -> tuple[str, ...]:
    """Return the columns that every file must have: past and known covariates may come later."""
    if source.layout == "wide":
        return (source.timestamp, *source.static)
    return (*source.series_id, source.timestamp, source.target, *source.static)


def list_series(schema: pa.Schema, source: SourceSpec) -> list[str]:
    """Return the columns of a wide file that are a series each.

    They are the numeric ones, except the timestamp and the declared covariates.
    """
    other = {source.timestamp, *source.covariates}
    return [f.name for f in schema if f.name not in other and is_number(value_type(f.type))]


def check_columns(path: str | Path, schema: pa.Schema, source: SourceSpec) -> None:
    """Check that a file, or the folders it is in, have the declared columns in usable types.

    Raises:
        SourceError: naming file, column, type found and type needed.
    """
    schema = add_keys(path, schema)
    needed = set(list_declared(source))
    for name in dict.fromkeys((*list_declared(source), *source.covariates)):
        times = schema.names.count(name)
        if times > 1 or (name in needed and not times):
            raise _miss_column(path, schema.names, name)
    _check_type(path, schema, source.timestamp, _is_time, "a timestamp or date, not a text of one")
    for name in source.covariates:
        if source.layout == "sequences" and name in source.past:
            _check_type(path, schema, name, is_list, "a list of numbers or of strings")
        else:
            _check_type(path, schema, name, _is_plain, "a number or a string")
    if source.layout != "wide":
        if source.of_classes:
            _check_type(path, schema, source.target, _is_plain, "a label: a number or a string")
        else:
            _check_type(path, schema, source.target, _is_number_or_null, "a number")
        for name in source.series_id:
            _check_type(path, schema, name, _is_plain, "a number or a string")
    else:
        _check_series(path, schema, source)
    kind = value_type(schema.field(source.timestamp).type)
    if pa.types.is_timestamp(kind) and kind.tz is None and source.timezone is None:
        raise SourceError(
            f"found timestamps without a time zone in column {source.timestamp!r} of {path}, needed"
            " to know their zone; declare source.timezone, for instance UTC or Europe/Berlin"
        )


def _miss_column(path: str | Path, names: list[str], name: str) -> SourceError:
    times = names.count(name)
    found = f"{times} columns" if times else "no column"
    return SourceError(
        f"found {found} {quote(name)} in {path} (it has {_list_names(names)}), needed one as"
        " declared under source; correct the name in the spec or the file"
    )


def _check_series(path: str | Path, schema: pa.Schema, source: SourceSpec) -> None:
    series = list_series(schema, source)
    if not series:
        raise SourceError(
            f"found no column of numbers in {path} (it has {_list_names(schema.names)}), needed one"
            " for each series of a wide file; set source.layout to long or convert them"
        )
    twice = next((name for name in series if schema.names.count(name) > 1), None)
    if twice is not None:
        raise _miss_column(path, schema.names, twice)


def _check_type(
    path: str | Path, schema: pa.Schema, name: str, test: Callable[[pa.DataType], bool], needed: str
) -> None:
    if name not in schema.names:
        return
    kind = value_type(schema.field(name).type)
    if not test(kind):
        raise SourceError(
            f"found column {name!r} of {path} to be {kind}, needed {needed}; convert the column or"
            " name another in the spec"
        )


def unite_schemas(files: Iterable[tuple[str | Path, pa.Schema]], source: SourceSpec) -> pa.Schema:
    """Check each file, and reconcile the types that its columns have in the others.

    Args:
        files: each file's path and schema.
        source: which column means what.

    Returns:
        The columns of all files and the keys of their folders. Text stays text, numbers of unlike
        types are doubles.

    Raises:
        SourceError: naming the file and column that fit neither the spec nor the other files, or
            the covariate that no file has.
    """
    found: dict[str, pa.Field] = {}
    first: dict[str, str | Path] = {}
    roles = {*source.series_id, *source.covariates}
    if source.of_classes:
        roles.add(source.target)
    some: str | Path = source.uri
    last: pa.Schema | None = None
    for path, alone in files:
        schema = add_keys(path, alone)
        if last is not None and schema.equals(last):
            continue
        some, last = path, schema
        check_columns(path, schema, source)
        for field in schema:
            before = found.get(field.name)
            if before is None or pa.types.is_null(before.type):
                found[field.name], first[field.name] = field, path
                continue
            if field.name in roles or source.layout == "wide":
                _check_alike(path, field, before, f", {first[field.name]}")
            if field.type != before.type and is_number(value_type(field.type)):
                found[field.name] = pa.field(field.name, pa.float64())
    for name in source.covariates:
        if name not in found:
            raise _miss_column(some, list(found), name)
    return pa.schema(list(found.values()))


def _check_alike(path: str | Path, field: pa.Field, before: pa.Field, other: str = "") -> None:
    kind, known = value_type(field.type), value_type(before.type)
    sorts = {_sort_of(kind), _sort_of(known)}
    if len(sorts) > 1 and "neither" not in sorts:
        raise SourceError(
            f"found column {field.name!r} of {path} to be {kind}, needed {_sort_of(known)}"
            f" as in the first file that has it{other}; convert the column in one of them"
        )


def check_kinds(
    path: str | Path, schema: pa.Schema, canonical: pa.Schema, source: SourceSpec
) -> None:
    """Check that covariates of a file are numbers where the table's are, and text where text.

    Raises:
        SourceError: naming file and column.
    """
    schema = add_keys(path, schema)
    for name in source.covariates:
        if name in schema.names:
            known, own = canonical.field(name), schema.field(name)
            if is_list(known.type) and not pa.types.is_floating(known.type.value_type):
                # Whole numbers in a list are names: the files agree on them among themselves.
                continue
            _check_alike(path, own, known)


def add_keys(path: str | Path, schema: pa.Schema) -> pa.Schema:
    """Return a file's columns and those that its folders name; where both do, the file's."""
    for name in read_keys(path):
        if name not in schema.names:
            schema = schema.append(pa.field(name, pa.string()))
    return schema


def read_keys(path: str | Path) -> dict[str, str | None]:
    """Return what the folders on a path say as Hive writes it, `key=value`, always as text.

    >>> read_keys("sales/store=001/city=K%C3%B6ln/part-0.parquet")
    {'store': '001', 'city': 'Köln'}
    """
    pairs = (part.partition("=") for part in str(path).split("/")[:-1])
    return {
        unquote(key): None if value == NO_KEY else unquote(value)
        for key, equals, value in pairs
        if key and equals
    }


def _list_names(names: list[str]) -> str:
    listed = ", ".join(quote(name) for name in names[:SHOWN])
    return listed if len(names) <= SHOWN else f"{listed} and {len(names) - SHOWN} more"


def value_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values, whether or not they are stored as a dictionary."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def is_number(kind: pa.DataType) -> bool:
    """Whether values of this type can be doubles."""
    test = pa.types
    return bool(
        test.is_integer(kind)
        or test.is_floating(kind)
        or test.is_decimal(kind)
        or test.is_boolean(kind)
    )


def is_text(kind: pa.DataType) -> bool:
    """Whether values of this type are strings."""
    test = pa.types
    return bool(test.is_string(kind) or test.is_large_string(kind) or test.is_string_view(kind))


def is_list(kind: pa.DataType) -> bool:
    """Whether values of this type are lists of numbers or of strings."""
    test = pa.types
    if not (test.is_list(kind) or test.is_large_list(kind) or test.is_fixed_size_list(kind)):
        return False
    return _is_plain(value_type(kind.value_type))


def _sort_of(kind: pa.DataType) -> str:
    if is_list(kind):
        real = pa.types.is_floating(value_type(kind.value_type))
        return f"lists of {'real numbers' if real else _sort_of(value_type(kind.value_type))}"
    if is_text(kind):
        return "text"
    return "numbers" if is_number(kind) else "neither"


def _is_number_or_null(kind: pa.DataType) -> bool:
    # A column without one value has no type of its own.
    return is_number(kind) or bool(pa.types.is_null(kind))


def _is_plain(kind: pa.DataType) -> bool:
    return _is_number_or_null(kind) or is_text(kind)


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))

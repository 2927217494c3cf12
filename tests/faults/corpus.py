"""Dirty sources, generated: one small function a kind, each says how it must end.

A builder gets an empty folder, writes a source into it and returns what the spec must say about it.
"""

from __future__ import annotations

import base64
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

START = datetime(2024, 1, 1, tzinfo=UTC)
HOURS = 48
AS_OF = START + timedelta(hours=HOURS)
ALL = {"max_quarantined": 1.0}
NAIVE, MOMENT = pa.timestamp("us"), pa.timestamp("us", "UTC")

#: clean: a canonical table, a quarantine and a ledger that adds up. refused: one sentence, exit 3.
#: wrong spec: one sentence, exit 2. either: clean or refused, both are sound answers.
Outcome = Literal["clean", "refused", "wrong spec", "either"]
Build = Callable[[Path], dict[str, Any]]
Act = Callable[[Path], None]


@dataclass(frozen=True)
class Kind:
    """One kind of dirty source.

    Attributes:
        name: of the builder, with blanks.
        build: writes the source, returns the fields of `source` in the spec.
        ends: how it must end.
        says: words that the sentence of a refusal must hold.
        quality: the fields of `quality` in the spec.
        as_of: the moment of the run.
        then: what happens to the source after it was looked at, before it is read.
        during: what happens to it after the first rows were read.
        judged: how the quality rules must find it; empty where they are not asked.
        unprivileged: whether it must be run by somebody without rights of root.
        broken: why it does not end as it must, as long as it does not.
        hangs: whether it would not end at all.
    """

    name: str
    build: Build
    ends: Outcome
    says: str = ""
    quality: dict[str, Any] = field(default_factory=dict)
    as_of: datetime = AS_OF
    then: Act | None = None
    during: Act | None = None
    judged: Literal["", "passes", "stops"] = ""
    unprivileged: bool = False
    broken: str = ""
    hangs: bool = False


KINDS: list[Kind] = []


def kind(ends: Outcome, **more: Any) -> Callable[[Build], Build]:
    """Register a builder."""

    def register(build: Build) -> Build:
        more.setdefault("quality", ALL)
        KINDS.append(Kind(build.__name__.replace("_", " "), build, ends, **more))
        return build

    return register


def good(series: tuple[Any, ...] = ("001", "1", "b"), hours: int = HOURS) -> pa.Table:
    """Return a table without a fault: hourly, sorted, a price and a remark nobody declares."""
    at = [START + timedelta(hours=h) for h in range(hours)] * len(series)
    rows = len(at)
    target = [10 + 3 * math.sin(i) + i % 7 for i in range(rows)]
    return pa.table(
        {
            "series_id": pa.array([s for s in series for _ in range(hours)]),
            "timestamp": pa.array(at, MOMENT),
            "target": pa.array(target, pa.float64()),
            "price": pa.array([float(i % 5) for i in range(rows)]),
            "remark": pa.array([f"row {i}" for i in range(rows)]),
        }
    )


def rows_of(*rows: tuple[Any, Any, Any], moments: pa.DataType = MOMENT) -> pa.Table:
    """Return rows of series, hour since the start (or a moment), target."""
    hours = [START + timedelta(hours=t) if isinstance(t, (int, float)) else t for _, t, _ in rows]
    return pa.table(
        {
            "series_id": pa.array([s for s, _, _ in rows], pa.string()),
            "timestamp": pa.array(hours, moments),
            "target": pa.array([y for _, _, y in rows], pa.float64(), from_pandas=False),
            "price": pa.array([1.0] * len(rows)),
            "remark": pa.array(["added"] * len(rows)),
        }
    )


def dirty() -> pa.Table:
    """Return a table with a few rows for each column of the ledger."""
    faults = rows_of(
        (None, 3, 1.0),
        ("b", None, 1.0),
        ("b", 5, math.inf),
        ("b", 3, 99.0),
        ("b", HOURS + 2, 1.0),
        ("1", 7, math.nan),
        ("1", 7, 5.0),
    )
    return pa.concat_tables([good(), faults])


def put(folder: Path, table: pa.Table, name: str = "a.parquet", **options: Any) -> dict[str, Any]:
    """Write a file below the source folder; return the uri of the folder."""
    path = folder / "source" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)
    return {"uri": str(folder / "source")}


def swap(table: pa.Table, name: str, column: Any) -> pa.Table:
    """Return the table with another column."""
    return table.set_column(table.column_names.index(name), name, column)


def cast(table: pa.Table, name: str, to: pa.DataType) -> pa.Table:
    """Return the table with a column of another type."""
    return swap(table, name, table[name].cast(to, safe=False))


def naive(table: pa.Table) -> pa.Table:
    """Return the table with moments that name no zone."""
    return cast(table, "timestamp", NAIVE)


def spoil(folder: Path, change: Callable[[bytes], bytes], **options: Any) -> dict[str, Any]:
    """Write a file and change its bytes."""
    source = put(folder, dirty(), **options)
    path = folder / "source" / "a.parquet"
    path.write_bytes(change(path.read_bytes()))
    return source


# ---- bytes that are no Parquet


@kind("refused", says="unreadable as Parquet")
def truncated_after_the_magic(folder: Path) -> dict[str, Any]:
    return spoil(folder, lambda whole: whole[:4])


@kind("refused", says="unreadable as Parquet")
def truncated_in_the_first_page(folder: Path) -> dict[str, Any]:
    return spoil(folder, lambda whole: whole[:100])


@kind("refused", says="unreadable as Parquet")
def truncated_in_the_middle(folder: Path) -> dict[str, Any]:
    return spoil(folder, lambda whole: whole[: len(whole) // 2])


@kind("refused", says="unreadable as Parquet")
def truncated_in_the_footer(folder: Path) -> dict[str, Any]:
    return spoil(folder, lambda whole: whole[:-300])


@kind("refused", says="unreadable as Parquet")
def truncated_by_one_byte(folder: Path) -> dict[str, Any]:
    return spoil(folder, lambda whole: whole[:-1])


@kind("refused", says="a.parquet")
def data_cut_out_before_a_whole_footer(folder: Path) -> dict[str, Any]:
    def cut(whole: bytes) -> bytes:
        footer = int.from_bytes(whole[-8:-4], "little") + 8
        return whole[:4] + whole[-footer:]

    return spoil(folder, cut)


@kind("refused", says="damaged")
def pages_of_zeros_in_the_middle(folder: Path) -> dict[str, Any]:
    return spoil(folder, lambda whole: whole[:4] + bytes(800) + whole[804:])


@kind("refused", says="unreadable as Parquet")
def zero_bytes(folder: Path) -> dict[str, Any]:
    return spoil(folder, lambda _: b"")


@kind("refused", says="unreadable as Parquet")
def nothing_but_zeros(folder: Path) -> dict[str, Any]:
    return spoil(folder, lambda whole: bytes(len(whole)))


@kind("refused", says="unreadable as Parquet")
def wrong_magic(folder: Path) -> dict[str, Any]:
    return spoil(folder, lambda whole: b"ORC1" + whole[4:-4] + b"ORC1")


@kind("refused", says="unreadable as Parquet")
def a_table_as_text_under_the_name_of_parquet(folder: Path) -> dict[str, Any]:
    return spoil(folder, lambda _: b"series_id,timestamp,target\n001,2024-01-01,3\n")


@kind("refused", says="unreadable as Parquet")
def a_footer_longer_than_the_file(folder: Path) -> dict[str, Any]:
    return spoil(folder, lambda whole: whole[:-8] + b"\xff\xff\xff\x7fPAR1")


def _encrypt(folder: Path, *, plain_footer: bool) -> dict[str, Any]:
    from pyarrow.parquet import encryption

    class Keys(encryption.KmsClient):
        def __init__(self, _: object) -> None:
            encryption.KmsClient.__init__(self)

        def wrap_key(self, key_bytes: bytes, _: str) -> bytes:
            return base64.b64encode(key_bytes)

        def unwrap_key(self, wrapped_key: bytes, _: str) -> bytes:
            return base64.b64decode(wrapped_key)

    settings = encryption.EncryptionConfiguration(
        footer_key="footer", column_keys={"columns": ["target"]}, plaintext_footer=plain_footer
    )
    factory = encryption.CryptoFactory(Keys)
    keys = factory.file_encryption_properties(encryption.KmsConnectionConfig(), settings)
    return put(folder, dirty(), encryption_properties=keys)


@kind("refused", says="unreadable as Parquet")
def encrypted_whole(folder: Path) -> dict[str, Any]:
    return _encrypt(folder, plain_footer=False)


@kind("refused", says="crypt")
def encrypted_columns_behind_an_open_footer(folder: Path) -> dict[str, Any]:
    return _encrypt(folder, plain_footer=True)


@kind("refused", says="b.parquet")
def a_damaged_file_beside_a_good_one(folder: Path) -> dict[str, Any]:
    put(folder, good())
    source = put(folder, good(), "b.parquet")
    path = folder / "source" / "b.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    return source


# ---- schemas


@kind("clean")
def a_target_of_int_then_float(folder: Path) -> dict[str, Any]:
    put(folder, cast(good(), "target", pa.int32()))
    return put(folder, dirty(), "b.parquet")


@kind("clean")
def a_target_of_float_then_int(folder: Path) -> dict[str, Any]:
    put(folder, dirty())
    return put(folder, cast(good(("c",)), "target", pa.int64()), "b.parquet")


@kind("clean")
def a_covariate_of_int_then_float(folder: Path) -> dict[str, Any]:
    put(folder, cast(good(), "price", pa.int8()))
    return {**put(folder, dirty(), "b.parquet"), "known": ("price",)}


@kind("refused", says="'target'")
def a_target_of_numbers_then_text(folder: Path) -> dict[str, Any]:
    put(folder, good())
    return put(folder, cast(good(("c",)), "target", pa.string()), "b.parquet")


@kind("refused", says="'price'")
def a_covariate_of_numbers_then_text(folder: Path) -> dict[str, Any]:
    put(folder, good())
    return {
        **put(folder, cast(good(("c",)), "price", pa.string()), "b.parquet"),
        "known": ("price",),
    }


@kind("either", says="'price'")
def a_covariate_of_text_then_numbers(folder: Path) -> dict[str, Any]:
    put(folder, cast(good(), "price", pa.string()))
    return {**put(folder, good(("c",)), "b.parquet"), "past": ("price",)}


@kind("refused", says="'target'")
def a_target_missing_in_the_second_file(folder: Path) -> dict[str, Any]:
    put(folder, good())
    return put(folder, good(("c",)).drop_columns(["target"]), "b.parquet")


@kind("either", says="'price'")
def a_covariate_missing_in_the_second_file(folder: Path) -> dict[str, Any]:
    put(folder, good())
    return {
        **put(folder, good(("c",)).drop_columns(["price"]), "b.parquet"),
        "past": ("price",),
    }


@kind("either", says="'price'")
def a_covariate_that_only_later_files_have(folder: Path) -> dict[str, Any]:
    put(folder, good().drop_columns(["price"]))
    return {**put(folder, dirty(), "b.parquet"), "past": ("price",)}


@kind("clean")
def an_undeclared_column_that_only_later_files_have(folder: Path) -> dict[str, Any]:
    put(folder, dirty().drop_columns(["remark"]))
    return put(folder, dirty(), "b.parquet")


@kind("clean")
def columns_in_another_order(folder: Path) -> dict[str, Any]:
    put(folder, dirty())
    other = dirty().select(["remark", "target", "price", "timestamp", "series_id"])
    return {**put(folder, other, "b.parquet"), "known": ("price",)}


@kind("clean")
def an_undeclared_column_of_other_types_in_each_file(folder: Path) -> dict[str, Any]:
    rows = dirty().num_rows
    lists = pa.array([[i, i + 1] for i in range(rows)], pa.list_(pa.int16()))
    structs = pa.array([{"a": i, "b": [str(i)]} for i in range(rows)])
    put(folder, dirty())
    put(folder, swap(dirty(), "remark", lists), "b.parquet")
    put(folder, swap(dirty(), "remark", structs), "c.parquet")
    put(folder, swap(dirty(), "remark", pa.nulls(rows)), "d.parquet")
    return put(folder, swap(dirty(), "remark", pa.array([b"\xff"] * rows)), "e.parquet")


@kind("refused", says="'target'")
def a_list_as_target(folder: Path) -> dict[str, Any]:
    return put(folder, swap(good(), "target", pa.array([[1.0]] * good().num_rows)))


@kind("refused", says="'target'")
def a_struct_as_target(folder: Path) -> dict[str, Any]:
    return put(folder, swap(good(), "target", pa.array([{"value": 1.0}] * good().num_rows)))


@kind("refused", says="'series_id'")
def a_struct_as_id(folder: Path) -> dict[str, Any]:
    return put(folder, swap(good(), "series_id", pa.array([{"id": "a"}] * good().num_rows)))


@kind("refused", says="'price'")
def a_list_as_covariate(folder: Path) -> dict[str, Any]:
    table = swap(good(), "price", pa.array([[1.0]] * good().num_rows))
    return {**put(folder, table), "known": ("price",)}


@kind("clean")
def nested_columns_that_nobody_declares(folder: Path) -> dict[str, Any]:
    rows = dirty().num_rows
    table = dirty().append_column("tree", pa.array([{"a": [1, None], "b": {"c": "x"}}] * rows))
    maps = pa.array([[("k", 1)]] * rows, pa.map_(pa.string(), pa.int64()))
    return put(folder, table.append_column("pairs", maps))


@kind("refused", says="no column")
def zero_columns(folder: Path) -> dict[str, Any]:
    return put(folder, pa.table({}))


@kind("refused", says="2 columns 'target'")
def the_target_twice(folder: Path) -> dict[str, Any]:
    return put(folder, good().append_column("target", good()["price"]))


@kind("clean")
def an_undeclared_column_twice(folder: Path) -> dict[str, Any]:
    return put(folder, dirty().append_column("remark", dirty()["price"]))


@kind("wrong spec", says="as target and as input")
def the_target_as_covariate(folder: Path) -> dict[str, Any]:
    return {**put(folder, good()), "past": ("target",)}


@kind("clean")
def column_names_with_blanks_quotes_and_dots(folder: Path) -> dict[str, Any]:
    names = ['my "id"', "the moment; --", "a.b.'c'", "price\n€", "ré mark"]
    return {
        **put(folder, dirty().rename_columns(names)),
        "series_id": names[0],
        "timestamp": names[1],
        "target": names[2],
        "known": (names[3],),
    }


@kind("clean")
def covariates_named_as_the_sort_names_its_own(folder: Path) -> dict[str, Any]:
    names = ["series_id", "timestamp", "target", "__file", "__row"]
    table = dirty().append_column("__order", dirty()["price"])
    return {
        **put(folder, table.rename_columns([*names, "__order"])),
        "known": ("__file", "__order"),
        "static": ("__row",),
    }


@kind("clean")
def covariates_that_differ_by_case_only(folder: Path) -> dict[str, Any]:
    table = dirty().append_column("Price", dirty()["target"].fill_null(0))
    return {**put(folder, table), "past": ("price", "Price")}


@kind("clean")
def a_covariate_named_as_the_target_but_for_case(folder: Path) -> dict[str, Any]:
    table = dirty().append_column("Target", dirty()["price"])
    return {**put(folder, table), "known": ("Target",)}


@kind("wrong spec", says="canonical table")
def a_covariate_that_has_the_name_of_a_canonical_column(folder: Path) -> dict[str, Any]:
    names = ["meter", "at", "load", "target", "series_id"]
    source = put(folder, dirty().rename_columns(names))
    return {
        **source,
        "series_id": "meter",
        "timestamp": "at",
        "target": "load",
        "past": ("target",),
    }


@kind("clean")
def columns_named_as_those_of_the_quarantine(folder: Path) -> dict[str, Any]:
    table = dirty()
    for name in ("reason", "source_file", "row_number", "source_reason"):
        table = table.append_column(name, table["price"])
    return put(folder, table)


@kind("clean")
def columns_named_as_those_of_the_readers(folder: Path) -> dict[str, Any]:
    table = dirty()
    for name in ("__moment", "__filename", "__batch_index", "__fragment_index"):
        table = table.append_column(name, table["price"])
    return put(folder, table)


@kind("refused", says="no column")
def three_thousand_columns_and_not_the_right_one(folder: Path) -> dict[str, Any]:
    wide = {f"meter number {i:05d} of the north": pa.array([1.0]) for i in range(3000)}
    return put(folder, pa.table(wide | {"series_id": pa.array(["a"])}))


@kind("refused", says="no column")
def column_names_of_a_thousand_letters(folder: Path) -> dict[str, Any]:
    return put(folder, pa.table({f"{i}" * 1000: pa.array([1.0]) for i in range(5)}))


# ---- ids


@kind("clean", judged="passes")
def ids_as_dictionary(folder: Path) -> dict[str, Any]:
    table = dirty()
    return put(folder, swap(table, "series_id", table["series_id"].dictionary_encode()))


@kind("clean")
def ids_as_large_string(folder: Path) -> dict[str, Any]:
    return put(folder, cast(dirty(), "series_id", pa.large_string()))


@kind("clean")
def ids_as_string_view(folder: Path) -> dict[str, Any]:
    return put(folder, cast(dirty(), "series_id", pa.string_view()))


@kind("either", says="'series_id'")
def ids_of_numbers_then_text(folder: Path) -> dict[str, Any]:
    put(folder, good((1, 2)))
    return put(folder, good(("2", "03")), "b.parquet")


@kind("clean")
def ids_as_numbers_of_each_sort(folder: Path) -> dict[str, Any]:
    put(folder, good((1, 2)))
    put(folder, cast(good((2, 3)), "series_id", pa.uint8()), "b.parquet")
    floats = cast(good((3, 4)), "series_id", pa.float64())
    return put(folder, floats, "c.parquet")


@kind("clean")
def numbered_ids_with_one_missing_as_pandas_writes_them(folder: Path) -> dict[str, Any]:
    ids = [7.0] * HOURS + [8.0] * (HOURS - 1) + [math.nan]
    return put(folder, swap(good(("a", "b")), "series_id", pa.array(ids, from_pandas=False)))


@kind("clean", judged="passes")
def ids_with_slashes_dots_quotes_and_newlines(folder: Path) -> dict[str, Any]:
    ids = (
        "a/b",
        "..",
        ".",
        "../../etc/passwd",
        "it's",
        'say "x"',
        "two\nlines",
        "tab\t",
        "a\\b",
        "%41",
    )
    return put(folder, good((*ids, "$(id)", "<script>", "a,b", "{}", "null", "NaN", "-1", "=1+1")))


@kind("clean")
def ids_in_unicode(folder: Path) -> dict[str, Any]:
    ids = ("ä", "a\u0308", "\u00e9", "\u200b", "😀", "\uffff", "日本", "\u202eabc", "İ", "ß")
    return put(folder, good(ids))


@kind("clean")
def ids_with_a_zero_byte(folder: Path) -> dict[str, Any]:
    return put(folder, good(("a", "a\0", "a\0b", "\0")))


@kind("clean")
def the_empty_string_as_id(folder: Path) -> dict[str, Any]:
    return put(folder, good(("", " ", "b")))


@kind("clean")
def a_very_long_id(folder: Path) -> dict[str, Any]:
    return put(folder, good(("x" * 100_000, "x" * 99_999 + "y")))


@kind("refused", says="twice")
def a_very_long_id_in_a_refusal(folder: Path) -> dict[str, Any]:
    table = pa.concat_tables([good(("x" * 100_000,), 4)] * 2)
    return {**put(folder, table), "duplicates": "refuse"}


@kind("clean")
def ids_that_differ_by_case_or_a_trailing_blank(folder: Path) -> dict[str, Any]:
    return put(folder, good(("a", "A", "a ", " a", "a\n", "a\u00a0")))


@kind("clean")
def a_few_null_ids(folder: Path) -> dict[str, Any]:
    extra = rows_of(*((None, h, 1.0) for h in range(9)))
    return put(folder, pa.concat_tables([good(), extra]))


@kind("refused", says="history")
def nothing_but_null_ids(folder: Path) -> dict[str, Any]:
    return put(folder, swap(good(), "series_id", pa.nulls(good().num_rows, pa.string())))


@kind("refused", quality={}, says="unusable")
def null_ids_beyond_the_tolerance(folder: Path) -> dict[str, Any]:
    return a_few_null_ids(folder)


@kind("either", says="UTF-8")
def ids_that_are_not_utf8(folder: Path) -> dict[str, Any]:
    ids = pa.array([b"\xff\xfe", b"ok", b"\xc3"] * HOURS).view(pa.string())
    return put(folder, swap(good(), "series_id", ids))


@kind("clean")
def remarks_that_are_not_utf8_in_rows_set_aside(folder: Path) -> dict[str, Any]:
    remarks = pa.array([b"\xff\xfe"] * dirty().num_rows).view(pa.string())
    return put(folder, swap(dirty(), "remark", remarks))


@kind("either", says="'series_id'")
def ids_as_bytes(folder: Path) -> dict[str, Any]:
    return put(folder, cast(good(), "series_id", pa.binary()))


@kind("clean")
def an_id_of_two_columns(folder: Path) -> dict[str, Any]:
    return {**put(folder, dirty()), "series_id": ("series_id", "remark")}


@kind("either")
def ids_of_two_columns_that_read_alike_when_joined(folder: Path) -> dict[str, Any]:
    table = good(("x|y", "x"), 24)
    second = pa.array(["z"] * 24 + ["y|z"] * 24)
    return {**put(folder, swap(table, "remark", second)), "series_id": ("series_id", "remark")}


@kind("either", says="'series_id'")
def ids_of_nulls_only_in_one_file(folder: Path) -> dict[str, Any]:
    put(folder, good())
    return put(folder, swap(good(), "series_id", pa.nulls(good().num_rows)), "b.parquet")


# ---- moments


@kind("refused", says="source.timezone")
def naive_moments_without_a_zone(folder: Path) -> dict[str, Any]:
    return put(folder, naive(dirty()))


@kind("clean")
def naive_moments_with_a_zone(folder: Path) -> dict[str, Any]:
    return {**put(folder, naive(dirty())), "timezone": "Asia/Kolkata", "freq": "15min"}


@kind("clean", judged="passes")
def another_zone_in_each_file(folder: Path) -> dict[str, Any]:
    put(folder, cast(dirty(), "timestamp", pa.timestamp("ms", "America/New_York")))
    put(folder, cast(dirty(), "timestamp", pa.timestamp("s", "+02:00")), "b.parquet")
    put(folder, naive(dirty()), "c.parquet")
    source = put(folder, cast(dirty(), "timestamp", pa.timestamp("ns", "UTC")), "d.parquet")
    return {**source, "timezone": "Europe/Berlin"}


@kind("clean")
def a_zone_in_the_file_that_nobody_knows(folder: Path) -> dict[str, Any]:
    return put(folder, cast(dirty(), "timestamp", pa.timestamp("us", "Mars/Olympus")))


@kind("wrong spec", says="Mars/Olympus")
def a_zone_in_the_spec_that_nobody_knows(folder: Path) -> dict[str, Any]:
    return {**put(folder, naive(dirty())), "timezone": "Mars/Olympus"}


def _int96(folder: Path, table: pa.Table) -> dict[str, Any]:
    return {**put(folder, table, use_deprecated_int96_timestamps=True), "timezone": "UTC"}


@kind("clean")
def moments_as_int96(folder: Path) -> dict[str, Any]:
    return _int96(folder, dirty())


@kind("clean")
def moments_as_int96_beyond_nanoseconds(folder: Path) -> dict[str, Any]:
    far = [datetime(year, 1, 1, tzinfo=UTC) for year in (1600, 2500, 9999)]
    table = pa.concat_tables([dirty(), rows_of(*(("b", moment, 1.0) for moment in far))])
    return _int96(folder, table)


@kind("clean")
def moments_in_nanoseconds(folder: Path) -> dict[str, Any]:
    return put(folder, cast(dirty(), "timestamp", pa.timestamp("ns", "UTC")))


@kind("clean")
def moments_in_seconds(folder: Path) -> dict[str, Any]:
    return put(folder, cast(dirty(), "timestamp", pa.timestamp("s", "UTC")))


def _days() -> pa.Table:
    days = [date(2024, 1, 1) + timedelta(days=i) for i in range(40)]
    days += [None, date(1, 1, 1), date(9999, 12, 31), days[3]]
    rows = len(days)
    return pa.table(
        {
            "series_id": pa.array(["a"] * rows),
            "timestamp": pa.array(days, pa.date32()),
            "target": pa.array([float(i % 6) for i in range(rows)]),
        }
    )


@kind("clean", as_of=datetime(2024, 2, 5, tzinfo=UTC))
def moments_as_date32(folder: Path) -> dict[str, Any]:
    return {**put(folder, _days()), "freq": "D", "timezone": "Europe/Berlin"}


@kind("clean", as_of=datetime(2024, 2, 5, tzinfo=UTC))
def moments_as_date64(folder: Path) -> dict[str, Any]:
    return {**put(folder, cast(_days(), "timestamp", pa.date64())), "freq": "D"}


@kind("refused", says="'timestamp'")
def moments_as_text(folder: Path) -> dict[str, Any]:
    return put(folder, cast(good(), "timestamp", pa.string()))


@kind("refused", says="'timestamp'")
def moments_as_numbers(folder: Path) -> dict[str, Any]:
    return put(folder, cast(good(), "timestamp", pa.int64()))


@kind("refused", says="'timestamp'")
def moments_as_time_of_day(folder: Path) -> dict[str, Any]:
    return put(folder, cast(good(), "timestamp", pa.time64("us")))


@kind("clean")
def moments_as_dictionary(folder: Path) -> dict[str, Any]:
    column = dirty()["timestamp"].dictionary_encode()
    return put(folder, swap(dirty(), "timestamp", column), store_schema=True)


def _walls(*walls: str) -> pa.Table:
    rows = [("a", datetime.fromisoformat(wall), float(i)) for i, wall in enumerate(walls)]
    return rows_of(*rows, moments=NAIVE)


AUTUMN = _walls(*[f"2023-10-29T{h:02}:{m}" for h in range(5) for m in ("00", "30")] * 2)
SPRING = _walls(*[f"2024-03-31T{h:02}:{m}" for h in range(5) for m in ("00", "30", "59:59.999999")])
BERLIN = {"timezone": "Europe/Berlin", "freq": "15min"}
SUMMER = datetime(2024, 7, 1, tzinfo=UTC)


@kind("clean", as_of=SUMMER)
def an_hour_that_autumn_shows_twice(folder: Path) -> dict[str, Any]:
    return {**put(folder, AUTUMN), **BERLIN}


@kind("clean", as_of=SUMMER)
def an_hour_that_autumn_shows_twice_the_later_is_meant(folder: Path) -> dict[str, Any]:
    return {**put(folder, AUTUMN), **BERLIN, "ambiguous": "latest"}


@kind("clean", as_of=SUMMER)
def an_hour_that_autumn_shows_twice_set_aside(folder: Path) -> dict[str, Any]:
    return {**put(folder, AUTUMN), **BERLIN, "ambiguous": "quarantine"}


@kind("clean", as_of=SUMMER)
def an_hour_that_spring_leaves_out(folder: Path) -> dict[str, Any]:
    return {**put(folder, SPRING), **BERLIN}


@kind("clean", as_of=SUMMER)
def an_hour_that_spring_leaves_out_set_aside(folder: Path) -> dict[str, Any]:
    return {**put(folder, SPRING), **BERLIN, "nonexistent": "quarantine"}


@kind("clean", as_of=SUMMER)
def a_half_hour_that_lord_howe_island_leaves_out(folder: Path) -> dict[str, Any]:
    walls = [f"2023-10-01T{h:02}:{m:02}" for h in range(1, 4) for m in range(0, 60, 10)]
    walls += [f"2024-04-07T{h:02}:{m:02}" for h in range(1, 4) for m in range(0, 60, 10)]
    return {**put(folder, _walls(*walls)), "timezone": "Australia/Lord_Howe", "freq": "15min"}


@kind("clean")
def a_day_that_samoa_left_out(folder: Path) -> dict[str, Any]:
    walls = [f"2011-12-{day}T{h:02}:00" for day in (29, 30, 31) for h in range(0, 24, 6)]
    return {**put(folder, _walls(*walls)), "timezone": "Pacific/Apia"}


@kind("clean")
def years_1677_2262_and_9999(folder: Path) -> dict[str, Any]:
    far = [datetime(y, 1, 1, tzinfo=UTC) for y in (1, 1677, 1699, 1700, 2199, 2200, 2262, 9999)]
    return put(folder, pa.concat_tables([dirty(), rows_of(*(("b", t, 1.0) for t in far))]))


@kind("clean")
def years_1677_and_2262_in_nanoseconds(folder: Path) -> dict[str, Any]:
    edges = pa.array([-(2**63) + 1, -(2**63), 2**63 - 1, 0], pa.int64())
    table = rows_of(*(("b", None, 1.0) for _ in range(4)))
    table = swap(table, "timestamp", edges.view(pa.timestamp("ns", "UTC")))
    return put(
        folder,
        pa.concat_tables([cast(dirty(), "timestamp", pa.timestamp("ns", "UTC")), table]),
    )


@kind("clean")
def moments_at_the_edge_of_64_bits(folder: Path) -> dict[str, Any]:
    edges = pa.array([-(2**63) + 1, -(2**63), 2**63 - 1, 2**62], pa.int64())
    table = swap(rows_of(*(("b", None, 1.0) for _ in range(4))), "timestamp", edges.view(NAIVE))
    return {**put(folder, pa.concat_tables([naive(dirty()), table])), "timezone": "Asia/Tokyo"}


@kind("clean")
def a_few_null_moments(folder: Path) -> dict[str, Any]:
    return put(folder, pa.concat_tables([good(), rows_of(*(("b", None, 1.0) for _ in range(5)))]))


@kind("refused", says="history")
def nothing_but_null_moments(folder: Path) -> dict[str, Any]:
    return put(folder, swap(good(), "timestamp", pa.nulls(good().num_rows, MOMENT)))


@kind("clean", judged="stops")
def moments_off_the_grid(folder: Path) -> dict[str, Any]:
    shifted = [("b", h + 0.37, 1.0) for h in range(20)]
    return put(folder, pa.concat_tables([dirty(), rows_of(*shifted)]))


@kind("clean", judged="passes")
def rows_in_no_order(folder: Path) -> dict[str, Any]:
    table = dirty()
    return put(folder, table.take(np.random.default_rng(0).permutation(table.num_rows)))


@kind("refused", says="come later", as_of=START - timedelta(days=9))
def nothing_but_the_future(folder: Path) -> dict[str, Any]:
    return put(folder, dirty())


# ---- duplicates


@kind("clean", judged="passes")
def exact_duplicates_over_files(folder: Path) -> dict[str, Any]:
    put(folder, dirty())
    return put(folder, dirty(), "b.parquet")


def _conflicts(folder: Path) -> dict[str, Any]:
    put(folder, dirty())
    more = [("b", h % 9, float(h)) for h in range(40)] + [("b", 2, None), ("new", 1, None)] * 2
    return put(folder, rows_of(*more), "b.parquet")


@kind("clean")
def conflicting_duplicates_the_last_stays(folder: Path) -> dict[str, Any]:
    return {**_conflicts(folder), "duplicates": "last"}


@kind("clean")
def conflicting_duplicates_the_first_stays(folder: Path) -> dict[str, Any]:
    return {**_conflicts(folder), "duplicates": "first"}


@kind("clean")
def conflicting_duplicates_their_mean_stays(folder: Path) -> dict[str, Any]:
    return {**_conflicts(folder), "duplicates": "mean"}


@kind("refused", says="twice")
def conflicting_duplicates_are_refused(folder: Path) -> dict[str, Any]:
    return {**_conflicts(folder), "duplicates": "refuse"}


@kind("clean")
def one_moment_five_thousand_times(folder: Path) -> dict[str, Any]:
    return put(folder, rows_of(*(("b", 1, float(i)) for i in range(5000))))


# ---- targets


@kind("clean", judged="stops")
def an_all_null_target(folder: Path) -> dict[str, Any]:
    return put(folder, swap(good(), "target", pa.nulls(good().num_rows, pa.float64())))


@kind("either", says="'target'")
def a_target_of_the_type_null(folder: Path) -> dict[str, Any]:
    put(folder, good())
    return put(folder, swap(good(("c",)), "target", pa.nulls(HOURS)), "b.parquet")


@kind("clean", judged="passes")
def infinite_targets_and_nan(folder: Path) -> dict[str, Any]:
    values = [math.inf, -math.inf, math.nan, None, 1e308, -0.0]
    return put(
        folder,
        pa.concat_tables([good(), rows_of(*(("b", h, y) for h, y in enumerate(values)))]),
    )


@kind("refused", quality={}, says="unusable")
def infinite_targets_beyond_the_tolerance(folder: Path) -> dict[str, Any]:
    return put(folder, swap(good(), "target", pa.array([math.inf] * good().num_rows)))


@kind("clean")
def an_infinite_covariate(folder: Path) -> dict[str, Any]:
    prices = [math.inf if i % 11 == 0 else 1.0 for i in range(dirty().num_rows)]
    return {**put(folder, swap(dirty(), "price", pa.array(prices))), "past": ("price",)}


@kind("clean", quality=ALL | {"minimum": 0, "maximum": 15})
def targets_out_of_range(folder: Path) -> dict[str, Any]:
    odd = [-1.0, -0.0, 0.0, 15.0, 15.000001, -math.inf, math.nan, None]
    return put(
        folder, pa.concat_tables([dirty(), rows_of(*(("c", h, y) for h, y in enumerate(odd)))])
    )


@kind("refused", says="'target'")
def text_in_numbers(folder: Path) -> dict[str, Any]:
    texts = ["1.5", "n/a", "1,5", "", None, "0x10"] * (good().num_rows // 6)
    return put(folder, swap(good(), "target", pa.array(texts)))


@kind("clean")
def a_bool_target(folder: Path) -> dict[str, Any]:
    flags = pa.array([None if i % 9 == 0 else i % 2 == 0 for i in range(dirty().num_rows)])
    return put(folder, swap(dirty(), "target", flags))


@kind("clean")
def decimal_targets(folder: Path) -> dict[str, Any]:
    values = [Decimal("12345678901234567890.12"), Decimal("-0.01"), None, Decimal("1.10")]
    column = pa.array((values * dirty().num_rows)[: dirty().num_rows], pa.decimal128(38, 2))
    put(folder, swap(dirty(), "target", column))
    wide = column.cast(pa.decimal256(60, 10))
    return put(folder, swap(dirty(), "target", wide), "b.parquet")


@kind("clean")
def targets_of_half_and_single_precision(folder: Path) -> dict[str, Any]:
    put(folder, cast(dirty(), "target", pa.float32()))
    return put(folder, cast(dirty(), "target", pa.float16()), "b.parquet")


def _whole(folder: Path, kind_of: pa.DataType, *values: int) -> dict[str, Any]:
    table = dirty()
    column = pa.array(([*values, None] * table.num_rows)[: table.num_rows], kind_of)
    return put(folder, swap(table, "target", column))


@kind("clean")
def unsigned_targets_beyond_2_to_63(folder: Path) -> dict[str, Any]:
    return _whole(folder, pa.uint64(), 2**63 + 5, 2**64 - 1, 0)


@kind("clean")
def targets_at_the_edges_of_int64(folder: Path) -> dict[str, Any]:
    return _whole(folder, pa.int64(), -(2**63), 2**63 - 1, 2**53 + 1)


@kind("clean")
def denormal_targets(folder: Path) -> dict[str, Any]:
    odd = rows_of(*(("b", h, y) for h, y in enumerate([5e-324, -5e-324, 2.2e-308, 1.7e308])))
    return put(folder, pa.concat_tables([good(), odd]))


@kind("clean")
def targets_as_dictionary(folder: Path) -> dict[str, Any]:
    return put(folder, swap(dirty(), "target", dirty()["target"].dictionary_encode()))


# ---- sizes and shapes


@kind("clean")
def empty_row_groups(folder: Path) -> dict[str, Any]:
    path, table = folder / "source" / "a.parquet", dirty()
    path.parent.mkdir()
    with pq.ParquetWriter(path, table.schema) as writer:
        for piece in (table.slice(0, 0), table.slice(0, 50), table.slice(0, 0), table.slice(50)):
            writer.write_table(piece)
        writer.write_table(table.slice(0, 0))
    return {"uri": str(path)}


@kind("clean")
def a_file_without_rows_beside_a_full_one(folder: Path) -> dict[str, Any]:
    put(folder, dirty().slice(0, 0))
    return put(folder, dirty(), "b.parquet")


@kind("refused", says="history")
def no_rows_at_all(folder: Path) -> dict[str, Any]:
    return put(folder, good().slice(0, 0))


@kind("clean", judged="stops")
def one_row(folder: Path) -> dict[str, Any]:
    return put(folder, good().slice(0, 1))


@kind("clean", judged="passes")
def one_series(folder: Path) -> dict[str, Any]:
    return put(folder, good(("only",)))


@kind("clean")
def many_series_of_two_rows(folder: Path, series: int = 50_000) -> dict[str, Any]:
    numbers = np.arange(series)
    hours = np.repeat(np.array([START.replace(tzinfo=None)] * 2, "datetime64[us]"), series)
    hours[series:] += np.timedelta64(1, "h")
    table = pa.table(
        {
            "series_id": pa.array(np.tile(numbers, 2)).cast(pa.string()),
            "timestamp": pa.array(hours).cast(MOMENT),
            "target": pa.array(np.tile(numbers, 2).astype(float)),
        }
    )
    return put(folder, table)


@kind("clean")
def three_thousand_row_groups(folder: Path) -> dict[str, Any]:
    table = pa.concat_tables([dirty()] * 20)
    return put(folder, table, row_group_size=1)


@kind("clean")
def two_hundred_files(folder: Path) -> dict[str, Any]:
    table = dirty()
    for i in range(200):
        source = put(folder, table.slice(i % 150, 1), f"{i}.parquet")
    return source


def _layout(name: str, **options: Any) -> None:
    def build(folder: Path) -> dict[str, Any]:
        return put(folder, dirty(), **options)

    build.__name__ = name
    kind("clean")(build)


for codec in ("snappy", "gzip", "zstd", "lz4", "brotli", "none"):
    _layout(f"compressed_by_{codec}", compression=codec)
_layout("data_pages_of_version_1", data_page_version="1.0", version="1.0", data_page_size=64)
_layout("data_pages_of_version_2", data_page_version="2.0", version="2.6", data_page_size=64)
_layout("a_page_index", write_page_index=True, data_page_size=64)
_layout("page_checksums", write_page_checksum=True)
_layout("no_statistics", write_statistics=False, store_schema=False)
_layout(
    "delta_encodings",
    use_dictionary=False,
    column_encoding={
        "series_id": "DELTA_BYTE_ARRAY",
        "timestamp": "DELTA_BINARY_PACKED",
        "target": "BYTE_STREAM_SPLIT",
        "remark": "DELTA_LENGTH_BYTE_ARRAY",
    },
)


@kind("refused", says="damaged")
def a_page_with_a_wrong_checksum(folder: Path) -> dict[str, Any]:
    """Nothing but the checksum tells: the page itself can be read."""

    def flip(whole: bytes) -> bytes:
        with pq.ParquetFile(pa.BufferReader(whole)) as file:
            chunk = file.metadata.row_group(0).column(2)
        at = chunk.data_page_offset + chunk.total_compressed_size - 9
        return whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]

    options = {"use_dictionary": False, "compression": "none", "write_page_checksum": True}
    return spoil(folder, flip, **options)


# ---- files and folders


@kind("refused", says="no file at")
def nothing_there(folder: Path) -> dict[str, Any]:
    return {"uri": str(folder / "nothing.parquet")}


@kind("refused", says="no Parquet file")
def an_empty_folder(folder: Path) -> dict[str, Any]:
    return {"uri": str(folder)}


@kind("refused", says="no file that matches")
def a_glob_that_matches_nothing(folder: Path) -> dict[str, Any]:
    return {"uri": str(folder / "**" / "*.parquet")}


@kind("clean")
def a_glob_of_some_files(folder: Path) -> dict[str, Any]:
    for name in ("2024-a.parquet", "2024-b.parquet", "2025.parquet"):
        put(folder, dirty(), name)
    return {"uri": str(folder / "source" / "2024-?.parquet")}


@kind("clean")
def a_file_with_brackets_in_its_name(folder: Path) -> dict[str, Any]:
    put(folder, dirty(), "meters [2024] *.parquet")
    return {"uri": str(folder / "source" / "meters [2024] *.parquet")}


@kind("clean")
def a_folder_named_as_a_file(folder: Path) -> dict[str, Any]:
    put(folder, dirty(), "day.parquet/a.parquet")
    put(folder, dirty(), "empty.parquet/inside/b.parquet")
    (folder / "source" / "none.parquet").mkdir()
    return {"uri": str(folder / "source")}


@kind("clean")
def other_files_beside(folder: Path) -> dict[str, Any]:
    source = put(folder, dirty())
    for name in ("_SUCCESS", "README.md", "a.parquet.crc", "b.csv", "c.parquet~", "d.parquet.tmp"):
        (folder / "source" / name).write_text("not Parquet")
    return source


@kind("clean")
def hidden_and_temporary_files(folder: Path) -> dict[str, Any]:
    source = put(folder, dirty())
    for name in (".hidden.parquet", "_temporary/0/b.parquet", ".git/c.parquet", "x/_d.parquet"):
        put(folder, good(("half-written",)), name)
    (folder / "source" / "_metadata.parquet").write_bytes(b"")
    return source


@kind("clean")
def names_in_capitals_and_with_blanks(folder: Path) -> dict[str, Any]:
    put(folder, dirty(), "A FILE.PARQUET")
    put(folder, dirty(), "ünï code/b.Pq")
    return put(folder, dirty(), "100%/it's.parq")


@kind("refused", says="'target'")
def a_refused_file_with_a_newline_in_its_name(folder: Path) -> dict[str, Any]:
    return put(folder, good().drop_columns(["target"]), "two\nlines.parquet")


@kind("clean")
def hive_folders_with_the_id_as_key(folder: Path) -> dict[str, Any]:
    rows = good(("x",)).drop_columns(["series_id"])
    for key in ("001", "1", "a%2Fb", "__HIVE_DEFAULT_PARTITION__"):
        source = put(folder, rows, f"year=2024/series_id={key}/a.parquet")
    return source


@kind("clean")
def hive_folders_whose_keys_nobody_declares(folder: Path) -> dict[str, Any]:
    put(folder, dirty(), "year=2024/month=01/a.parquet")
    return put(folder, dirty(), "year=2024/month=x/a.parquet")


@kind("clean")
def hive_keys_that_are_columns_too(folder: Path) -> dict[str, Any]:
    put(folder, dirty(), "remark=1/a.parquet")
    return put(folder, dirty(), "remark=2/a.parquet")


@kind("clean")
def a_link_to_a_good_file(folder: Path) -> dict[str, Any]:
    put(folder, dirty(), "../elsewhere/a.parquet")
    (folder / "source").mkdir(exist_ok=True)
    (folder / "source" / "a.parquet").symlink_to(folder / "elsewhere" / "a.parquet")
    return {"uri": str(folder / "source")}


@kind("refused", says="broken.parquet")
def a_broken_link(folder: Path) -> dict[str, Any]:
    (folder / "broken.parquet").symlink_to(folder / "gone.parquet")
    return {"uri": str(folder / "broken.parquet")}


@kind("refused", says="broken.parquet")
def a_broken_link_beside_a_good_file(folder: Path) -> dict[str, Any]:
    source = put(folder, dirty())
    (folder / "source" / "broken.parquet").symlink_to(folder / "gone.parquet")
    return source


@kind("refused")
def a_link_that_means_itself(folder: Path) -> dict[str, Any]:
    (folder / "loop.parquet").symlink_to(folder / "loop.parquet")
    return {"uri": str(folder / "loop.parquet")}


@kind("clean")
def a_folder_that_holds_a_link_to_itself(folder: Path) -> dict[str, Any]:
    source = put(folder, dirty())
    (folder / "source" / "again").symlink_to(folder / "source", target_is_directory=True)
    return source


@kind("refused", says="pipe")
def a_named_pipe(folder: Path) -> dict[str, Any]:
    os.mkfifo(folder / "pipe.parquet")
    return {"uri": str(folder / "pipe.parquet")}


@kind("refused", says="permission", unprivileged=True)
def permission_denied_for_the_file(folder: Path) -> dict[str, Any]:
    source = put(folder, good())
    (folder / "source" / "a.parquet").chmod(0)
    return source


@kind("refused", says="permission", unprivileged=True)
def permission_denied_for_the_folder(folder: Path) -> dict[str, Any]:
    source = put(folder, good())
    (folder / "source").chmod(0)
    return source


@kind("refused", says="permission", unprivileged=True)
def permission_denied_for_one_folder_of_two(folder: Path) -> dict[str, Any]:
    put(folder, good())
    source = put(folder, good(("c",)), "closed/b.parquet")
    (folder / "source" / "closed").chmod(0)
    return source


# ---- files that change while the source is read


def _remove(folder: Path) -> None:
    (folder / "source" / "b.parquet").unlink()


def _grow(folder: Path) -> None:
    put(folder, pa.concat_tables([dirty(), good(("late",))]), "b.parquet")


def _shrink(folder: Path) -> None:
    put(folder, dirty().slice(0, 20), "b.parquet")


def _rewrite(folder: Path) -> None:
    table = dirty()
    changed = pa.array([v and v + 1000 for v in table["target"].to_pylist()], from_pandas=False)
    put(folder, swap(table, "target", changed), "b.parquet")


def _truncate(folder: Path) -> None:
    path = folder / "source" / "b.parquet"
    os.truncate(path, path.stat().st_size // 2)


def _append_bytes(folder: Path) -> None:
    with (folder / "source" / "b.parquet").open("ab") as file:
        file.write(b"more")


def _bring_another(folder: Path) -> None:
    put(folder, good(("late",)), "c.parquet")


def _replace_by_rename(folder: Path) -> None:
    put(folder, good(("late",)), "../draft.parquet")
    shutil.move(folder / "draft.parquet", folder / "source" / "b.parquet")


def _two_files(folder: Path) -> dict[str, Any]:
    put(folder, dirty())
    return put(folder, dirty(), "b.parquet", row_group_size=20)


def _changing(name: str, ends: Outcome, **more: Any) -> None:
    def build(folder: Path) -> dict[str, Any]:
        return _two_files(folder)

    build.__name__ = name
    kind(ends, **more)(build)


_changing("a_file_gone_before_it_is_read", "refused", then=_remove, says="gone")
_changing("a_file_grown_before_it_is_read", "refused", then=_grow, says="b.parquet")
_changing("a_file_shrunk_before_it_is_read", "refused", then=_shrink, says="b.parquet")
_changing("a_file_truncated_before_it_is_read", "refused", then=_truncate, says="b.parquet")
_changing(
    "a_file_with_other_values_before_it_is_read",
    "refused",
    then=_rewrite,
    says="b.parquet",
)
_changing("a_file_that_appears_before_the_source_is_read", "clean", then=_bring_another)
_changing("a_file_gone_while_it_is_read", "either", during=_remove)
_changing("a_file_that_grows_while_it_is_read", "either", during=_append_bytes)
_changing("a_file_truncated_while_it_is_read", "refused", during=_truncate, says="b.parquet")
_changing("a_file_replaced_while_it_is_read", "either", during=_replace_by_rename)
_changing(
    "a_file_overwritten_while_it_is_read",
    "refused",
    during=_rewrite,
    says="b.parquet",
)

"""Ask declared rules about rows, batch by batch: memory stays flat, counts are added up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from seqmodel.table.columns import find_parts
from seqmodel.table.quality import ExampleRow, Outcome, RuleResult
from tasks.asking import ask, open_context, read_error
from tasks.declared import RowRule

#: Rows in a batch: a Great Expectations metric holds some copies of a column.
ROWS = 262_144
#: Rows kept as examples of one rule.
EXAMPLES = 5
#: 999 of 1,000 rows are at least 0.999 of them, whatever that is in binary.
ROUNDING = 1e-9


@final
@dataclass
class Count:
    """What one rule has found so far.

    Attributes:
        bad: rows that break it.
        total: rows it could look at; nulls are only looked at by rules on nulls.
        places: part and row of some that break it.
        obstacle: why it could not be evaluated.
    """

    bad: int = 0
    total: int = 0
    places: list[tuple[Path, int]] = field(default_factory=list)
    obstacle: str = ""


def judge_rows(table: Path, rules: Iterable[RowRule]) -> tuple[RuleResult, ...]:
    """Judge the rows of a table by declared rules, reading only the columns they name.

    Args:
        table: folder of `part-*.parquet`.
        rules: the rules.
    """
    rules = tuple(rules)
    counts = {rule.knob: Count() for rule in rules}
    if rules:
        with open_context() as context:
            for part in find_parts(table):
                _ask_part(context, part, rules, counts)
    return tuple(_conclude(rule, counts[rule.knob]) for rule in rules)


def _ask_part(
    context: Any, part: Path, rules: tuple[RowRule, ...], counts: dict[str, Count]
) -> None:
    with pq.ParquetFile(part, pre_buffer=False) as file:
        for rule in rules:
            lacking = set(rule.columns) - set(file.schema_arrow.names)
            if lacking and not counts[rule.knob].obstacle:
                counts[rule.knob].obstacle = f"no column {min(lacking)!r}"
        columns = {name for rule in _list_open(rules, counts) for name in rule.columns}
        begin = 0
        for batch in file.iter_batches(ROWS, columns=sorted(columns)) if columns else ():
            _ask_batch(context, batch, _list_open(rules, counts), counts, (part, begin))
            begin += batch.num_rows


def _list_open(rules: Iterable[RowRule], counts: dict[str, Count]) -> list[RowRule]:
    """List the rules that have met no obstacle."""
    return [rule for rule in rules if not counts[rule.knob].obstacle]


def _ask_batch(
    context: Any,
    batch: pa.RecordBatch,
    rules: list[RowRule],
    counts: dict[str, Count],
    place: tuple[Path, int],
) -> None:
    frame = batch.to_pandas()
    expectations = []
    for rule in rules:
        # Here the share only decides what `success` says, and nobody reads that.
        marks = {"meta": {"rule": rule.knob}}
        expectations.append(rule.expectation.copy(update=marks))
    part, begin = place
    for result in ask(context, frame, expectations, "SUMMARY") if expectations else ():
        count = counts[result.expectation_config.meta["rule"]]
        count.obstacle = read_error(result)
        seen = result.result
        if count.obstacle or "unexpected_count" not in seen:
            count.obstacle = count.obstacle or "it does not say which rows break it"
            continue
        count.bad += int(seen["unexpected_count"])
        count.total += int(seen["element_count"] - seen.get("missing_count", 0))
        left = EXAMPLES - len(count.places)
        positions = seen.get("partial_unexpected_index_list") or []
        count.places += [(part, begin + int(i)) for i in positions[:left]]


def _conclude(rule: RowRule, count: Count) -> RuleResult:
    outcome: Outcome = "not evaluated"
    if count.obstacle:
        found = count.obstacle
    elif not count.total:
        found = "nothing to look at"
    else:
        kept = count.total - count.bad
        outcome = "passed" if kept >= (rule.mostly - ROUNDING) * count.total else "failed"
        found = f"{count.bad:,} of {count.total:,} rows that break it"
        found = found if count.bad else f"{count.total:,} rows looked at, none breaks it"
    rows = tuple(_read_example(*place, rule.columns[0]) for place in count.places)
    share = "" if rule.mostly == 1 else f" in {rule.mostly:.1%} of them"
    needed = f"rows that satisfy {rule.says}{share}"
    return RuleResult(
        rule=rule.name,
        says=f"The table must have {needed}.",
        severity=rule.severity,
        outcome=outcome,
        found=found,
        bad=count.bad,
        total=count.total,
        examples=tuple(dict.fromkeys(row.series_id for row in rows)),
        rows=rows,
        needed=needed,
        cure=f"correct the data or {rule.knob}",
    )


def _read_example(part: Path, number: int, column: str) -> ExampleRow:
    """Return one row, by its number in a part; only its row group is read."""
    with pq.ParquetFile(part, pre_buffer=False) as file:
        there = [name for name in ("series_id", "timestamp", column) if name in file.schema.names]
        group = 0
        while number >= (rows := file.metadata.row_group(group).num_rows):
            number, group = number - rows, group + 1
        row = file.read_row_group(group, columns=list(dict.fromkeys(there))).slice(number, 1)
    value = row.to_pylist()[0]
    moment = value.get("timestamp")
    said = "(null)" if moment is None else f"{pd.Timestamp(moment):%Y-%m-%dT%H:%M:%SZ}"
    return ExampleRow(
        series_id=_say(value.get("series_id")),
        timestamp=said,
        value=said if column == "timestamp" else _say(value.get(column)),
    )


def _say(value: Any) -> str:
    return "(null)" if value is None else str(value)

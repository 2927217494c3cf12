"""The rules that a spec declares by the names of expectations, checked before anything is judged.

Rules on series look at the per-series profile, as those of `tasks/expectations.py` do. Rules on
rows are asked batch by batch, so only an expectation that looks at one row at a time makes sense.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import pandas as pd

from seqmodel.errors import SpecError
from seqmodel.specs import PipelineSpec, RuleSpec
from seqmodel.table.profile import FIGURES
from seqmodel.table.quality import Severity
from tasks.rules import On, Rule

#: Map expectations that look at other rows than the one they judge.
NOT_BY_ROW = frozenset(
    {
        "expect_column_values_to_be_unique",
        "expect_column_values_to_be_increasing",
        "expect_column_values_to_be_decreasing",
        "expect_column_values_to_not_be_outliers",
        "expect_column_value_z_scores_to_be_less_than",
        "expect_column_values_to_be_of_type",
        "expect_column_values_to_be_in_type_list",
    }
)
TABLE_COLUMNS = ("series_id", "timestamp", "target")
#: Fields that name columns.
NAMING = ("column", "column_A", "column_B", "column_list", "column_set")
COMPARED = ("level_shift", "drift", "series_change")
TABLE_FIGURES = ("series", "longest", "age", "drift", "series_change", "series_before")


@final
@dataclass(frozen=True)
class RowRule:
    """A declared rule on rows.

    Attributes:
        name: the expectation and the knob that declares it.
        says: the expectation with its arguments.
        severity: `critical` stops the run, `warning` reports, `info` notes.
        mostly: share of the rows that must satisfy it.
        expectation: of Great Expectations.
        columns: of the table, that it looks at.
        knob: path of the declaration in the spec.
    """

    name: str
    says: str
    severity: Severity
    mostly: float
    expectation: Any
    columns: tuple[str, ...]
    knob: str


def read_rules(spec: PipelineSpec) -> tuple[tuple[Rule, ...], tuple[RowRule, ...]]:
    """Return the declared rules: on series, and on rows.

    Raises:
        SpecError: if an expectation or a column is unknown, arguments are wrong, or rows cannot be
            judged one by one.
    """
    on_series: list[Rule] = []
    on_rows: list[RowRule] = []
    for number, declared in enumerate(spec.quality.rules):
        knob = f"quality.rules.{number}"
        kind = _find(declared, knob)
        if declared.on == "rows":
            _check_by_row(kind, declared, knob)
            on_rows.append(_make_row_rule(kind, declared, knob, spec))
        else:
            on_series.append(_make_series_rule(kind, declared, knob, spec))
    return tuple(on_series), tuple(on_rows)


def _find(declared: RuleSpec, knob: str) -> Any:
    from great_expectations.exceptions import ExpectationNotFoundError
    from great_expectations.expectations.registry import get_expectation_impl

    import tasks.custom_expectations  # noqa: F401 - registers them

    try:
        return get_expectation_impl(declared.expectation)
    except ExpectationNotFoundError:
        raise SpecError(
            f"found {knob}.expectation {declared.expectation!r}, needed an expectation of Great"
            " Expectations or of tasks/custom_expectations.py; correct its name"
        ) from None


def _check_by_row(kind: Any, declared: RuleSpec, knob: str) -> None:
    from great_expectations.expectations.expectation import (
        ColumnMapExpectation,
        ColumnPairMapExpectation,
    )

    by_row = issubclass(kind, (ColumnMapExpectation, ColumnPairMapExpectation))
    if not by_row or declared.expectation in NOT_BY_ROW or hasattr(kind, "frame"):
        raise SpecError(
            f"found {knob}.expectation {declared.expectation!r} on rows, needed one that judges"
            " each row by itself; set its on to series, where it looks at the series' profile"
        )


def _build(kind: Any, declared: RuleSpec, knob: str, known: Sequence[str]) -> Any:
    """Return the expectation, checked.

    Raises:
        SpecError: if arguments are wrong, or name no column.
    """
    arguments = dict(declared.arguments)
    if declared.mostly < 1 and declared.on == "series":
        arguments["mostly"] = declared.mostly
    try:
        expectation = kind(**arguments)
    except (ValueError, TypeError) as error:  # pydantic's own is a ValueError
        raise SpecError(
            f"found {knob}.arguments {declared.arguments} ({_shorten(error)}), needed those of"
            f" {declared.expectation}; correct them"
        ) from None
    for name in _list_columns(expectation):
        if name not in known:
            raise SpecError(
                f"found column {name!r} in {knob}.arguments, needed one of {', '.join(known)} for"
                f" a rule on {declared.on}; correct its name or set on"
            )
    return expectation


def _shorten(error: Exception) -> str:
    listed = getattr(error, "errors", None)
    if listed is None:
        return str(error).splitlines()[0]
    first = listed()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "__root__")
    return f"{where}: {first['msg']}" if where else str(first["msg"])


def _list_columns(expectation: Any) -> list[str]:
    found: list[str] = []
    for field in NAMING:
        named = getattr(expectation, field, None)
        found += [named] if isinstance(named, str) else list(named or ())
    return found


def _describe(declared: RuleSpec) -> str:
    inside = ", ".join(f"{name}={value!r}" for name, value in declared.arguments.items())
    return f"{declared.expectation}({inside})"


def _make_row_rule(kind: Any, declared: RuleSpec, knob: str, spec: PipelineSpec) -> RowRule:
    known = (*TABLE_COLUMNS, *spec.source.covariates)
    expectation = _build(kind, declared, knob, known)
    condition = str(getattr(expectation, "row_condition", None) or "")
    named = dict.fromkeys(_list_columns(expectation))
    named |= dict.fromkeys(name for name in known if name in condition)
    return RowRule(
        name=f"{declared.expectation} ({knob})",
        says=_describe(declared),
        severity=declared.severity,
        mostly=declared.mostly,
        expectation=expectation,
        columns=tuple(named),
        knob=knob,
    )


def _make_series_rule(kind: Any, declared: RuleSpec, knob: str, spec: PipelineSpec) -> Rule:
    on: On = "table" if getattr(kind, "frame", "series") == "table" else "series"
    missing = tuple(f"{name}__missing" for name in spec.source.covariates)
    known = TABLE_FIGURES if on == "table" else (*FIGURES, *missing, "level_shift")
    expectation = _build(kind, declared, knob, known)
    columns = _list_columns(expectation)
    share = "" if declared.mostly == 1 else f" in {declared.mostly:.1%} of them"
    return Rule(
        name=f"{declared.expectation} ({knob})",
        severity=declared.severity,
        on=on,
        needs=lambda _: f"series that satisfy {_describe(declared)}{share}",
        expects=lambda asked: (
            [] if set(columns) & set(COMPARED) and not asked.compared else [expectation]
        ),
        finds=_make_finder(columns),
        cure=f"correct the data or {knob}",
    )


def _make_finder(columns: list[str]) -> Callable[[pd.DataFrame], str]:
    def find(bad: pd.DataFrame) -> str:
        said = []
        for name in columns:
            if pd.api.types.is_numeric_dtype(bad[name]):
                said.append(f"{name} from {bad[name].min():g} to {bad[name].max():g}")
            else:
                said.append(f"{name} such as {bad[name].iloc[0]}")
        return " and ".join(said) or f"{len(bad):,} series"

    return find

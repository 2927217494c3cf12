"""Judge a table: profile it, let Great Expectations look at the figures, say what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seqmodel.errors import SourceError, SpecError
from seqmodel.grid import Grid, to_microseconds
from seqmodel.specs import PipelineSpec
from seqmodel.table.columns import describe_columns
from seqmodel.table.drift import Reference, measure_drift, measure_shift, read_reference
from seqmodel.table.profile import Profile, measure_table
from seqmodel.table.quality import Outcome, RuleResult, Verdict
from tasks.asking import ask, open_context, read_error
from tasks.declared import read_rules
from tasks.expectations import RULES
from tasks.rowwise import judge_rows
from tasks.rules import Asked, On, Rule

#: Series or columns kept with a result, and named in a sentence.
EXAMPLES, NAMED = 5, 3
#: Column that says which row of a frame is meant.
NAMES: dict[On, str] = {"columns": "column", "series": "series_id"}

Frames = Mapping[On, pd.DataFrame]


def judge(
    table: Path, spec: PipelineSpec, as_of: datetime, reference: Path | None = None
) -> Verdict:
    """Judge a canonical table by all rules.

    Args:
        table: folder of `part-*.parquet`.
        spec: the pipeline it is for.
        as_of: the moment the run pretends to be at, with its time zone.
        reference: profile (or folder) of the last accepted table; without one, nothing is compared.

    Returns:
        One result for each rule: those of `RULES`, then those of `spec.quality.rules`;
        `Verdict.stops` says whether the table is refused.

    Raises:
        SourceError: if there is no part, or one is not Parquet.
        SpecError: if `as_of` has no time zone, or a declared rule cannot be.
    """
    return measure_and_judge(table, spec, as_of, reference)[0]


def measure_and_judge(
    table: Path,
    spec: PipelineSpec,
    as_of: datetime,
    reference: Path | None = None,
    profile: Profile | None = None,
) -> tuple[Verdict, Profile | None]:
    """Judge a canonical table as `judge` does; return the profile too, if it could be made.

    A profile that is there already is not made again.
    """
    if as_of.tzinfo is None:
        raise SpecError(
            f"found as_of {as_of.isoformat()} without a time zone, needed one; append +00:00"
        )
    declared, on_rows = read_rules(spec)
    before = None if reference is None else read_reference(reference, spec.source)
    asked = Asked(spec, as_of, compared=before is not None)
    rules = (*RULES, *declared)
    columns = describe_columns(table, spec.source).assign(missing_share=np.nan)
    frames: dict[On, pd.DataFrame] = {"columns": columns}
    obstacle = ""
    try:
        profile = profile or measure_table(table, spec.source)
    except SourceError as error:
        # The columns can still be judged, and tell why the rows cannot.
        obstacle = str(error)
    else:
        frames = _summarise(profile, before, columns, asked)
    answers = _ask(rules, frames, asked)
    found = [_translate(rule, asked, frames, answers.get(rule.name, obstacle)) for rule in rules]
    results = (*found, *judge_rows(table, on_rows))
    return Verdict(table=table.name, rules=results), profile


def explain(verdict: Verdict) -> str:
    """Return one sentence on why a table is refused: found, needed, what to do."""
    if not verdict.stops:
        return f"found no critical rule broken in table {verdict.table}, needed none; go on"
    worst, *others = verdict.stops
    if worst.outcome == "not evaluated":
        found = f"rule {worst.rule} could not be evaluated ({worst.found})"
    else:
        found = f"{worst.found}{_name(worst)}"
    many = f" ({len(others)} more critical rule{'s'[: len(others) > 1]} did not pass)"
    return f"found {found}, needed {worst.needed}; {worst.cure}{many if others else ''}"


def _name(result: RuleResult) -> str:
    named = result.examples[:NAMED]
    more = f" and {result.bad - len(named)} more" if result.bad > len(named) else ""
    return f" ({', '.join(named)}{more})" if named else ""


def _summarise(
    profile: Profile, before: Reference | None, columns: pd.DataFrame, asked: Asked
) -> dict[On, pd.DataFrame]:
    """Return the frames that the rules look at."""
    source, series = asked.spec.source, profile.series
    for name in source.covariates:
        share = series[f"{name}__missing"].sum() / max(series["rows"].sum(), 1)
        columns.loc[columns["column"] == name, "missing_share"] = share
    table: dict[str, Any] = {"series": len(series), "longest": np.nan, "longest_series": "none"}
    table |= {"newest": pd.NaT, "age": np.nan}
    table |= {"drift": np.nan, "series_change": np.nan, "series_before": np.nan}
    if series["last"].notna().any():
        longest = series.iloc[int(series["steps"].to_numpy().argmax())]
        newest = series["last"].max()
        now = np.array([to_microseconds(asked.as_of), to_microseconds(newest)])
        number, last = Grid(source.freq).number(now)
        # Counted from the end of the newest step: it could not have been there earlier.
        table |= {"newest": newest, "age": float(number - last - 1)}
        table |= {"longest": longest["steps"], "longest_series": longest["series_id"]}
    shift: pd.Series | float = np.nan
    if before is not None:
        shift = measure_shift(series, before, source.season)
        table["drift"] = measure_drift(profile, before)
        table["series_before"] = len(before.series)
        table["series_change"] = abs(len(series) / max(len(before.series), 1) - 1)
    return {
        "columns": columns,
        "series": series.assign(level_shift=shift),
        "table": pd.DataFrame([table]),
    }


def _ask(rules: Iterable[Rule], frames: Frames, asked: Asked) -> dict[str, list[Any] | str]:
    """Return what Great Expectations says on each rule, or why a rule could not be asked."""
    answers: dict[str, list[Any] | str] = {}
    with open_context() as context:
        for on, frame in frames.items():
            expectations = []
            for rule in (rule for rule in rules if rule.on == on):
                try:
                    expectations += _expect(rule, asked)
                    answers[rule.name] = []
                except Exception as error:  # noqa: BLE001 - one broken rule must not hide the rest
                    answers[rule.name] = f"{type(error).__name__}: {error}"
            for result in ask(context, frame, expectations, "COMPLETE"):
                answers[result.expectation_config.meta["rule"]].append(result)  # type: ignore[union-attr]
    return answers


def _expect(rule: Rule, asked: Asked) -> list[Any]:
    # The results come in another order: each carries the name of its rule.
    marks = {"meta": {"rule": rule.name}, "severity": rule.severity}
    return [expectation.copy(update=marks) for expectation in rule.expects(asked)]


def _translate(rule: Rule, asked: Asked, frames: Frames, answer: list[Any] | str) -> RuleResult:
    """Return the result of one rule in our own words."""
    needed = rule.needs(asked)
    outcome: Outcome = "not evaluated"
    total, bad = 0, pd.DataFrame()
    if isinstance(answer, str):
        found = answer
    elif not answer:
        outcome, found = "passed", "nothing to check"
    elif errors := [message for result in answer if (message := read_error(result))]:
        found = errors[0]
    else:
        frame = frames[rule.on]
        total = max(_count(result, frame) for result in answer)
        bad = frame.iloc[_find_bad(answer, frame)]
        passed = all(result.success for result in answer)
        # Great Expectations calls a rule kept that had nothing to look at.
        if total:
            outcome = "passed" if passed else "failed"
            found = _say(rule, frame, bad, total)
        else:
            found = "nothing to look at"
    return RuleResult(
        rule=rule.name,
        says=f"The table must have {needed}.",
        severity=rule.severity,
        outcome=outcome,
        found=found,
        bad=len(bad),
        total=total,
        examples=_list_examples(rule, bad),
        needed=needed,
        cure=rule.cure,
    )


def _list_examples(rule: Rule, bad: pd.DataFrame) -> tuple[str, ...]:
    if bad.empty or rule.on not in NAMES:
        return ()
    return tuple(
        "(null)" if pd.isna(name) else str(name) for name in bad[NAMES[rule.on]][:EXAMPLES]
    )


def _say(rule: Rule, frame: pd.DataFrame, bad: pd.DataFrame, total: int) -> str:
    if rule.on == "table":
        return rule.finds(frame)
    return rule.finds(bad) if len(bad) else f"{total:,} {rule.on} looked at, none breaks it"


def _count(result: Any, frame: pd.DataFrame) -> int:
    seen = result.result.get("element_count", len(frame))
    return int(seen - result.result.get("missing_count", 0))


def _find_bad(answer: list[Any], frame: pd.DataFrame) -> list[int]:
    """Return the positions of the rows that break any part of a rule.

    What looks at a column as a whole, as its mean, lists no positions: then all rows do.
    """
    every = list(range(len(frame)))
    found = (r.result.get("unexpected_index_list", [] if r.success else every) for r in answer)
    return sorted({position for positions in found for position in positions})

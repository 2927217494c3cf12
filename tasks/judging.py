"""Judge a table: profile it, let Great Expectations look at the figures, say what they mean."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seqmodel.errors import SourceError, SpecError
from seqmodel.grid import Grid, to_microseconds
from seqmodel.specs import PipelineSpec
from seqmodel.table.columns import describe_columns
from seqmodel.table.profile import profile_table
from seqmodel.table.quality import Outcome, RuleResult, Verdict
from tasks.expectations import RULES
from tasks.rules import Asked, On, Rule

#: Series or columns kept with a result, and named in a sentence.
EXAMPLES, NAMED = 5, 3
#: Column that says which row of a frame is meant.
NAMES: dict[On, str] = {"columns": "column", "series": "series_id"}
#: Great Expectations keeps its current project in a global.
ONE_AT_A_TIME = threading.Lock()

Frames = Mapping[On, pd.DataFrame]


def judge(table: Path, spec: PipelineSpec, as_of: datetime) -> Verdict:
    """Judge a canonical table by all rules.

    Args:
        table: folder of `part-*.parquet`.
        spec: the pipeline it is for.
        as_of: the moment the run pretends to be at, with its time zone.

    Returns:
        One result for each rule, in the order of `RULES`; `Verdict.stops` says whether the table is
        refused.

    Raises:
        SourceError: if there is no part, or one is not Parquet.
        SpecError: if `as_of` has no time zone.
    """
    if as_of.tzinfo is None:
        raise SpecError(
            f"found as_of {as_of.isoformat()} without a time zone, needed one; append +00:00"
        )
    asked = Asked(spec, as_of)
    columns = describe_columns(table, spec.source).assign(missing_share=np.nan)
    frames: dict[On, pd.DataFrame] = {"columns": columns}
    obstacle = ""
    try:
        profile = profile_table(table, spec.source)
    except SourceError as error:
        # The columns can still be judged, and tell why the rows cannot.
        obstacle = str(error)
    else:
        frames = _summarise(profile, columns, asked)
    answers = _ask(frames, asked)
    rules = (_translate(rule, asked, frames, answers.get(rule.name, obstacle)) for rule in RULES)
    return Verdict(table=table.name, rules=tuple(rules))


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
    profile: pd.DataFrame, columns: pd.DataFrame, asked: Asked
) -> dict[On, pd.DataFrame]:
    """Return the frames that the rules look at."""
    grid = Grid(asked.spec.source.freq)
    for name in asked.spec.source.covariates:
        share = profile[f"{name}__missing"].sum() / max(profile["rows"].sum(), 1)
        columns.loc[columns["column"] == name, "missing_share"] = share
    table: dict[str, Any] = {"series": len(profile), "longest": np.nan, "longest_series": "none"}
    table |= {"newest": pd.NaT, "age": np.nan}
    if profile["last"].notna().any():
        longest = profile.iloc[int(profile["steps"].to_numpy().argmax())]
        newest = profile["last"].max()
        now = np.array([to_microseconds(asked.as_of), to_microseconds(newest)])
        number, last = grid.number(now)
        # Counted from the end of the newest step: it could not have been there earlier.
        table |= {"newest": newest, "age": float(number - last - 1)}
        table |= {"longest": longest["steps"], "longest_series": longest["series_id"]}
    return {"columns": columns, "series": profile, "table": pd.DataFrame([table])}


def _ask(frames: Frames, asked: Asked) -> dict[str, list[Any] | str]:
    """Return what Great Expectations says on each rule, or why a rule could not be asked."""
    answers: dict[str, list[Any] | str] = {}
    with _open_context() as source:
        for on, frame in frames.items():
            expectations = []
            for rule in (rule for rule in RULES if rule.on == on):
                try:
                    expectations += _expect(rule, asked)
                    answers[rule.name] = []
                except Exception as error:  # noqa: BLE001 - one broken rule must not hide the rest
                    answers[rule.name] = f"{type(error).__name__}: {error}"
            for result in _validate(source, on, frame, expectations):
                answers[result.expectation_config.meta["rule"]].append(result)  # type: ignore[union-attr]
    return answers


def _expect(rule: Rule, asked: Asked) -> list[Any]:
    # The results come in another order: each carries the name of its rule.
    marks = {"meta": {"rule": rule.name}, "severity": rule.severity}
    return [expectation.copy(update=marks) for expectation in rule.expects(asked)]


def _validate(source: Any, on: On, frame: pd.DataFrame, expectations: list[Any]) -> list[Any]:
    from great_expectations import ExpectationSuite

    asset = source.add_dataframe_asset(on)
    batch = asset.add_batch_definition_whole_dataframe(on).get_batch({"dataframe": frame})
    suite = ExpectationSuite(name=on, expectations=expectations)
    # COMPLETE lists every position; asking for names as well takes 50 times as long.
    results: list[Any] = batch.validate(suite, result_format="COMPLETE").results
    return results


@contextmanager
def _open_context() -> Iterator[Any]:
    """Open a data source in a context of its own: a shared one would keep every frame."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    logger, silence = logging.getLogger("great_expectations"), logging.NullHandler()
    with ONE_AT_A_TIME:
        # What it has to say comes back in its results. Its modules set levels of their own, so
        # that only the way out can be closed.
        logger.addHandler(silence)
        propagate, logger.propagate = logger.propagate, False
        try:
            context = gx.get_context(mode="ephemeral")
            context.variables.progress_bars = ProgressBarsConfig(globally=False)
            context.enable_analytics(enable=False)
            yield context.data_sources.add_pandas("frames")
        finally:
            logger.propagate = propagate
            logger.removeHandler(silence)


def _translate(rule: Rule, asked: Asked, frames: Frames, answer: list[Any] | str) -> RuleResult:
    """Return the result of one rule in our own words."""
    needed = rule.needs(asked)
    outcome: Outcome = "not evaluated"
    total, bad = 0, pd.DataFrame()
    if isinstance(answer, str):
        found = answer
    elif not answer:
        outcome, found = "passed", "nothing to check"
    elif errors := [message for result in answer if (message := _read_error(result))]:
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


def _read_error(result: Any) -> str:
    """Return why an expectation could not be evaluated; nothing if it could."""
    info = result.to_json_dict()["exception_info"]
    # One metric that fails is reported flat, several below their ids.
    infos = [info] if "raised_exception" in info else list(info.values())
    messages = [one["exception_message"] for one in infos if one["raised_exception"]]
    return str(messages[0]).strip().splitlines()[0] if messages else ""

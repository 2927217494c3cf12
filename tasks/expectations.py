"""The quality rules, listed once: one entry in `RULES` adds a rule.

A rule names the small frame it looks at, and the Great Expectations that judge it:

    columns    a row for each column of the table: `column`, `wanted`, `found`, `missing_share`
    series     a row for each series: the columns of `profile_table`
    table      one row: `series`, `longest` (steps), `longest_series`, `newest`, `age` (steps)

Beside an earlier table the series also have `level_shift` (standard deviations), and the table
`drift` (index), `series_before` and `series_change` (share); otherwise these are NaN.
"""

from __future__ import annotations

from typing import Any

from tasks.rules import Asked, Expectations, Rule, above, between, equal, own, present

#: Share of a covariate's rows that may be missing before somebody should look.
MAX_COVARIATE_MISSING = 0.5
#: 9 of 10 series is at least 0.9 of them, whatever 1 - 0.1 is in binary.
ROUNDING = 1e-9


def _of_numbers(asked: Asked, *expectations: Any) -> Expectations:
    """Expect something of targets that are numbers; of classes nothing."""
    return [] if asked.spec.source.of_classes else list(expectations)


def _within_limits(asked: Asked) -> Expectations:
    low, high = asked.spec.quality.minimum, asked.spec.quality.maximum
    lower = [] if low is None else [between("min", low=low)]
    return lower if high is None else [*lower, between("max", high=high)]


def _say_limits(asked: Asked) -> str:
    low, high = asked.spec.quality.minimum, asked.spec.quality.maximum
    least = "any" if low is None else f"{low:g}"
    most = "any" if high is None else f"{high:g}"
    return f"targets within quality.minimum and quality.maximum ({least} to {most})"


def _enough_targets(asked: Asked) -> Expectations:
    quality = asked.spec.quality
    if asked.spec.source.layout == "sequences":
        return []  # a sequence without a label is one to be told
    mostly = max(0.0, 1 - quality.max_bad_series - ROUNDING)
    return [between("missing_share", high=quality.max_missing, mostly=mostly)]


def _say_targets(asked: Asked) -> str:
    quality = asked.spec.quality
    return (
        f"a target in all but {quality.max_missing:.1%} of the steps of a series"
        f" (quality.max_missing), in all but {quality.max_bad_series:.1%} of the series"
        " (quality.max_bad_series)"
    )


def _covariates_there(asked: Asked) -> Expectations:
    there = between("missing_share", high=MAX_COVARIATE_MISSING)
    return [there] if asked.spec.source.covariates else []


def _compare(kind: str, limit: float, asked: Asked) -> Expectations:
    """Expect something of the table beside the last accepted one, if there is one."""
    return [own(kind, limit)] if asked.compared and not asked.spec.source.of_classes else []


RULES: tuple[Rule, ...] = (
    Rule(
        name="columns",
        severity="critical",
        on="columns",
        needs=lambda _: "every column that source names, in canonical types",
        expects=lambda _: [equal("found", "wanted")],
        finds=lambda bad: f"{bad['found'].iloc[0]} in place of {bad['wanted'].iloc[0]}",
        cure="correct source or bring the column",
    ),
    Rule(
        name="some_series",
        severity="critical",
        on="table",
        needs=lambda _: "at least one series",
        expects=lambda _: [between("series", low=1)],
        finds=lambda row: f"{row['series'].iloc[0]} series",
        cure="bring data or correct source.uri",
    ),
    Rule(
        name="ids",
        severity="critical",
        on="series",
        needs=lambda _: "a series_id in every row",
        expects=lambda _: [present("series_id")],
        finds=lambda bad: f"{bad['rows'].sum():,} rows without series_id",
        cure="ingest the table again",
    ),
    Rule(
        name="timestamps",
        severity="critical",
        on="series",
        needs=lambda _: "a timestamp in every row",
        expects=lambda _: [between("missing_timestamps", high=0)],
        finds=lambda bad: f"{bad['missing_timestamps'].sum():,} rows without timestamp",
        cure="ingest the table again",
    ),
    Rule(
        name="unique",
        severity="critical",
        on="series",
        needs=lambda _: "one row for a series and timestamp",
        expects=lambda _: [between("duplicates", high=0)],
        finds=lambda bad: f"{bad['duplicates'].sum():,} rows that repeat a timestamp",
        cure="ingest the table again or remove the doubles",
    ),
    Rule(
        name="limits",
        severity="critical",
        on="series",
        needs=_say_limits,
        expects=_within_limits,
        finds=lambda bad: f"targets from {bad['min'].min():g} to {bad['max'].max():g}",
        cure="correct the data or the limits",
    ),
    Rule(
        name="finite",
        severity="critical",
        on="series",
        needs=lambda _: "finite targets or none",
        expects=lambda _: [between("non_finite", high=0)],
        finds=lambda bad: f"{bad['non_finite'].sum():,} targets that are infinite or NaN",
        cure="correct the data",
    ),
    Rule(
        name="targets",
        severity="critical",
        on="series",
        needs=_say_targets,
        expects=_enough_targets,
        finds=lambda bad: f"up to {bad['missing_share'].max():.1%} of a series' targets missing",
        cure="complete the data, leave those series out, or raise the limits",
    ),
    Rule(
        name="fresh",
        severity="critical",
        on="table",
        needs=lambda a: (
            f"a newest row at most {a.spec.quality.max_age} steps old at {a.when} (quality.max_age)"
        ),
        # The age of events in events is always 0.
        expects=lambda a: (
            [] if a.spec.source.irregular else [between("age", high=a.spec.quality.max_age)]
        ),
        finds=lambda row: (
            f"the newest row, {row['newest'].iloc[0]:%Y-%m-%dT%H:%M:%SZ},"
            f" {row['age'].iloc[0]:.0f} steps old"
        ),
        cure="bring newer data or raise the limit",
    ),
    Rule(
        name="past",
        severity="critical",
        on="series",
        needs=lambda a: f"only rows whose step is over at {a.when}",
        expects=lambda a: [between("last", high=a.newest)],
        finds=lambda bad: f"rows up to {bad['last'].max():%Y-%m-%dT%H:%M:%SZ}",
        cure="ingest the table again at this as_of",
    ),
    Rule(
        name="regular",
        severity="critical",
        on="series",
        needs=lambda a: f"timestamps on the grid of freq {a.spec.source.freq}",
        expects=lambda _: [own("expect_series_step_to_be_regular")],
        finds=lambda bad: f"{bad['off_grid'].sum():,} rows between the steps",
        cure="correct source.freq or bring the rows to the grid",
    ),
    Rule(
        name="long_enough",
        severity="critical",
        on="table",
        needs=lambda a: f"a series of at least {a.long_enough}",
        expects=lambda a: [between("longest", low=a.steps)],
        finds=lambda row: (
            f"the longest series, {row['longest_series'].iloc[0]},"
            f" {row['longest'].iloc[0]} steps long"
        ),
        cure="shorten window.lookback, window.horizon or the backtest, or bring more history",
    ),
    Rule(
        name="all_long_enough",
        severity="warning",
        on="series",
        needs=lambda a: f"in every series at least {a.long_enough}",
        expects=lambda a: [between("steps", low=a.steps)],
        finds=lambda bad: f"series of {bad['steps'].min()} steps and more",
        cure="expect no training on these series",
    ),
    Rule(
        name="varied",
        severity="warning",
        on="series",
        needs=lambda _: "targets that vary",
        expects=lambda a: _of_numbers(a, above("max", "min")),
        finds=lambda bad: f"one value only, {bad['min'].iloc[0]:g}",
        cure="see whether the meter is stuck",
    ),
    Rule(
        name="covariates",
        severity="warning",
        on="columns",
        needs=lambda _: f"covariates in all but {MAX_COVARIATE_MISSING:.0%} of the rows",
        expects=_covariates_there,
        finds=lambda bad: f"up to {bad['missing_share'].max():.1%} missing",
        cure="complete them or leave them out of source",
    ),
    Rule(
        name="current",
        severity="warning",
        on="series",
        needs=lambda _: "in every series a row at the newest step",
        expects=lambda _: [own("expect_series_to_be_current")],
        finds=lambda bad: f"series that end up to {bad['behind'].max():,} steps early",
        cure="see whether they have ended",
    ),
    Rule(
        name="sorted",
        severity="info",
        on="series",
        needs=lambda _: "rows in the order of series and time",
        expects=lambda _: [between("unsorted", high=0)],
        finds=lambda bad: f"{bad['unsorted'].sum():,} rows that belong above the one before",
        cure="ingest the table again",
    ),
    Rule(
        name="flat",
        severity="warning",
        on="series",
        needs=lambda a: (
            f"no stretch of one equal target longer than {a.spec.quality.max_flat} rows"
            " (quality.max_flat)"
        ),
        expects=lambda a: _of_numbers(
            a, own("expect_series_not_to_be_flat", a.spec.quality.max_flat)
        ),
        finds=lambda bad: f"stretches of up to {bad['flat'].max():,} equal targets",
        cure="see whether the meter was stuck",
    ),
    Rule(
        name="outliers",
        severity="warning",
        on="series",
        needs=lambda a: (
            f"at most {a.spec.quality.max_outliers:.1%} of a series' targets beyond 5 robust"
            " spreads of its median (quality.max_outliers)"
        ),
        expects=lambda a: _of_numbers(
            a, own("expect_series_to_have_few_outliers", a.spec.quality.max_outliers)
        ),
        finds=lambda bad: f"up to {bad['outliers'].max():.1%} of a series' targets far out",
        cure="see whether they are true, or set quality.minimum and quality.maximum",
    ),
    Rule(
        name="level",
        severity="warning",
        on="series",
        needs=lambda a: (
            f"series whose level moved by at most {a.spec.quality.max_level_shift:g} standard"
            " deviations since the last accepted table (quality.max_level_shift)"
        ),
        expects=lambda a: _compare(
            "expect_series_level_not_to_shift", a.spec.quality.max_level_shift, a
        ),
        finds=lambda bad: f"levels moved by up to {bad['level_shift'].max():.3g} deviations",
        cure="see whether the unit or the meter was changed",
    ),
    Rule(
        name="drift",
        severity="warning",
        on="table",
        needs=lambda a: (
            "targets distributed as in the last accepted table, up to an index of"
            f" {a.spec.quality.max_drift:g} (quality.max_drift)"
        ),
        expects=lambda a: _compare("expect_table_target_not_to_drift", a.spec.quality.max_drift, a),
        finds=lambda row: f"a population stability index of {row['drift'].iloc[0]:.3g}",
        cure="see what changed, and watch the champion's scores",
    ),
    Rule(
        name="as_many_series",
        severity="warning",
        on="table",
        needs=lambda a: (
            f"as many series as the last accepted table, {a.spec.quality.max_series_change:.0%}"
            " more or fewer (quality.max_series_change)"
        ),
        expects=lambda a: _compare(
            "expect_table_series_to_be_as_many", a.spec.quality.max_series_change, a
        ),
        finds=lambda row: (
            f"{row['series'].iloc[0]:,} series where there were {row['series_before'].iloc[0]:,.0f}"
        ),
        cure="see whether a source is missing or doubled",
    ),
)

"""One run as one self-contained HTML file: no network, no script, no font but the reader's."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from typing import Any, Final

from seqmodel.reporting.class_plots import draw_confusion, draw_reliability, draw_roc
from seqmodel.reporting.live_plots import draw_coverage, draw_skill
from seqmodel.reporting.night import Compared, Fan, Night
from seqmodel.reporting.plots import draw_error_by_step, draw_fan, draw_training
from seqmodel.reporting.wording import (
    ABSENT,
    TONES,
    format_best,
    format_figure,
    format_gain,
    format_interval,
    format_ledger,
    format_moment,
    format_seconds,
    format_skill,
    format_trial,
    list_metrics,
    measure_skill,
    name_metric,
    order_candidates,
    split_forecast_head,
    tabulate_groups,
)
from seqmodel.table.quality import RuleResult, Verdict

SYMBOLS: Final = {
    "passed": "✓",
    "failed": "✗",
    "not evaluated": "?",
    "ran": "✓",
    "from cache": "↺",
}
SEVERITIES: Final = ("critical", "warning", "info")
OTHERS: Final = ("refitted", "seasonal_naive", "naive", "drift", "reference")
MANY: Final = 12  # rows of a table from which on it is folded away
NAMESPACE: Final = ' xmlns="http://www.w3.org/2000/svg"'  # a page's own svg needs none


def render_html(night: Night) -> str:
    """Write the report of a run.

    Args:
        night: the run; parts that are missing leave no trace.

    Returns:
        The whole page. The same run gives the same page, byte for byte.
    """
    from jinja2 import Environment, StrictUndefined

    page = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page.filters |= {
        "figure": format_figure,
        "gain": format_gain,
        "moment": format_moment,
        "seconds": format_seconds,
        "metric": name_metric,
    }
    source = resources.files("seqmodel.reporting").joinpath("report.html").read_text("utf-8")
    symbol, tone = TONES[night.tone]
    return page.from_string(source).render(
        night=night,
        symbol=symbol,
        tone=tone,
        symbols=SYMBOLS,
        many=MANY,
        tiles=list(_list_tiles(night)),
        candidates=_list_main(night),
        rows=_tabulate_scores(night),
        others=_list_others(night),
        best=format_best(night),
        intervals=[format_interval(one) for one in night.intervals],
        groups=tabulate_groups(night),
        coverage=any("coverage" in metric for metric in list_metrics(night.scores)),
        backtest=_draw_fans(night.backtest_fans),
        forecast=_draw_fans(night.forecast_fans),
        by_step=_draw_steps(night),
        classes=list(_draw_classes(night)),
        live=list(_draw_live(night)),
        compared=[_describe_compared(one) for one in night.compared],
        training=_embed(draw_training(night.history, night.best_epoch)) if night.history else "",
        trials=[(*format_trial(one), one.reason) for one in night.tuning],
        head=split_forecast_head(night.forecast_head) if night.forecast_head else None,
        ledger=format_ledger(night.ledger) if night.ledger else "",
        rules=night.quality.rules if night.quality else (),
        broken=[rule for rule in _sort_rules(night.quality) if rule.outcome != "passed"],
        passed=[rule for rule in _sort_rules(night.quality) if rule.outcome == "passed"],
        seconds=sum(step.seconds for step in night.steps),
        longest=max((step.seconds for step in night.steps), default=0) or 1,
    )


def _embed(svg: str) -> str:
    return svg.replace(NAMESPACE, "", 1)


def _draw_steps(night: Night) -> str:
    """Draw the error by step; nothing where there is one step, or no distance in the target."""
    if night.classes or not night.by_step:
        return ""
    return _embed(draw_error_by_step(night.by_step, night.labels))


def _draw_classes(night: Night) -> Iterable[tuple[str, str, str]]:
    """Draw confusion, ROC and reliability: title, plot and what it shows."""
    if not (plots := night.classes):
        return
    misses = f"; {plots.unseen:,} of classes never seen in training" if plots.unseen else ""
    yield (
        "Confusion",
        _embed(draw_confusion(plots.confusion)),
        f"Rows: what came; columns: what the challenger said, {plots.targets:,} in all{misses}.",
    )
    if plots.roc:
        yield (
            "ROC",
            _embed(draw_roc(plots.roc, night.labels)),
            "Share of the positives found against share of the negatives taken for one.",
        )
    yield (
        "Reliability",
        _embed(draw_reliability(plots.reliability, night.labels)),
        "What was said and what came: on the diagonal a probability is worth its word.",
    )


def _draw_live(night: Night) -> Iterable[tuple[str, str]]:
    """Draw what came over the nights: plot and what it shows."""
    if any(one.skill is not None for one in night.live):
        yield (
            _embed(draw_skill(night.live, night.live_metric)),
            "Above zero a night's forecast was better than the baseline's.",
        )
    if any(one.coverage is not None for one in night.live):
        yield (
            _embed(draw_coverage(night.live, night.nominal)),
            "Share of targets inside the interval of the forecast.",
        )


def _describe_compared(one: Compared) -> tuple[str, str, str, str, str]:
    """Return the cells of a paired test: rival, difference, chance, sample, groups."""
    chance = ABSENT if one.chance is None else f"{one.chance:.2g}"
    difference = ABSENT if one.difference is None else f"{one.difference:+.4g}"
    groups = "; ".join(
        f"{g.group} {format_figure(g.loss)} against {format_figure(g.other)}" for g in one.groups
    )
    sample = f"{one.pairs:,} {one.over} of {one.windows:,} forecasts"
    return f"{one.rival} ({one.test.replace('_', '-')})", difference, chance, sample, groups


def _draw_fans(fans: Iterable[Fan]) -> list[tuple[Fan, str]]:
    return [(fan, _embed(draw_fan(fan))) for fan in fans]


def _list_tiles(night: Night) -> Iterable[tuple[str, str, str]]:
    """List the figures to see first: what, figure, and what it is to be compared with."""
    metrics = list_metrics(night.scores)
    for name in order_candidates(night.scores)[:2] if metrics else ():
        if name != "baseline":
            skill = measure_skill(night.scores, name, metrics[0])
            beside = "" if skill is None else f"{format_skill(skill)} against the baseline"
            score = format_figure(night.scores[name].get(metrics[0]))
            yield f"{name_metric(metrics[0])} of the {name}", score, beside
    if night.ledger:
        aside = night.ledger.quarantined
        yield "rows kept", f"{night.ledger.kept:,}", f"{aside:,} set aside in quarantine"
    if night.quality:
        rules = night.quality.rules
        passed = sum(rule.outcome == "passed" for rule in rules)
        stops = len(night.quality.stops)
        beside = f"{stops} critical not passed" if stops else "no critical rule broken"
        yield "rules passed", f"{passed} of {len(rules)}", beside
    if night.steps:
        cached = sum(step.outcome == "from cache" for step in night.steps)
        beside = f"{len(night.steps)} steps" + (f", {cached} from cache" if cached else "")
        yield "time", format_seconds(sum(step.seconds for step in night.steps)), beside


def _list_main(night: Night) -> tuple[str, ...]:
    """Return the candidates that get a column of their own; a phone has room for three."""
    return tuple(n for n in order_candidates(night.scores) if n not in OTHERS)


def _list_others(night: Night) -> list[tuple[str, str, str]]:
    """Return the other baselines and the reference: name, main metric, skill."""
    metrics = list_metrics(night.scores)
    found = []
    for name in (n for n in order_candidates(night.scores) if n in OTHERS):
        skill = measure_skill(night.scores, name, metrics[0])
        label = night.labels.get(name, name.replace("_", " "))
        score = format_figure(night.scores[name].get(metrics[0]))
        found.append((label, score, "" if skill is None else format_skill(skill)))
    return found


def _tabulate_scores(night: Night) -> list[dict[str, Any]]:
    """List a row a metric: the figure and the skill of each candidate."""
    rows = []
    for metric in list_metrics(night.scores):
        cells = []
        for name in _list_main(night):
            skill = measure_skill(night.scores, name, metric)
            score = night.scores[name].get(metric)
            cells.append(
                {
                    "score": ABSENT if score is None else format_figure(score),
                    "skill": "" if skill is None else format_skill(skill),
                    "worse": skill is not None and skill < 0,
                }
            )
        rows.append({"metric": metric, "cells": cells})
    return rows


def _sort_rules(verdict: Verdict | None) -> tuple[RuleResult, ...]:
    """Put what needs a person first: by severity."""
    rules = verdict.rules if verdict else ()
    return tuple(sorted(rules, key=lambda rule: SEVERITIES.index(rule.severity)))

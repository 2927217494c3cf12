"""One run as a few lines on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seqmodel.reporting.night import Night, Tried
from seqmodel.reporting.wording import (
    STYLES,
    TONES,
    WIDEST,
    format_best,
    format_figure,
    format_gain,
    format_interval,
    format_ledger,
    format_moment,
    format_skill,
    format_trial,
    list_metrics,
    measure_skill,
    name_metric,
    order_candidates,
    split_forecast_head,
    tabulate_groups,
)

if TYPE_CHECKING:  # rich is imported where it is used, so that the HTML does without it
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text


def render_summary(night: Night) -> RenderableType:
    """Summarise a run for the terminal.

    Args:
        night: the run.

    Returns:
        A rich renderable. Print it with `soft_wrap=True`, or by `print_summary`: otherwise the
        console crops the paths at its width.
    """
    from rich.console import Group
    from rich.text import Text

    symbol, word = TONES[night.tone]
    head = f"{night.pipeline} as of {format_moment(night.as_of)} (run {night.run})"
    parts: list[RenderableType] = [
        Text.assemble((f"{symbol} {word}: ", STYLES[night.tone]), (night.verdict, "bold")),
        Text(head, style="dim"),
    ]
    if night.decision:
        parts.append(Text(f"Decision: {night.decision}"))
    if night.steps:
        parts.append(_tabulate_steps(night))
    if night.scores:
        parts.append(_tabulate_scores(night))
        parts += _list_beside(night)
        named = [name for name in order_candidates(night.scores) if name in night.labels]
        parts += [_keep_line(f"{name}: {night.labels[name]}") for name in named]
    if night.begun:
        parts.append(_keep_line(f"trained: {night.begun}"))
    if night.ablation:
        parts.append(_tabulate_ablation(night))
    parts += _list_trials(night.tuning)
    if night.ledger:
        style = "" if night.ledger.balances else "bold red"
        parts += [Text(), Text(f"Rows: {format_ledger(night.ledger)}", style=style)]
    if night.quality:
        parts += [Text(f"Rule {r.outcome}: {r.rule}: {r.found}") for r in night.quality.stops]
    if night.forecast_head:
        parts.append(_tabulate_forecast(night))
    parts += [Text(f"Note: {note}") for note in night.notes]
    if night.places:
        # One a line and never folded: a path is copied, and found by grep in a log.
        parts.append(Text())
        parts += [_keep_line(f"{what}: {path}") for what, path in night.places.items()]
    return Group(*parts)


def print_summary(night: Night, console: Console | None = None) -> None:
    """Print the summary so that no path is wrapped or cropped.

    Args:
        night: the run.
        console: where to; by default the standard output.
    """
    from rich.console import Console as Terminal

    (console or Terminal(highlight=False)).print(render_summary(night), soft_wrap=True)


def _keep_line(line: str) -> Text:
    from rich.text import Text

    return Text(line, no_wrap=True, overflow="ignore")


def _open_table(title: str, columns: tuple[tuple[str, bool], ...]) -> Table:
    """Start a table; each column is its name and whether it holds figures."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for name, figures in columns:
        # Text, not str: brackets in a name of the user are not markup.
        table.add_column(Text(name), justify="right" if figures else "left", no_wrap=True)
    return table


def _add_row(table: Table, cells: list[str]) -> None:
    from rich.text import Text

    table.add_row(*(Text(cell) for cell in cells))


def _widen(table: Table) -> Table:
    """Give a table the width that it needs: on a narrow terminal no digit is cropped or folded."""
    from rich.console import Console

    table.width = Console(width=WIDEST).measure(table).maximum
    return table


def _tabulate_steps(night: Night) -> Table:
    table = _open_table("\nSteps", (("step", False), ("outcome", False), ("seconds", True)))
    for record in night.steps:
        _add_row(table, [record.step, record.outcome, f"{record.seconds:.2f}"])
    return _widen(table)


def _tabulate_scores(night: Night) -> Table:
    metrics = list_metrics(night.scores)
    columns = (("candidate", False), *((m, True) for m in metrics))
    title = "\nScores" + (" (skill: % better than the baseline)" * ("baseline" in night.scores))
    table = _open_table(title, columns)
    for name in order_candidates(night.scores):
        _add_row(table, [name, *(format_figure(night.scores[name].get(m)) for m in metrics)])
        skills = [measure_skill(night.scores, name, m) for m in metrics]
        if any(s is not None for s in skills):
            cells = ["" if s is None else format_skill(s) for s in skills]
            _add_row(table, ["  skill", *cells])
    return _widen(table)


def _list_beside(night: Night) -> list[RenderableType]:
    """Return the best baseline, the intervals' coverage, and the scores of groups."""
    parts: list[RenderableType] = []
    if night.best_baseline:
        parts.append(_keep_line(format_best(night)))
    if night.intervals:
        columns = ("interval", "candidate", "coverage", "by step", "width")
        table = _open_table("\nIntervals", tuple((c, c != "candidate") for c in columns))
        for one in night.intervals:
            _add_row(table, list(format_interval(one)))
        parts.append(_widen(table))
    for column, candidates, rows in tabulate_groups(night):
        title = f"\n{name_metric(list_metrics(night.scores)[0])} by {column}"
        table = _open_table(title, ((column, False), *((name, True) for name in candidates)))
        for row in rows:
            _add_row(table, row)
        parts.append(_widen(table))
    return parts


def _tabulate_ablation(night: Night) -> Table:
    title = "\nWorth of the inputs (MASE without them; gain with them, with its standard error)"
    columns = (("left out", False), ("inputs", False), ("mase", True), ("gain", True))
    table = _open_table(title, columns)
    for one in night.ablation:
        gain = format_gain(one.gain, one.error)
        _add_row(table, [one.group, ", ".join(one.inputs), format_figure(one.score), gain])
    return _widen(table)


def _list_trials(trials: tuple[Tried, ...]) -> list[RenderableType]:
    """Return the table of a tuning and why trials failed; nothing where nothing was tuned."""
    from rich.text import Text

    failed = [Text(f"Trial {one.number} failed: {one.reason}") for one in trials if one.reason]
    return [_tabulate_trials(trials), *failed] if trials else []


def _tabulate_trials(trials: tuple[Tried, ...]) -> Table:
    score = "pinball loss in errors of the seasonal naive, of classes the log loss"
    title = f"\nTrials (score on the holdout: {score})"
    names = ("trial", "knobs", "score", "seconds", "state")
    figures = {"trial", "score", "seconds"}
    table = _open_table(title, tuple((name, name in figures) for name in names))
    for one in trials:
        _add_row(table, list(format_trial(one)))
    return _widen(table)


def _tabulate_forecast(night: Night) -> Table:
    shared, columns, rows = split_forecast_head(night.forecast_head)
    words = ", ".join(f"{name} {value}" for name, value in shared.items())
    figures = {n for n in columns if n not in {"series_id", "timestamp", "cutoff", "label"}}
    title = "\nForecast, first rows" + (f"\n{words}" if words else "")
    table = _open_table(title, tuple((n, n in figures) for n in columns))
    for row in rows:
        _add_row(table, row)
    return _widen(table)

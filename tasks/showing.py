"""A run in Prefect's UI: artifacts whose keys stay the same night after night.

`<pipeline>-forecast` has all that one looks for first: verdict, scores, pictures, where the report
is; its description has the gist, which the UI shows on the run's page. The others have one thing
each, so that the UI shows its history. One that fails is said in the log and fails neither the
others nor the run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from httpx import TransportError
from prefect import get_run_logger
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)

from seqmodel.reporting.night import Night
from seqmodel.reporting.pictures import list_fans, list_pictures
from seqmodel.reporting.wording import (
    format_figure,
    list_metrics,
    name_metric,
    order_candidates,
    split_forecast_head,
)
from seqmodel.table.quality import Verdict

#: Where the reports can be opened; `make serve` sets it.
REPORTS_VARIABLE = "SEQMODEL_REPORTS_URL"
#: Files whose ledgers the UI lists; the report has all.
LEDGER_FILES = 50
#: Whose scores a card has room for, the first that there is.
SERVING = ("champion", "challenger")
#: A step that shows the rules by itself whenever it runs.
JUDGED_BEFORE = ("validate", "from cache")
TABLES = {
    "scores": "Scores of the backtest, a row a candidate; errors: lower is better",
    "test": "The paired tests of the gate: the challenger beside each rival",
    "live": "What came of the forecasts that are out, beside the baseline and the promise",
    "drift": "How far each column has moved from what the serving version was trained on",
    "ledger": "Rows read = kept + quarantined + duplicates + after as_of, for each file",
}


class _ServerAway(Exception):  # noqa: N818 - it says what happened
    """The server does not answer: each further artifact would wait for it in vain."""


def show_night(night: Night, key: str) -> None:
    """Show all of a run.

    Args:
        night: the run.
        key: of the report below the data root.
    """
    with suppress(_ServerAway):
        _show_all(night, key)


def _show_all(night: Night, key: str) -> None:
    name = night.pipeline
    link = find_link(key)
    _try(
        create_markdown_artifact,
        f"{name}-forecast",
        lambda: "\n\n".join(_write_card(night, link)),
        markdown=lambda: "\n".join(_write_page(night, link)),
    )
    _try(create_markdown_artifact, f"{name}-verdict", night.verdict, markdown=_write_head(night))
    if night.decision:
        _try(
            create_markdown_artifact,
            f"{name}-decision",
            night.decision,
            markdown=f"# {_name_decision(night)}\n\n{night.decision}",
        )
    _try(
        create_markdown_artifact,
        f"{name}-pictures",
        "Best, median and worst series of the backtest, and the live skill",
        markdown=lambda: "\n\n".join(list_pictures(night)),
    )
    for part, rows in _list_tables(night).items():
        _try(create_table_artifact, f"{name}-{part}", TABLES[part], table=rows)
    if night.quality and any((s.step, s.outcome) == JUDGED_BEFORE for s in night.steps):
        _show_quality(night.quality, name)
    if link:
        _try(
            create_link_artifact,
            f"{name}-report",
            "The whole report, one HTML page",
            link=link,
            link_text=f"Report of {night.pipeline} as of {night.as_of:%Y-%m-%d %H:%M} UTC",
        )


def show_quality(verdict: Verdict, pipeline: str) -> None:
    """Show what each rule found, those not passed first."""
    with suppress(_ServerAway):
        _show_quality(verdict, pipeline)


def _show_quality(verdict: Verdict, pipeline: str) -> None:
    rows = [
        {
            "rule": rule.rule,
            "outcome": rule.outcome,
            "severity": rule.severity,
            "found": rule.found,
            "bad": rule.bad,
            "of": rule.total,
            "examples": ", ".join(rule.examples),
        }
        for rule in (*verdict.stops, *verdict.failed, *verdict.passed)
    ]
    says = f"{len(verdict.passed)} of {len(rows)} rules passed on table {verdict.table}"
    _try(create_table_artifact, f"{pipeline}-quality", says, table=rows)


def find_link(key: str) -> str | None:
    """Return the address of a report, None where nobody serves reports."""
    base = os.environ.get(REPORTS_VARIABLE)
    return f"{base.rstrip('/')}/{key}" if base else None


def _try(
    create: Callable[..., Any],
    key: str,
    says: str | Callable[[], str],
    **content: str | list[Any] | Callable[[], str],
) -> None:
    """Create one artifact; content that costs drawing is made here, where it may fail."""
    try:
        given = {"description": says, **content}
        made = {name: value() if callable(value) else value for name, value in given.items()}
        if all(made.values()):
            create(key=key, **made)
    except TransportError as error:
        get_run_logger().warning("nothing more is shown, the server does not answer: %s", error)
        raise _ServerAway from error
    except Exception as error:  # noqa: BLE001 - the picture is not the run
        get_run_logger().warning("the artifact %s is not shown: %s", key, error)


def _write_head(night: Night) -> str:
    lines = [f"# {night.verdict}", "", *(f"- {note}" for note in night.notes), ""]
    return "\n".join([*lines, *(f"- **{what}**: `{at}`" for what, at in night.places.items())])


def _write_card(night: Night, link: str | None) -> Iterator[str]:
    """Yield what the card on a run's page shows: the UI draws a description as Markdown."""
    yield night.verdict
    best = next((name for name in SERVING if name in night.scores), "")
    for metric in list_metrics(night.scores)[:2] if best else ():
        mine, base = (
            format_figure(night.scores.get(n, {}).get(metric)) for n in (best, "baseline")
        )
        yield f"{name_metric(metric)} {mine}, baseline {base}"
    yield from list_fans(night.forecast_fans[:1])
    if link:
        yield f"[Open the whole report]({link})"


def _write_page(night: Night, link: str | None) -> Iterator[str]:
    """Yield the lines of the one artifact that has everything one looks for first."""
    yield f"# {night.verdict}\n"
    yield from (f"- {note}" for note in night.notes)
    if link:
        yield f"\n[Open the whole report]({link})\n"
    if night.forecast_fans:
        yield "\n## Forecast\n"
        yield from (f"{line}\n" for line in list_fans(night.forecast_fans))
    if night.forecast_head:
        shared, columns, rows = split_forecast_head(night.forecast_head)
        yield from _tabulate(columns, rows)
        yield "\nFirst rows" + "".join(f", {name} {value}" for name, value in shared.items())
    if night.scores:
        names = order_candidates(night.scores)
        yield "\n## Scores\n"
        yield from _tabulate(
            ("metric", *names),
            [
                [name_metric(m), *(format_figure(night.scores[n].get(m)) for n in names)]
                for m in list_metrics(night.scores)
            ],
        )
        yield "\nErrors: lower is better.\n"
    yield "\n## Where the files are\n"
    yield from (f"- **{what}**: `{at}`" for what, at in night.places.items())


def _tabulate(columns: tuple[str, ...], rows: list[list[str]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield _join(columns)
    yield _join(["---"] * len(columns))
    yield from (_join(row) for row in rows)


def _join(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _name_decision(night: Night) -> str:
    return "The champion was replaced" if night.promoted else "The champion was kept"


def _list_tables(night: Night) -> dict[str, list[dict[str, Any]]]:
    ledger = [
        {"file": f.file, **f.ledger.model_dump(exclude_defaults=True)}
        for f in night.files[:LEDGER_FILES]
    ]
    if night.ledger:
        ledger.append({"file": "total", **night.ledger.model_dump(exclude_defaults=True)})
    return {
        "scores": [
            {"candidate": name, "which": night.labels.get(name, ""), **row}
            for name, row in night.scores.items()
        ],
        "test": [one.model_dump(exclude={"groups"}) for one in night.compared],
        "live": [
            {"metric": p.metric, "live": p.live, "baseline": p.baseline, "promised": p.promised}
            for p in night.promises
        ],
        "drift": [one.model_dump() for one in night.drift],
        "ledger": ledger,
    }

"""Plots of a run: SVG for the report's page, PNG for Prefect's artifacts.

The same input gives the same bytes. The SVG takes its colours from the page's CSS variables, so
that it follows the reader's light or dark mode, and falls back to the light ones elsewhere.
"""

from __future__ import annotations

import hashlib
import html
import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Final

from seqmodel.reporting.night import Fan
from seqmodel.reporting.wording import format_figure, format_moment, order_candidates

COLOURS: Final = {
    "ink": "#1f2328",
    "mute": "#5b6472",
    "grid": "#dadee4",
    "blue": "#0b66b2",
    "green": "#0b8a66",
    "orange": "#b65c00",
    "pink": "#a8457f",
}
# Told apart by dash and marker too: colour is never the only sign.
LINES: Final = {
    "challenger": {"color": COLOURS["blue"], "linestyle": "-", "marker": "o"},
    "champion": {"color": COLOURS["green"], "linestyle": "-.", "marker": "s"},
    "baseline": {"color": COLOURS["orange"], "linestyle": "--", "marker": "^"},
}
OTHER_LINE: Final = {"color": COLOURS["pink"], "linestyle": ":", "marker": "D"}
STYLE: Final = {
    "axes.edgecolor": COLOURS["mute"],
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": COLOURS["mute"],
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": ["DejaVu Sans"],  # comes with matplotlib: no text depends on the machine
    "font.size": 9,
    "grid.color": COLOURS["grid"],
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.labelcolor": COLOURS["ink"],
    "lines.linewidth": 1.4,
    "lines.markersize": 3,
    "svg.fonttype": "none",
    "text.color": COLOURS["mute"],
    "xtick.color": COLOURS["mute"],
    "ytick.color": COLOURS["mute"],
}
SIZE: Final = (4.2, 2.7)  # inches; the page of a phone shows the letters at about this size
PNG_DPI: Final = 130
PNG_COLOURS: Final = 64  # a palette makes the file a third as large
FEW: Final = 48  # points up to which each gets a marker
FEW_STEPS: Final = 12  # the same in a fan, where four lines cross
PAST: Final = 2  # horizons of history shown: more would squeeze the forecast
PAST_AT_LEAST: Final = 24  # (steps)

# matplotlib's settings are the process's: two threads that draw must not see each other's.
_DRAWING = Lock()


def draw_fan(fan: Fan) -> str:
    """Draw one series: its past, its forecast with intervals, and what came.

    Args:
        fan: quantile -> H values, beside the history and maybe the actuals.

    Returns:
        An `<svg>` element that says in words what it shows.
    """
    with styled(fan.model_dump_json()) as figure:
        _plot_fan(figure, fan)
        return encode_svg(figure, describe_fan(fan))


def draw_fan_png(fan: Fan) -> bytes:
    """Draw the same as `draw_fan` on a white card, small enough for a Prefect artifact."""
    with styled("png") as figure:
        _plot_fan(figure, fan)
        legend = figure.legends[0]
        legend.get_title().set_parse_math(False)
        legend.set_title(f"{fan.series_id[:40]} ({fan.label})", prop={"size": 9.5})
        return encode_png(figure)


def draw_error_by_step(by_step: dict[str, tuple[float, ...]], labels: dict[str, str]) -> str:
    """Draw how the error grows with the distance from the cutoff.

    Args:
        by_step: candidate -> MAE at steps 1..H.
        labels: candidate -> what to call it.

    Returns:
        An `<svg>` element.
    """
    with styled(repr((by_step, labels))) as figure:
        axes = figure.add_subplot()
        said = []
        for name in order_candidates(by_step):
            errors = _blank(by_step[name])  # (H,)
            line = dict(LINES.get(name, OTHER_LINE))
            if len(errors) > FEW:
                line.pop("marker")
            title = f"{name}: {labels[name]}" if name in labels else name
            axes.plot(range(1, len(errors) + 1), errors, label=title, **line)
            if errors:
                ends = " to ".join(format_figure(e) for e in (errors[0], errors[-1]))
                said.append(f"{title} from {ends} at step {len(errors)}")
        axes.set_xlabel("step of the horizon (steps after the cutoff)")
        axes.set_ylabel("MAE (target's unit)")
        axes.set_ylim(bottom=0)
        _count_whole(axes)
        place_legend(figure, columns=1)
        return encode_svg(figure, f"Mean absolute error by step: {'; '.join(said)}.")


def draw_training(history: tuple[tuple[float, float], ...], best_epoch: int | None) -> str:
    """Draw the losses of each epoch, and which epoch's weights were kept.

    Args:
        history: (loss, holdout loss) an epoch.
        best_epoch: epoch kept, from 1.

    Returns:
        An `<svg>` element.
    """
    with styled(repr((history, best_epoch))) as figure:
        axes = figure.add_subplot()
        epochs = range(1, len(history) + 1)
        mark = len(history) <= FEW
        for column, (title, name) in enumerate(
            (("training loss", "baseline"), ("holdout loss", "challenger"))
        ):
            losses = _blank([pair[column] for pair in history])
            line = {**LINES[name], "marker": LINES[name]["marker"] if mark else ""}
            axes.plot(epochs, losses, label=title, **line)
        said = f"Training and holdout loss over {len(history)} epochs"
        if best_epoch:
            axes.axvline(best_epoch, color=COLOURS["mute"], linestyle=":", label="weights kept")
            said += f"; the weights of epoch {best_epoch} were kept"
        axes.set_xlabel("epoch (passes over the training windows)")
        axes.set_ylabel("loss")
        _count_whole(axes)
        place_legend(figure, columns=3)
        return encode_svg(figure, f"{said}.")


def describe_fan(fan: Fan) -> str:
    """Say in one sentence what the plot of a fan shows."""
    said = f"Forecast of series {fan.series_id} ({fan.label}), {len(fan.forecast_at)} steps"
    if fan.forecast_at:
        said += f" from {format_moment(fan.forecast_at[0])} to {format_moment(fan.forecast_at[-1])}"
    shown = {"median": fan.quantiles.get("0.5", ()), "observed": fan.actual}
    for name, values in shown.items():
        known = [v for v in _blank(values) if not math.isnan(v)]
        if known:
            said += f"; {name} between {format_figure(min(known))} and {format_figure(max(known))}"
    return f"{said}." if fan.score is None else f"{said}; MASE {format_figure(fan.score)}."


def _plot_fan(figure: Any, fan: Fan) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    axes = figure.add_subplot()
    future = _to_utc(fan.forecast_at)
    shown = max(PAST * len(future), PAST_AT_LEAST)
    past = _to_utc(fan.history_at)[-shown:]
    few = "." if len(future) <= FEW_STEPS else ""
    observed = _blank(fan.history)[-shown:] + _blank(fan.actual)
    axes.plot(
        [*past, *future][: len(observed)], observed, color=COLOURS["ink"], label="observed",
        linewidth=1.1, marker="." if len(observed) == 1 else "",
    )  # fmt: skip
    levels = sorted(fan.quantiles, key=float)
    bands = zip(levels[: len(levels) // 2], reversed(levels), strict=False)
    for inner, (low, high) in enumerate(bands):
        axes.fill_between(
            future, _blank(fan.quantiles[low]), _blank(fan.quantiles[high]),
            color=COLOURS["blue"], alpha=min(0.22 + 0.12 * inner, 0.6), linewidth=1.5,
            label=f"{100 * (float(high) - float(low)):.3g} % interval",
        )  # fmt: skip
    if len(levels) % 2:
        middle = levels[len(levels) // 2]
        title = "median" if float(middle) == 0.5 else f"quantile {middle}"  # noqa: PLR2004
        values = _blank(fan.quantiles[middle])
        axes.plot(future, values, color=COLOURS["blue"], marker=few, label=title)
    if fan.baseline:
        baseline = _blank(fan.baseline)
        line = {**LINES["baseline"], "marker": few, "linewidth": 1.1}
        axes.plot(future[: len(baseline)], baseline, label="baseline", **line)
    if past:
        axes.axvline(past[-1], color=COLOURS["mute"], linestyle=":", linewidth=1, label="cutoff")
    if past or future:
        dates = AutoDateLocator(tz=UTC, minticks=3, maxticks=6)
        axes.xaxis.set_major_locator(dates)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(dates, tz=UTC))
    axes.set_xlabel("time (UTC)")
    axes.set_ylabel("target")
    axes.margins(x=0.01)
    place_legend(figure, columns=4 if len(axes.get_legend_handles_labels()[1]) == 4 else 3)  # noqa: PLR2004


def place_legend(figure: Any, columns: int) -> None:
    """Put the legend above the axes, where it hides no line."""
    legend = figure.legend(
        loc="outside upper left",
        ncols=columns,
        handlelength=1.6,
        columnspacing=0.9,
        fontsize=8.5,
        alignment="left",
    )
    for text in legend.get_texts():
        text.set_parse_math(False)  # a `$` in a label is a dollar


def _count_whole(axes: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _blank(values: Sequence[float | None]) -> list[float]:
    """Turn whatever is no figure into a gap of the line."""
    return [math.nan if v is None or not math.isfinite(v) else v for v in values]


def _to_utc(moments: Sequence[datetime]) -> list[datetime]:
    return [m.replace(tzinfo=UTC) if m.tzinfo is None else m.astimezone(UTC) for m in moments]


@contextmanager
def styled(salt: str) -> Iterator[Any]:
    """Lend an empty figure under this module's style; ids inside depend on the content alone."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    digest = hashlib.sha256(salt.encode()).hexdigest()
    with _DRAWING, rc_context({**STYLE, "svg.hashsalt": digest}):
        yield Figure(figsize=SIZE, layout="constrained")


def encode_png(figure: Any) -> bytes:
    """Write the figure on a white card, with few colours."""
    from PIL import Image  # matplotlib needs it too

    figure.set_facecolor("white")
    file, small = io.BytesIO(), io.BytesIO()
    figure.savefig(file, format="png", dpi=PNG_DPI)
    Image.open(file).convert("RGB").quantize(PNG_COLOURS).save(small, "png", optimize=True)
    return small.getvalue()


def encode_svg(figure: Any, says: str) -> str:
    """Write the figure as an element of a page: no prolog, no global style, no clashing ids."""
    file = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :].replace("xlink:href", "href")
    svg = re.sub(r' xmlns:xlink="[^"]*"| version="[^"]*"', "", svg, count=2)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = svg.replace("'DejaVu Sans'", "system-ui, sans-serif")
    for name, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{name}, {colour})")
    said = f'<svg role="img" aria-label="{html.escape(says)}"'
    return re.sub(r"\n\s*", "\n", svg).replace("<svg", said, 1).strip()

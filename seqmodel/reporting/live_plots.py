"""Plots over the nights: how much better than the baseline, and how often the interval was met."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from itertools import pairwise
from typing import Any

from seqmodel.reporting.night import LiveNight
from seqmodel.reporting.plots import COLOURS, LINES, encode_png, encode_svg, place_legend, styled
from seqmodel.reporting.wording import format_figure, format_moment, name_metric

#: Nights up to which each gets a marker.
FEW = 48
PERCENT = 100


def draw_skill(nights: Sequence[LiveNight], metric: str) -> str:
    """Draw the live skill of each night.

    Args:
        nights: in order of time.
        metric: error that is compared.

    Returns:
        An `<svg>` element.
    """
    with styled(repr((nights, metric))) as figure:
        return encode_svg(figure, _plot_skill(figure, nights, metric))


def draw_skill_png(nights: Sequence[LiveNight], metric: str) -> bytes:
    """Draw the same on a white card, small enough for a Prefect artifact."""
    with styled("png") as figure:
        _plot_skill(figure, nights, metric)
        return encode_png(figure)


def draw_coverage(nights: Sequence[LiveNight], nominal: float | None) -> str:
    """Draw the share of targets inside the interval of each night's forecast.

    Args:
        nights: in order of time.
        nominal: share that is due.

    Returns:
        An `<svg>` element.
    """
    with styled(repr((nights, nominal))) as figure:
        axes = figure.add_subplot()
        shown = [n for n in nights if n.coverage is not None]
        _plot(axes, shown, [PERCENT * n.coverage for n in shown if n.coverage is not None], "live")
        due = ""
        if nominal is not None:
            line = {**LINES["baseline"], "marker": ""}
            axes.axhline(PERCENT * nominal, label="due", **line)
            due = f"; {nominal:.0%} are due"
        axes.set_ylabel("targets inside the interval (%)")
        axes.set_ylim(0, PERCENT)
        place_legend(figure, columns=2)
        values = ", ".join(f"{n.coverage:.0%}" for n in shown[-3:])
        return encode_svg(figure, f"Coverage over {len(shown)} nights, newest {values}{due}.")


def _plot_skill(figure: Any, nights: Sequence[LiveNight], metric: str) -> str:
    """Draw, and say in words what is shown."""
    axes = figure.add_subplot()
    shown = [n for n in nights if n.skill is not None]
    values = [PERCENT * n.skill for n in shown if n.skill is not None]
    _plot(axes, shown, values, f"{name_metric(metric)} below the baseline's")
    axes.axhline(0, label="as good as the baseline", **{**LINES["baseline"], "marker": ""})
    new = [b for a, b in pairwise(shown) if a.version != b.version]
    for one in new:
        axes.axvline(
            one.cutoff.astimezone(UTC), color=COLOURS["mute"], linestyle=":", linewidth=1,
            label="another version" if one is new[0] else None,
        )  # fmt: skip
    axes.set_ylabel("live skill (%)")
    place_legend(figure, columns=1)
    said = f"Live {name_metric(metric)} against the baseline's over {len(shown)} nights"
    if values:
        lowest, highest = (format_figure(v) for v in (min(values), max(values)))
        until = format_moment(shown[-1].cutoff)
        said += f" until {until}: {lowest} to {highest} % better, newest {values[-1]:.1f} %"
    return f"{said}; {len(new)} changes of version."


def _plot(axes: Any, nights: Sequence[LiveNight], values: list[float], label: str) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    line = dict(LINES["challenger"])
    if len(nights) > FEW:
        line["marker"] = ""
    axes.plot([n.cutoff.astimezone(UTC) for n in nights], values, label=label, **line)
    dates = AutoDateLocator(tz=UTC, minticks=2, maxticks=6)
    axes.xaxis.set_major_locator(dates)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(dates, tz=UTC))
    axes.set_xlabel("cutoff of the forecast (UTC)")

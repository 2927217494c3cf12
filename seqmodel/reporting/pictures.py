"""Pictures for Prefect's page of a run: Markdown with PNG inside, about 20 KB each.

A run's page loads all of them at once, so they are few: best, median and worst series of the
backtest, the first ones of the forecast, and the live skill over the nights.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator

from seqmodel.reporting.live_plots import draw_skill_png
from seqmodel.reporting.night import Fan, Night
from seqmodel.reporting.plots import describe_fan, draw_fan_png

#: Nights from which on a course can be seen.
SEVERAL = 2


def list_pictures(night: Night) -> Iterator[str]:
    """Yield each picture of a run as a line of Markdown."""
    if night.live_metric and sum(one.skill is not None for one in night.live) >= SEVERAL:
        picture = draw_skill_png(night.live, night.live_metric)
        yield _embed("Live skill against the baseline over the nights", picture)
    yield from list_fans(night.backtest_fans)


def list_fans(fans: Iterable[Fan]) -> Iterator[str]:
    """Yield each fan as a line of Markdown."""
    for fan in fans:
        yield _embed(describe_fan(fan), draw_fan_png(fan))


def _embed(says: str, picture: bytes) -> str:
    plain = says.translate(str.maketrans("", "", "[]\n"))
    return f"![{plain}](data:image/png;base64,{b64encode(picture).decode()})"

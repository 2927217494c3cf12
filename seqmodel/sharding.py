"""A plan of shards: neighbouring ids, about equally many rows, from the row groups' statistics.

row groups   |a..c|c..c|c..f|f..h|h..k|k..m|     sorted by id, each with its least and greatest
shards       |  0: ids < f       |  1: f ..      |     a shard begins where a row group does

A series that crosses a border belongs to the shard that begins with it, which then reads the row
group before as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from seqmodel.store.parts import Piece, Shard

#: Rows in a shard by default.
ROWS = 1 << 21
#: Shards of a plan at most: each is a task, and a run with thousands of tasks is slow to look at.
MOST = 500


@final
@dataclass(frozen=True)
class RowGroup:
    """A row group of a table, by what its file says of it.

    Attributes:
        part: name of the file.
        number: of the group in the file.
        rows: (rows).
        least: first series id; None where the file does not say.
        greatest: last series id; None where the file does not say.
        newest: last timestamp (microseconds UTC); None where the file does not say.
        oldest: first timestamp (microseconds UTC); None where the file does not say.
    """

    part: str
    number: int
    rows: int
    least: str | None
    greatest: str | None
    newest: int | None
    oldest: int | None


def plan_shards(groups: Sequence[RowGroup], count: int | None = None) -> tuple[Shard, ...]:
    """Cut a table into shards.

    Args:
        groups: its row groups, in order.
        count: shards wanted; by default one for every `ROWS` rows begun.

    Returns:
        One at least, at most as many as are wanted: where a series is longer than a shard, fewer.
    """
    total = sum(group.rows for group in groups)
    wanted = min(count or -(-total // ROWS), MOST)
    known = [g for g in groups if g.least is not None and g.greatest is not None]
    borders: list[str] = []
    before = 0
    for group in known if len(known) == len(groups) else ():
        least = group.least or ""
        passed = before * wanted >= (len(borders) + 1) * total
        if passed and least > (borders[-1] if borders else known[0].least or ""):
            borders.append(least)
        before += group.rows
    ends = [*borders, None]
    starts = [None, *borders]
    return tuple(
        Shard(number=n, of=len(ends), start=start, end=end, pieces=_choose(groups, start, end))
        for n, (start, end) in enumerate(zip(starts, ends, strict=True))
    )


def _choose(groups: Sequence[RowGroup], start: str | None, end: str | None) -> tuple[Piece, ...]:
    """Return the row groups that hold rows of the ids `start <= id < end`, file by file."""
    found: dict[str, list[int]] = {}
    for group in groups:
        early = start is not None and (group.greatest or "") < start
        late = end is not None and (group.least or "") >= end
        if not early and not late:
            found.setdefault(group.part, []).append(group.number)
    return tuple(
        Piece(part=part, first=numbers[0], last=numbers[-1]) for part, numbers in found.items()
    )

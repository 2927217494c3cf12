"""What crosses the borders between tasks while a forecast is made in parts.

As `seqmodel.store.refs`, this module stays where it is: Prefect stores its name with each result.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from seqmodel.store.ref import Ref

#: Series named beside the count of those that failed.
FAILED_SHOWN = 5


class Piece(Ref):
    """Neighbouring row groups of one file of a table.

    Attributes:
        part: name of the file.
        first: number of the first row group.
        last: number of the last one.
    """

    part: str
    first: int
    last: int


class Shard(Ref):
    """A stretch of a table's series, forecast apart from the others.

    Attributes:
        number: from 0.
        of: how many shards the table is cut into.
        start: first series id; None from the first one on.
        end: series id before which it ends; None for the last shard.
        pieces: the row groups that hold its rows.
    """

    number: int
    of: int
    start: str | None
    end: str | None
    pieces: tuple[Piece, ...]


class Counts(Ref):
    """Series that were not forecast by the model, and why.

    Attributes:
        stale: ended too long before the cutoff: skipped.
        short: with too little history: skipped.
        failed: reason -> series whose forecast was not sane: they have the baseline's.
        failed_ids: the first of them.
    """

    stale: int = 0
    short: int = 0
    failed: dict[str, int] = Field(default_factory=dict)
    failed_ids: tuple[str, ...] = ()

    def __add__(self, other: Counts) -> Counts:
        reasons = sorted({*self.failed, *other.failed})
        return Counts(
            stale=self.stale + other.stale,
            short=self.short + other.short,
            failed={r: self.failed.get(r, 0) + other.failed.get(r, 0) for r in reasons},
            failed_ids=(*self.failed_ids, *other.failed_ids)[:FAILED_SHOWN],
        )

    @property
    def fallen_back(self) -> int:
        """Series that have the baseline's forecast."""
        return sum(self.failed.values())


class StagedRef(Ref):
    """What a shard leaves for the step that joins it with the others.

    Attributes:
        key: of the file.
        digest: sha256 of the file.
    """

    key: str
    digest: str

    def needs(self) -> tuple[str, ...]:
        """See `Ref.needs`."""
        return (self.key,) if self.key else ()


class MeasuredRef(StagedRef):
    """The figures of a shard's series, staged until the table is judged; without key not to be had.

    Attributes:
        table: key of the table, which stands for it once it is published.
    """

    table: str

    def became(self) -> str | None:
        """See `Ref.became`."""
        return self.table


class PredictionsRef(StagedRef):
    """What the versions of a backtest say of one shard's windows: staged until they are scored.

    Attributes:
        windows: windows predicted.
        scores: key of the scores, which stand for it once they are there.
        start: first series id; None from the first one on.
        end: series id before which the shard ends; None for the last one.
    """

    windows: int
    scores: str
    start: str | None
    end: str | None

    def became(self) -> str | None:
        """See `Ref.became`."""
        return self.scores


class PartRef(Ref):
    """The forecast of one shard: staged until all are there, then published with them.

    Attributes:
        key: of the file, where it will lie once published.
        number: of the shard.
        digest: sha256 of the file.
        rows: forecast rows.
        series: series forecast.
        seen: series of the shard with a row among the newest.
        first: first series id, None without any.
        last: last series id.
        counts: what was not forecast by the model.
        head: the first rows, for a person to see.
    """

    key: str
    number: int
    digest: str
    rows: int
    series: int
    seen: int
    first: str | None
    last: str | None
    counts: Counts = Counts()
    head: tuple[dict[str, Any], ...] = ()

    def needs(self) -> tuple[str, ...]:
        """See `Ref.needs`."""
        return (self.key,)

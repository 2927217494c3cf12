"""What the watch of a night found, as it crosses the borders between tasks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from seqmodel.store.ref import Ref

Action = Literal["baseline", "roll_back", "retrain", "note", "none"]


class WatchRef(Ref):
    """Live accuracy and drift of one night.

    Attributes:
        key: `monitor.json`.
        version: the version that serves, None for the baseline.
        scored: forecasts scored tonight.
        worse: newest days in a row on which the live error was above the baseline's.
        live: metric -> figure of the version's last forecasts.
        baseline: the same of the baseline at the same cutoffs.
        promised: the same of the version's last backtest.
        drifted: columns that have moved, each with its figures.
        action: what follows.
        reasons: why, one sentence each.
        notes: what could not be looked at.
    """

    key: str
    version: str | None
    scored: tuple[str, ...] = ()
    worse: int = 0
    live: dict[str, float] = Field(default_factory=dict)
    baseline: dict[str, float] = Field(default_factory=dict)
    promised: dict[str, float] = Field(default_factory=dict)
    drifted: tuple[str, ...] = ()
    action: Action = "none"
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def needs(self) -> tuple[str, ...]:
        """See `Ref.needs`."""
        return (self.key,)

"""What was tried in a tuning, and what is best."""

from __future__ import annotations

from typing import Any, Literal

from seqmodel.store.ref import Ref


class TrialRef(Ref):
    """One setting and what came of it.

    Attributes:
        number: counted from 1, in the order in which they were begun.
        knobs: dotted path -> value.
        state: how it ended.
        score: lower is better; of a pruned trial, that of its last epoch; None of a failed one.
        seconds: wall time of the trial.
        reason: why it failed.
    """

    number: int
    knobs: dict[str, Any]
    state: Literal["finished", "pruned", "failed"]
    score: float | None
    seconds: float
    reason: str = ""

    def show(self) -> str:
        """Return the knobs as one line."""
        shown = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in self.knobs.items()}
        return ", ".join(f"{knob} {value}" for knob, value in shown.items())


class TuningRef(Ref):
    """A study and its winner.

    Attributes:
        key: `winner.yaml`.
        trials: all, in order.
        winner: number of the best.
        before: score of the spec as it was, None if that was not tried to its end.
    """

    key: str
    trials: tuple[TrialRef, ...]
    winner: int
    before: float | None

    def needs(self) -> tuple[str, ...]:
        """See `Ref.needs`."""
        return (self.key,)

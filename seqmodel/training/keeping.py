"""The state of a training between two steps, kept so that a killed one goes on where it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.store.checkpoints import read_checkpoint, remove_checkpoint, write_checkpoint
from seqmodel.store.store import Store

#: Time between two checkpoints (seconds): what a kill may cost.
KEEP_EVERY = 15.0
FIGURES = ("epoch", "position", "loss", "history", "held", "begun", "best_epoch", "seconds")


@final
@dataclass
class State:
    """Where the loop is.

    Attributes:
        epoch: counted from 1.
        position: batches of it that are done.
        loss: sum of their losses.
        history: (training loss, holdout loss) of the epochs before.
        held: lowest holdout loss so far.
        begun: that of the weights begun with, None from scratch.
        best_epoch: whose it was, 0 before the first.
        best: its weights.
        seconds: time taken so far.
    """

    epoch: int = 1
    position: int = 0
    loss: float = 0.0
    history: list[tuple[float, float]] = field(default_factory=list)
    held: float = float("inf")
    begun: float | None = None
    best_epoch: int = 0
    best: list[NDArray[Any]] = field(default_factory=list)
    seconds: float = 0.0


@final
@dataclass(frozen=True)
class Keeper:
    """Writes and reads the checkpoint of one version in the making.

    Attributes:
        store: the data root.
        key: of the checkpoint.
        every: time between two of them (seconds).
    """

    store: Store
    key: str
    every: float = KEEP_EVERY

    @property
    def place(self) -> str:
        """Where the checkpoint lies."""
        return str(self.store.path(self.key))

    def keep(self, variables: list[Any], state: State) -> None:
        """Write everything that changes in training."""
        from keras import ops

        arrays = [np.asarray(ops.convert_to_numpy(variable)) for variable in variables]
        figures = {name: getattr(state, name) for name in FIGURES}
        write_checkpoint(self.store, self.key, [*arrays, *state.best], figures)

    def restore(self, variables: list[Any]) -> State | None:
        """Set the variables to what was kept; None where nothing that fits was."""
        kept = read_checkpoint(self.store, self.key)
        if kept is None:
            return None
        arrays, figures = kept
        learned, best = arrays[: len(variables)], arrays[len(variables) :]
        shapes = [tuple(variable.shape) for variable in variables]
        if [array.shape for array in learned] != shapes or set(figures) != set(FIGURES):
            return None
        for variable, array in zip(variables, learned, strict=True):
            variable.assign(array)
        figures["history"] = [(loss, held) for loss, held in figures["history"]]
        return State(**figures, best=best)

    def forget(self) -> None:
        """Remove the checkpoint: the version is stored."""
        remove_checkpoint(self.store, self.key)

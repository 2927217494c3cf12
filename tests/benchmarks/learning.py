"""What both accuracy benchmarks do with windows: train in this process, resumable, and tell."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

from seqmodel.errors import SeqmodelError
from seqmodel.panel import Panel
from seqmodel.specs import Member, PipelineSpec
from seqmodel.store.checkpoints import checkpoint_key
from seqmodel.store.fingerprints import SHORT, digest_code, digest_value
from seqmodel.store.store import Store
from seqmodel.windowing import StoredWindows

if TYPE_CHECKING:  # its import takes Keras along
    from seqmodel.predictors import Predictor

#: Time between two lines of progress (seconds).
SAY_EVERY = 5.0


def name_training(spec: PipelineSpec, *more: Any) -> str:
    """Return a name for what a training depends on: spec, data, code of library and programs."""
    known = [spec.model_dump(mode="json"), digest_code("seqmodel", "tests.benchmarks"), *more]
    return digest_value(known)[:SHORT]


@final
class Training:
    """What a spec asks for, trained in this process: one network, or each of an ensemble.

    A training that was killed is taken up where it stood.

    Args:
        spec: the pipeline.
        store: where checkpoints lie.
        name: of the training.

    Attributes:
        seconds: of training, all networks together, what a killed process had taken included.
        parameters: of all networks.
        epochs: (best, trained) of each network.
    """

    def __init__(self, spec: PipelineSpec, store: Store, name: str) -> None:
        self.spec, self.store, self.name = spec, store, name
        self.seconds, self.parameters = 0.0, 0
        self.epochs: list[tuple[int, int]] = []
        self._keepers: list[Any] = []

    def run(
        self,
        panel: Panel,
        cut: Callable[[Panel, PipelineSpec], StoredWindows],
        tell: Callable[[dict[str, Any]], None],
    ) -> Predictor:
        """Train on the windows that `cut` lists.

        Args:
            panel: all rows.
            cut: encodes them for a member's spec and lists its windows.
            tell: gets the progress.
        """
        from seqmodel.training import fit_ensemble

        return fit_ensemble(panel, self.spec, tell, cut, self._keep, self._note)

    def forget(self) -> None:
        """Remove the checkpoints: the result is written."""
        for keeper in self._keepers:
            keeper.forget()

    def _keep(self, member: Member) -> Any:
        from seqmodel.training.keeping import Keeper

        number = len(self._keepers)
        key = checkpoint_key(member.spec.name, f"{self.name}-{number}")
        self._keepers.append(Keeper(self.store, key))
        return self._keepers[-1]

    def _note(self, member: Member, fitted: Any) -> None:
        del member
        self.seconds += fitted.seconds
        self.parameters += int(fitted.model.count_params())
        self.epochs.append((fitted.best_epoch, len(fitted.history)))


@final
class Teller:
    """Writes progress to standard error, a line each few seconds.

    Args:
        title: what is trained.
    """

    def __init__(self, title: str) -> None:
        self.title, self.told = title, float("-inf")

    def __call__(self, figures: dict[str, Any]) -> None:
        """Say how far it is."""
        now = time.monotonic()
        if now - self.told < SAY_EVERY:
            return
        self.told = now
        if "words" in figures:
            words = figures["words"]
        else:
            words = (
                "epoch {epoch}/{epochs}, step {step}/{steps}, loss {loss:.4f}, holdout"
                " {holdout:.4f}, {windows_per_s:.0f} windows/s".format(**figures)
            )
        print(f"{self.title}: {words}", file=sys.stderr)


def run_program(program: Callable[[], None]) -> None:
    """Run a program and exit with the code of what it refuses, in one sentence."""
    try:
        program()
    except SeqmodelError as error:
        print(f"seqmodel: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.exit_code)

"""What both accuracy benchmarks do with windows: train in this process, resumable, and tell."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, final

from seqmodel.errors import SeqmodelError
from seqmodel.specs import PipelineSpec
from seqmodel.store.checkpoints import checkpoint_key
from seqmodel.store.fingerprints import SHORT, digest_code, digest_value
from seqmodel.store.store import Store
from seqmodel.windowing import StoredWindows

#: Time between two lines of progress (seconds).
SAY_EVERY = 5.0


def name_training(spec: PipelineSpec, *more: Any) -> str:
    """Return a name for what a training depends on: spec, data, and the library's code."""
    known = [spec.model_dump(mode="json"), digest_code("seqmodel"), *more]
    return digest_value(known)[:SHORT]


def train(
    stored: StoredWindows, spec: PipelineSpec, store: Store, name: str, tell: Callable[..., None]
) -> tuple[Any, Any]:
    """Train on some windows; one that was killed is taken up where it stood.

    Returns:
        What `fit_model` returns, and the keeper, to be told to forget when the result is written.
    """
    from seqmodel.training import fit_model
    from seqmodel.training.keeping import Keeper

    keeper = Keeper(store, checkpoint_key(spec.name, name))
    return fit_model(stored, spec, tell, keeper=keeper), keeper


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

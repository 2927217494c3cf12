"""A training in a process of its own that says each step it keeps: for tests that kill it.

python -m tests.seqmodel.training.train_once ROOT
"""

import hashlib
import sys
from pathlib import Path

from seqmodel.store.store import Store
from seqmodel.training.fitting import fit_model
from seqmodel.training.keeping import Keeper
from tests.seqmodel.small import ignore_progress, make_spec, store_windows

SPEC = make_spec(
    model={"units": 6, "dropout": 0.3},
    train={"epochs": 3, "batch_size": 32, "patience": 3, "windows_per_epoch": 192},
)


class Telling(Keeper):
    """A keeper that prints where the training stands."""

    def keep(self, variables, state):
        super().keep(variables, state)
        print("kept", state.epoch, state.position, flush=True)


def main(root):
    stored = store_windows(root / "windows", SPEC)
    keeper = Telling(Store(root), "small/staging/training/one.npz", every=0.0)
    fitted = fit_model(stored, SPEC, ignore_progress, keeper=keeper)
    digest = hashlib.sha256(b"".join(w.tobytes() for w in fitted.model.get_weights()))
    print("resumed", fitted.resumed, flush=True)
    print("done", fitted.history, fitted.best_epoch, digest.hexdigest(), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""A killed training goes on where it stood, and ends as if nothing had happened.

unbroken  |--- epoch 1 ---|--- epoch 2 ---|--- epoch 3 ---|  weights w
killed    |--- epoch 1 -x |-x - epoch 2 ---|--- epoch 3 ---|  weights w, bit for bit
"""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from seqmodel.store.store import Store
from seqmodel.training.keeping import Keeper, State
from tests.conftest import ROOT

KEY = "small/staging/training/one.npz"
#: One thread: sums are then taken in one order.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "TF_CPP_MIN_LOG_LEVEL": "2",
}


def train(root, *, kill_after=None):
    """Run a training to its end, or until it has kept its state `kill_after` times."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.seqmodel.training.train_once", str(root)],
        cwd=ROOT,
        env={**os.environ, **ONE_THREAD},
        stdout=subprocess.PIPE,
        text=True,
    )
    lines = []
    for line in process.stdout:
        lines.append(line.split(maxsplit=1))
        if kill_after is not None and len(lines) == kill_after:
            process.send_signal(signal.SIGKILL)
            break
    process.stdout.close()
    code = process.wait()
    assert code == (0 if kill_after is None else -signal.SIGKILL), lines
    return lines


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1])
def test_a_training_killed_twice_ends_with_the_weights_of_an_unbroken_one(tmp_path, seed):
    unbroken = train(tmp_path / "unbroken")
    steps = sum(word == "kept" for word, _ in unbroken)
    for kill_after in np.random.default_rng(seed).integers(1, steps // 2, 2):
        train(tmp_path / "killed", kill_after=int(kill_after))
    resumed = train(tmp_path / "killed")

    assert resumed[-1] == unbroken[-1]
    assert ["resumed", "None\n"] in unbroken
    assert ["resumed", "None\n"] not in resumed
    assert sum(word == "kept" for word, _ in resumed) < steps


class Variable:
    def __init__(self, values):
        self.values = np.array(values, dtype=np.float32)
        self.shape = self.values.shape

    def __array__(self, dtype=None, copy=None):
        return self.values

    def assign(self, values):
        self.values = values


def keep_something(root):
    keeper = Keeper(Store(root), KEY)
    state = State(epoch=2, position=3, loss=0.1, history=[(0.2, 0.3)], held=0.3, best_epoch=1)
    state.best = [np.ones(2, dtype=np.float32)]
    keeper.keep([Variable([1, 2]), Variable([[3]])], state)
    return keeper, state


def test_what_was_kept_is_restored_to_the_bit(tmp_path):
    keeper, state = keep_something(tmp_path)
    fresh = [Variable([0, 0]), Variable([[0]])]
    found = keeper.restore(fresh)
    assert fresh[0].values.tolist() == [1, 2]
    assert fresh[1].values.tolist() == [[3]]
    assert found.best[0].tolist() == [1, 1]
    assert (found.epoch, found.position, found.history) == (2, 3, [(0.2, 0.3)])
    assert (found.loss, found.held, found.best_epoch) == (0.1, 0.3, 1)
    assert state.begun is None
    assert found.begun is None


def test_a_state_without_a_best_epoch_survives(tmp_path):
    keeper = Keeper(Store(tmp_path), KEY)
    keeper.keep([Variable([1])], State())
    assert keeper.restore([Variable([0])]).held == float("inf")


def test_a_checkpoint_of_another_network_is_not_taken(tmp_path):
    keeper, _ = keep_something(tmp_path)
    assert keeper.restore([Variable([0, 0, 0]), Variable([[0]])]) is None


@pytest.mark.parametrize("keep", [0, 10, -1])
def test_a_damaged_checkpoint_means_a_fresh_start(tmp_path, keep):
    keeper, _ = keep_something(tmp_path)
    path = Store(tmp_path).path(KEY)
    path.write_bytes(path.read_bytes()[:keep])
    assert keeper.restore([Variable([0, 0]), Variable([[0]])]) is None


def test_a_forgotten_checkpoint_is_gone(tmp_path):
    keeper, _ = keep_something(tmp_path)
    keeper.forget()
    keeper.forget()
    assert keeper.restore([Variable([0, 0]), Variable([[0]])]) is None

"""Several devices at once learn what one learns; two halves of the processor stand for GPUs."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.conftest import ROOT

pytestmark = [
    pytest.mark.long,
    pytest.mark.tensorflow,
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a strategy of TensorFlow"),
]


def test_two_devices_learn_what_one_learns(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.seqmodel.training.mirror", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    one, two = found["cpu"], found["all_gpus"]
    assert (one["replicas"], two["replicas"]) == (1, 2)
    np.testing.assert_allclose(two["history"], one["history"], rtol=1e-3)
    apart = np.abs(np.subtract(two["weights"], one["weights"]))
    # The rows of an embedding, whose gradients come row by row, differ by more than rounding.
    assert np.quantile(apart, 0.99) < 2e-3
    assert apart.max() < 0.03

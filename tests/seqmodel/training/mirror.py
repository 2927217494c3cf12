"""Train on several devices, and on one, in a process of its own; print what both learned.

TensorFlow cuts the processor into two devices only before it is used for the first time.
"""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from seqmodel.training import fit_model, optimising
from tests.seqmodel.small import ignore_progress, make_spec, store_windows

DEVICES = ["CPU:0", "CPU:1"]


def main() -> None:
    """Fit twice, from the same seed."""
    processor = tf.config.list_physical_devices("CPU")[0]
    halves = [tf.config.LogicalDeviceConfiguration() for _ in DEVICES]
    tf.config.set_logical_device_configuration(processor, halves)
    # What stands in for the GPUs; everything else is the product's own.
    optimising.count_gpus = lambda: len(DEVICES)
    tf.distribute.MirroredStrategy = functools.partial(
        tf.distribute.MirroredStrategy, devices=DEVICES
    )
    found = {}
    for device in ("cpu", "all_gpus"):
        train = {"epochs": 2, "batch_size": 32, "windows_per_epoch": 320, "device": device}
        model = {"units": 4, "dropout": 0.0}
        spec = make_spec(train=train, model=model)
        stored = store_windows(Path(sys.argv[1]) / device, spec)
        fitted = fit_model(stored, spec, ignore_progress)
        weights = np.concatenate([np.ravel(w) for w in fitted.model.get_weights()])
        replicas = fitted.model.distribute_strategy.num_replicas_in_sync
        found[device] = {
            "history": fitted.history,
            "weights": weights.tolist(),
            "replicas": replicas,
        }
    sys.stdout.write(f"{json.dumps(found)}\n")


if __name__ == "__main__":
    main()

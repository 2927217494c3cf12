"""Training speed of one recurrent layer, as a share of what the machine multiplies.

    python -m tests.benchmarks.training --kind gru --units 128 --batch 256

The last line is JSON: windows_per_s of our layer in our training step, gflops (those of the layer's
matrix products: three of the forward's, for the step and its two gradients), sgemm_gflops (large
float32 products, the better of numpy's and TensorFlow's), share (gflops / sgemm_gflops),
plain_windows_per_s (the Keras layer in `train_on_batch` with XLA) and faster (ours / plain). All
are medians over rounds; a round measures everything, one after the other, and share and faster are
medians of the rounds' own ratios, so that what slows the machine for a while slows both sides of a
ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

#: Rows and columns of the large product.
SIZE = 2048
PRODUCTS = 4
STEPS = 4
HORIZON = 24
GATES = {"gru": 3, "lstm": 4}


def main() -> None:
    """Measure in rounds and print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=GATES, default="gru")
    parser.add_argument("--units", type=int, default=128)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--lookback", type=int, default=168)
    parser.add_argument("--features", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=0, help="of TensorFlow's pool, 0: all")
    knobs = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    limit_threads(knobs.threads)
    work = {**make_products(), **make_trainings(knobs)}
    for run in work.values():
        run()  # compiles
        run()
    rounds = [{name: time_run(run) for name, run in work.items()} for _ in range(knobs.rounds)]
    seconds = {name: np.array([entry[name] for entry in rounds]) for name in work}
    print(json.dumps(compare_rates(seconds, knobs)))


def limit_threads(threads: int) -> None:
    """Set the size of TensorFlow's pool; numpy's product keeps all cores."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)


def compare_rates(seconds: dict[str, Any], knobs: argparse.Namespace) -> dict[str, float]:
    """Make the figures of the seconds of each round."""
    forward = 2 * knobs.lookback * (knobs.features + knobs.units) * GATES[knobs.kind] * knobs.units
    windows = STEPS * knobs.batch
    gflops = 3 * forward * windows / seconds["ours"] / 1e9
    # The better of the two by its median: the greater of each round would be luck.
    fastest = min(np.median(seconds["numpy"]), np.median(seconds["tensorflow"]))
    name = "numpy" if fastest == np.median(seconds["numpy"]) else "tensorflow"
    sgemm = PRODUCTS * 2 * SIZE**3 / seconds[name] / 1e9
    figures = {
        "windows_per_s": windows / seconds["ours"],
        "gflops": gflops,
        "sgemm_gflops": sgemm,
        "share": gflops / sgemm,
        "plain_windows_per_s": windows / seconds["plain"],
        "faster": seconds["plain"] / seconds["ours"],
    }
    return {name: round(float(np.median(values)), 3) for name, values in figures.items()}


def time_run(run: Callable[[], object]) -> float:
    """Return the seconds of one run."""
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def make_products() -> dict[str, Callable[[], object]]:
    """Return large products by both libraries."""
    import tensorflow as tf

    matrix = np.random.default_rng(0).normal(size=(SIZE, SIZE)).astype("float32")
    out, tensor = np.empty_like(matrix), tf.constant(matrix)
    return {
        "numpy": lambda: [np.matmul(matrix, matrix, out=out) for _ in range(PRODUCTS)],
        "tensorflow": lambda: [tf.matmul(tensor, tensor).numpy() for _ in range(PRODUCTS)],
    }


def make_trainings(knobs: argparse.Namespace) -> dict[str, Callable[[], object]]:
    """Return a few steps of training with our layer and step, and with those of Keras."""
    import keras

    from seqmodel.gathering import Batch
    from seqmodel.models.fast import FastGRU, FastLSTM
    from seqmodel.training.stepping import make_step

    kinds = {
        "gru": {"ours": FastGRU, "plain": keras.layers.GRU},
        "lstm": {"ours": FastLSTM, "plain": keras.layers.LSTM},
    }
    rng = np.random.default_rng(0)
    shape = (knobs.lookback, knobs.features)
    past = rng.normal(size=(knobs.batch, *shape)).astype("float32")
    targets = rng.normal(size=(knobs.batch, HORIZON)).astype("float32")

    weights = np.ones(knobs.batch, "float32")
    batch = Batch({"past": past}, targets, weights, None)

    def make(layer: Any, *, ours: bool) -> Callable[[], object]:
        keras.utils.set_random_seed(0)
        inputs = keras.Input(shape, name="past")
        outputs = keras.layers.Dense(HORIZON)(layer(knobs.units)(inputs))
        model = keras.Model(inputs, outputs)
        model.compile(keras.optimizers.Adam(1e-3, clipnorm=1.0), "mae", jit_compile=True)
        if ours:
            step = make_step(model, compiled=True)
            return lambda: [step(batch.inputs, batch) for _ in range(STEPS)]
        return lambda: [float(model.train_on_batch(past, targets)) for _ in range(STEPS)]

    return {name: make(layer, ours=name == "ours") for name, layer in kinds[knobs.kind].items()}


if __name__ == "__main__":
    main()

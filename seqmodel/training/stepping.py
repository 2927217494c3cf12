"""One training step as a plain function: what is left of Keras's own without its book-keeping.

On TensorFlow the step is one compiled call that returns the loss alone. Keras's `train_on_batch`
sets its metrics to zero by calls of their own, wraps the batch as a dataset would, and turns every
result into numbers by name: 1 to 2 ms a step, as much as a tenth of a small network's. Weights,
optimiser and the seeds of dropout are the same variables, changed in place, by the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from seqmodel.gathering import Batch, Inputs

#: Takes a batch and those of its inputs that the network reads, returns the mean loss.
Step = Callable[[Inputs, Batch], float]


def make_step(model: Any, *, compiled: bool) -> Step:
    """Return the training step of a compiled Keras model.

    Args:
        model: Keras model with optimiser and loss.
        compiled: whether XLA may be used, on one device then.
    """
    if compiled and keras.backend.backend() == "tensorflow":
        return _make_direct_step(model)

    def step(inputs: Inputs, batch: Batch) -> float:
        return float(model.train_on_batch(inputs, batch.targets, sample_weight=batch.weights))

    return step


def _make_direct_step(model: Any) -> Step:
    import tensorflow as tf

    @tf.function(jit_compile=model.jit_compile)  # type: ignore[untyped-decorator]
    def learn(inputs: Any, targets: Any, weights: Any) -> Any:
        optimiser, learned = model.optimizer, model.trainable_weights
        with tf.GradientTape() as tape:
            loss = model.compute_loss(
                x=inputs,
                y=targets,
                y_pred=model(inputs, training=True),
                sample_weight=weights,
                training=True,
            )
            # Half precision learns from a multiple of the loss.
            scaled = optimiser.scale_loss(loss)
        optimiser.apply(tape.gradient(scaled, learned), learned)
        return loss

    def step(inputs: Inputs, batch: Batch) -> float:
        return float(learn(inputs, batch.targets, batch.weights))

    return step

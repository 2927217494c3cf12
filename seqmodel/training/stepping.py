"""One training step as a plain function: what is left of Keras's own without its book-keeping.

On TensorFlow the step is one call that returns the loss alone. Keras's `train_on_batch` sets its
metrics to zero by calls of their own, wraps the batch as a dataset would, and turns every result
into numbers by name: 1 to 2 ms a step, as much as a tenth of a small network's. Weights, optimiser
and the seeds of dropout are the same variables, changed in place, by the same numbers.

On a processor of several cores a batch is cut into equal parts, and each is differentiated by a
program of its own, all at the same time; their means make the step:

batch ──┬── part 0: loss, gradients ──┬── means ── optimiser
        └── part 1: loss, gradients ──┘

Inside one program a second core helps little, or not at all: a small product is over before another
thread has heard of it (tests/benchmarks/README.md).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import keras

from seqmodel.gathering import Batch, Inputs
from seqmodel.models.parts import be_a_part, count_parts

#: Takes a batch and those of its inputs that the network reads, returns the mean loss.
Step = Callable[[Inputs, Batch], float]
#: Keras's name of the state that its random numbers are drawn from.
SEED = "seed_generator_state"


def make_step(model: Any, *, compiled: bool) -> Step:
    """Return the training step of a compiled Keras model.

    Args:
        model: Keras model with optimiser and loss, a mean over its windows.
        compiled: whether XLA may be used, on one device then.
    """
    if compiled and keras.backend.backend() == "tensorflow":
        return _make_direct_step(model)

    def step(inputs: Inputs, batch: Batch) -> float:
        return float(model.train_on_batch(inputs, batch.targets, sample_weight=batch.weights))

    return step


def _make_direct_step(model: Any) -> Step:
    import tensorflow as tf

    most = _count_cores(model)

    @tf.function(jit_compile=model.jit_compile)  # type: ignore[untyped-decorator]
    def learn(inputs: Any, targets: Any, weights: Any) -> Any:
        learned = model.trainable_weights
        with tf.GradientTape() as tape:
            loss, scaled = _measure(model, inputs, targets, weights)
        model.optimizer.apply(tape.gradient(scaled, learned), learned)
        return loss

    together = _make_parted(model) if most > 1 else None

    def step(inputs: Inputs, batch: Batch) -> float:
        parts = count_parts(len(batch.targets), most)
        if together is None or parts == 1:
            return float(learn(inputs, batch.targets, batch.weights))
        return float(together(inputs, batch.targets, batch.weights, parts=parts))

    return step


def _count_cores(model: Any) -> int:
    """Return how many cores may work at one batch, each at a part of its own."""
    import tensorflow as tf

    # What else a network changes as it reads, such as means of batches, is of all windows.
    if any(v.name != SEED for v in model.non_trainable_variables):
        return 1
    if tf.config.list_physical_devices("GPU"):
        return 1
    asked = tf.config.threading.get_intra_op_parallelism_threads()
    return asked or int(os.environ.get("TF_NUM_INTRAOP_THREADS") or 0) or os.cpu_count() or 1


def _measure(model: Any, inputs: Any, targets: Any, weights: Any) -> tuple[Any, Any]:
    """Return the mean loss, and the one that is differentiated."""
    loss = model.compute_loss(
        x=inputs,
        y=targets,
        y_pred=model(inputs, training=True),
        sample_weight=weights,
        training=True,
    )
    # Half precision learns from a multiple of the loss.
    return loss, model.optimizer.scale_loss(loss)


def _make_parted(model: Any) -> Any:
    """Return the step that differentiates the parts of a batch side by side."""
    import tensorflow as tf

    learned, seeds = model.trainable_weights, model.non_trainable_variables

    @tf.function(jit_compile=model.jit_compile)  # type: ignore[untyped-decorator]
    def differentiate(part: Any, inputs: Any, targets: Any, weights: Any) -> Any:
        with tf.GradientTape() as tape:
            values = [(variable, tf.convert_to_tensor(variable.value)) for variable in learned]
            for seed in seeds:
                # Each part draws of its own, the first as the whole batch would.
                begin, drawn = tf.unstack(seed.value)
                values.append((seed, tf.stack([begin + tf.cast(part, seed.dtype), drawn])))
            with keras.StatelessScope(values, collect_losses=True) as scope, be_a_part():
                loss, scaled = _measure(model, inputs, targets, weights)
        gradients = tape.gradient(scaled, [variable.value for variable in learned])
        dense = [g if g is None else tf.convert_to_tensor(g) for g in gradients]
        return loss, dense, [scope.get_current_value(seed) for seed in seeds]

    @tf.function(jit_compile=model.jit_compile)  # type: ignore[untyped-decorator]
    def settle(losses: Any, gradients: Any, after: Any) -> Any:
        means = [
            g[0] if g[0] is None else tf.add_n(g) / len(g) for g in zip(*gradients, strict=True)
        ]
        model.optimizer.apply(means, learned)
        for seed, value in zip(seeds, after, strict=True):
            seed.assign(value)
        return tf.add_n(losses) / len(losses)

    @tf.function  # type: ignore[untyped-decorator]
    def learn(inputs: Any, targets: Any, weights: Any, *, parts: int) -> Any:
        def take(array: Any, part: int) -> Any:
            size = array.shape[0] // parts
            return array[part * size : (part + 1) * size]

        told = []
        for part in range(parts):
            cut = tf.nest.map_structure(lambda a, p=part: take(a, p), (inputs, targets, weights))
            told.append(differentiate(tf.constant(part), *cut))
        losses, gradients, after = zip(*told, strict=True)
        return settle(list(losses), list(gradients), after[0])

    return learn

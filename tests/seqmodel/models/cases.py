"""What the tests of networks share: shapes with every input, random arrays, a problem to learn."""

from __future__ import annotations

import random
from functools import cache
from unittest import mock

import keras
import numpy as np
from keras.src.random import seed_generator

from seqmodel.models.outputs import choose_head
from seqmodel.models.protocol import InputShapes
from seqmodel.models.registry import MODELS, build_model
from seqmodel.specs import ModelSpec, OutputSpec

#: PyTorch's compiler has no XLA behind it.
JIT = keras.backend.backend() != "torch"
KINDS = tuple(MODELS)
OUTPUTS = {
    "quantiles": OutputSpec(),
    "point": OutputSpec(kind="point", loss="huber"),
    "gaussian": OutputSpec(kind="gaussian"),
    "student_t": OutputSpec(kind="student_t"),
    "negative_binomial": OutputSpec(kind="negative_binomial"),
}
#: Everything is there, and no two sizes that could be taken for each other are equal.
FULL = InputShapes(
    lookback=8,
    horizon=4,
    features=7,
    known=3,
    past_cardinalities=(4, 3),
    known_codes=1,
    static=2,
    static_cardinalities=(3, 5),
    series=9,
    season=4,
    cycle=6,
)
#: Of the counts to learn (steps).
SEASON = 6
BATCH = 64


def build(kind, shapes=FULL, output="quantiles", seed=0, **knobs):
    if output == "negative_binomial" and kind in {"segment", "attention"}:
        knobs = {"normalise": "none", **knobs}  # Nothing can be added to counts.
    spec = ModelSpec(kind=kind, **{"units": 6, "dropout": 0.0, **knobs})
    return build_seeded(spec, shapes, OUTPUTS[output], seed)


def build_seeded(spec, shapes, output, seed):
    """A network from a seed that no thread left by another test draws from.

    Keras takes the seeds of its layers from Python's own generator, which every thread shares.
    """
    keras.utils.set_random_seed(seed)
    with mock.patch.object(seed_generator, "python_random", random.Random(seed)):  # noqa: S311
        return build_model(spec, shapes, output)


@cache
def share(kind, shapes=FULL, output="quantiles", **knobs):
    """A network that no test changes."""
    return build(kind, shapes, output, **knobs)


def make_arrays(shapes=FULL, count=3, seed=0):
    """Random arrays for every input of the protocol."""
    rng = np.random.default_rng(seed)
    lookback, horizon = shapes.lookback, shapes.horizon
    codes = shapes.past_cardinalities
    known = codes[len(codes) - shapes.known_codes :]
    reals = {
        "past": (count, lookback, shapes.features),
        "known": (count, horizon, shapes.known),
        "static": (count, shapes.static),
    }
    integers = {
        "past_codes": ((count, lookback, len(codes)), codes),
        "known_codes": ((count, horizon, len(known)), known),
        "static_codes": (
            (count, len(shapes.static_cardinalities)),
            shapes.static_cardinalities,
        ),
        "series": ((count, 1), shapes.series + 1),
        "phase": ((count, 1), shapes.cycle),
    }
    return {
        **{name: rng.normal(size=shape).astype(np.float32) for name, shape in reals.items()},
        **{
            name: rng.integers(0, np.array(most, np.int64), shape).astype(np.int32)
            for name, (shape, most) in integers.items()
        },
        "scale": rng.uniform(1, 9, (count, 1)).astype(np.float32),
    }


def feed(model, arrays):
    """Those of the arrays that the model reads."""
    return {tensor.name: arrays[tensor.name] for tensor in model.inputs}


def say(model, arrays):
    return keras.ops.convert_to_numpy(model(feed(model, arrays), training=False))


def change(array, name):
    """Another value that the input may have, everywhere."""
    return {"phase": (array + 1) % FULL.cycle, "scale": array * 2}.get(
        name, np.where(array > 0, array - 1, array + 1).astype(array.dtype)
    )


def make_counts(count, seed, lookback=2 * SEASON, horizon=SEASON):
    """Counts around a sine of random phase: arrays, targets N x H, and both naive forecasts."""
    rng = np.random.default_rng(seed)
    steps = np.arange(lookback + horizon) + rng.uniform(0, SEASON, (count, 1))
    counts = rng.poisson(5 * (1 + 0.9 * np.sin(2 * np.pi * steps / SEASON))).astype(np.float32)
    past, future = counts[:, :lookback], counts[:, lookback:]
    shapes = InputShapes(lookback, horizon, 2, season=SEASON, cycle=SEASON)
    arrays = make_arrays(shapes, count)
    arrays["past"] = np.stack([past / 5, np.ones_like(past)], axis=-1)
    arrays["scale"] = np.full((count, 1), 5, np.float32)
    return shapes, arrays, future, {"seasonal": past[:, -SEASON:], "last": past[:, -1:]}


def train(model, output, steps, rate=0.02):
    """Compile and train on such counts; return the median's mean error and the naives'."""
    head = choose_head(OUTPUTS[output])
    optimiser = keras.optimizers.Adam(rate, clipnorm=1.0)
    model.compile(optimizer=optimiser, loss=head.loss(), jit_compile=JIT)
    unit = 1 if head.unit == "target" else 5
    _, arrays, future, _ = make_counts(BATCH * steps, seed=1)
    for begin in range(0, len(future), BATCH):
        part = slice(begin, begin + BATCH)
        inputs = {name: array[part] for name, array in feed(model, arrays).items()}
        model.train_on_batch(inputs, future[part] / unit)
    _, arrays, future, naives = make_counts(256, seed=2)
    median = head.quantiles(say(model, arrays), (0.5,))[..., 0] * unit
    return {
        name: np.abs(future - found).mean() for name, found in {"model": median, **naives}.items()
    }

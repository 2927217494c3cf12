"""Small windows for tests of networks, in the names and shapes of the protocol."""

import numpy as np

from seqmodel.models.protocol import InputShapes

EVERYTHING = InputShapes(
    lookback=22,
    horizon=7,
    features=5,
    known=2,
    past_cardinalities=(4, 3),
    known_codes=1,
    static=2,
    static_cardinalities=(3,),
    series=5,
    season=4,
    cycle=8,
)
PLAIN = InputShapes(lookback=24, horizon=8, features=2, series=5, season=4, cycle=8)


def draw_windows(shapes, count=4, seed=0):
    """Every input that the shapes have; the target is observed everywhere."""
    rng = np.random.default_rng(seed)
    codes = [rng.integers(0, n, (count, shapes.lookback)) for n in shapes.past_cardinalities]
    known = shapes.past_cardinalities[len(shapes.past_cardinalities) - shapes.known_codes :]
    found = {
        "past": rng.normal(size=(count, shapes.lookback, shapes.features)),
        "past_codes": np.stack(codes, -1) if codes else np.empty((count, 1, 0)),
        "known": rng.normal(size=(count, shapes.horizon, shapes.known)),
        "known_codes": np.stack([rng.integers(0, n, (count, shapes.horizon)) for n in known], -1)
        if known
        else np.empty((count, 1, 0)),
        "static": rng.normal(size=(count, shapes.static)),
        "static_codes": rng.integers(0, 3, (count, len(shapes.static_cardinalities))),
        "series": rng.integers(0, shapes.series + 1, (count, 1)),
        "phase": rng.integers(0, shapes.cycle, (count, 1)),
        "scale": np.ones((count, 1)),
    }
    found["past"][..., 1] = 1
    integers = ("past_codes", "known_codes", "static_codes", "series", "phase")
    return {
        name: array.astype("int32" if name in integers else "float32")
        for name, array in found.items()
        if array.shape[-1]
    }


def forecast(model, windows):
    """Of a network, from those inputs that it declares."""
    import keras

    read = {name: windows[name] for name in model.input}
    return keras.ops.convert_to_numpy(model(read, training=False))


def fit(model, windows, actual, *, steps, rate):
    """Fit all windows at each of so many steps, by the absolute error."""
    import keras

    # Without XLA: a test would spend most of its time compiling. JAX without it runs op by op.
    jit = keras.backend.backend() == "jax"
    model.compile(optimizer=keras.optimizers.Adam(rate), loss="mae", jit_compile=jit)
    read = {name: windows[name] for name in model.input}
    for _ in range(steps):
        model.train_on_batch(read, actual[..., None])


def draw_sines(count=256, lookback=24, horizon=12):
    """Windows of sines of period 12 at any phase, and what comes after."""
    begin = np.random.default_rng(0).uniform(0, 12, (count, 1))
    rows = np.sin(2 * np.pi * (begin + np.arange(lookback + horizon)) / 12).astype("float32")
    past = rows[:, :lookback]
    return {"past": np.stack([past, np.ones_like(past)], axis=-1)}, rows[:, lookback:]

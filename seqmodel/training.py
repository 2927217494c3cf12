"""Fitting a network: own loop over fixed-shape batches, early stopping on the holdout."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version as installed
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.errors import TrainingError
from seqmodel.models.protocol import InputShapes
from seqmodel.specs import PipelineSpec
from seqmodel.store.bundles import model_key, read_model, write_bundle
from seqmodel.store.fingerprints import digest_code, digest_value
from seqmodel.store.forecasts import format_moment
from seqmodel.store.refs import ModelRef, WindowsRef
from seqmodel.store.store import Store
from seqmodel.windowing import StoredWindows, load_windows
from seqmodel.windows import WindowIndex, WindowReader, pad_batches, shuffle_batches

log = logging.getLogger(__name__)

#: Takes the figures of the moment: epoch, epochs, step, steps, loss, holdout, windows_per_s.
Progress = Callable[[dict[str, float]], None]
#: Time between two reports of progress (seconds).
REPORT_EVERY = 1.0
#: Share of the steps over which the learning rate rises to its peak.
WARM_UP = 0.05


@final
@dataclass
class Fitted:
    """A trained network and how it came about.

    Attributes:
        model: Keras model with the best epoch's weights.
        history: (training loss, holdout loss) of each epoch.
        best_epoch: counted from 1.
        seconds: wall time without imports.
    """

    model: Any
    history: list[tuple[float, float]] = field(default_factory=list)
    best_epoch: int = 0
    seconds: float = 0.0


def train_model(
    store: Store,
    windows: WindowsRef,
    spec: PipelineSpec,
    as_of: datetime,
    lineage: dict[str, str],
    progress: Progress,
) -> ModelRef:
    """Train a challenger and store it as a new immutable version.

    Args:
        store: the data root.
        windows: encoded rows and their windows.
        spec: model, output and train sections count.
        as_of: of the run; the version's name begins with it.
        lineage: further entries of the manifest, such as the table's fingerprint.
        progress: called about once a second.

    Raises:
        TrainingError: if the loss is not a number.
    """
    stored = load_windows(store, windows)
    fitted = fit_model(stored, spec, progress)
    code = digest_code("seqmodel")
    knobs = spec.model_dump(mode="json", include={"window", "model", "output", "train"})
    identity = digest_value([windows.fingerprint, knobs, code])
    version = f"{format_moment(as_of)}-{identity[:8]}"
    key = model_key(spec.name, version)
    figures = {
        "version": version,
        "kind": spec.model.kind,
        "lookback": spec.window.lookback,
        "as_of": as_of.isoformat(),
        "parameters": int(fitted.model.count_params()),
        "seconds": fitted.seconds,
        "epochs": len(fitted.history),
        "best_epoch": fitted.best_epoch,
        "holdout": fitted.history[fitted.best_epoch - 1][1],
        "history": fitted.history,
    }
    manifest = {
        **figures,
        "seed": spec.train.seed,
        "spec": spec.model_dump(mode="json"),
        "windows": windows.fingerprint,
        "code": code,
        **lineage,
        "versions": {
            "python": platform.python_version(),
            **{name: installed(name) for name in ("keras", "numpy")},
        },
    }
    write_bundle(store, key, fitted.model, stored.fitted.to_json(), manifest)
    return read_model(store, spec.name, version)


def measure_shapes(stored: StoredWindows, spec: PipelineSpec) -> InputShapes:
    """Return the sizes of the network's inputs."""
    return InputShapes(
        lookback=spec.window.lookback,
        horizon=spec.window.horizon,
        features=stored.rows.past.shape[1],
        known=stored.rows.known.shape[1],
        reals=stored.rows.reals.shape[1],
        cardinalities=stored.fitted.cardinalities,
    )


def fit_model(stored: StoredWindows, spec: PipelineSpec, progress: Progress) -> Fitted:
    """Fit a fresh network.

    Raises:
        TrainingError: if the loss is not a number.
    """
    import keras

    from seqmodel.models.outputs import PinballLoss
    from seqmodel.models.registry import build_model

    keras.utils.set_random_seed(spec.train.seed)
    levels = spec.output.levels
    model = build_model(spec.model, measure_shapes(stored, spec), levels)
    reader = stored.reader(spec)
    most = min(spec.train.windows_per_epoch or len(stored.train), len(stored.train))
    steps = max(most // spec.train.batch_size, 1)
    total = steps * spec.train.epochs
    schedule = keras.optimizers.schedules.CosineDecay(
        spec.train.learning_rate * 0.05,
        total,
        alpha=0.2,  # of the initial rate: a hundredth of the peak
        warmup_target=spec.train.learning_rate,
        warmup_steps=max(int(WARM_UP * total), 1),
    )
    optimiser = keras.optimizers.Adam(schedule, clipnorm=1.0)
    # XLA is off by default on CPU and worth a factor of three there.
    model.compile(optimizer=optimiser, loss=PinballLoss(levels), jit_compile=True)
    started = time.monotonic()
    fitted = Fitted(model)
    best, weights = np.inf, model.get_weights()
    for epoch in range(1, spec.train.epochs + 1):
        loss = _train_epoch(fitted, reader, stored.train, spec, epoch, steps, progress)
        holdout = measure_loss(model, reader, stored.holdout, spec)
        fitted.history.append((loss, holdout))
        if not np.isfinite([loss, holdout]).all():
            raise TrainingError(
                f"found a loss of {loss} (holdout {holdout}) in epoch {epoch}, needed a number;"
                " lower train.learning_rate or look at the table's extremes"
            )
        log.info("epoch %d/%d loss %.5f holdout %.5f", epoch, spec.train.epochs, loss, holdout)
        if holdout < best:
            best, weights, fitted.best_epoch = holdout, model.get_weights(), epoch
        elif epoch - fitted.best_epoch >= spec.train.patience:
            break
    model.set_weights(weights)
    fitted.seconds = time.monotonic() - started
    return fitted


def _train_epoch(
    fitted: Fitted,
    reader: WindowReader,
    index: WindowIndex,
    spec: PipelineSpec,
    epoch: int,
    steps: int,
    progress: Progress,
) -> float:
    train = spec.train
    begun = told = time.monotonic()
    losses = []
    batches = shuffle_batches(
        len(index), train.batch_size, train.seed, epoch, train.windows_per_epoch
    )
    for step, positions in enumerate(batches, start=1):
        batch = index.take(positions)
        targets, weights = reader.targets(batch)
        losses.append(
            fitted.model.train_on_batch(reader.inputs(batch), targets, sample_weight=weights)
        )
        now = time.monotonic()
        if now - told >= REPORT_EVERY or step == steps:
            told = now
            progress(
                {
                    "epoch": epoch,
                    "epochs": train.epochs,
                    "step": step,
                    "steps": steps,
                    "loss": float(np.mean(losses)),
                    "holdout": fitted.history[-1][1] if fitted.history else float("nan"),
                    "windows_per_s": step * train.batch_size / (now - begun),
                }
            )
        fitted.model.reset_metrics()
    return float(np.mean(losses))


def measure_loss(model: Any, reader: WindowReader, index: WindowIndex, spec: PipelineSpec) -> float:
    """Return the mean pinball loss over the observed targets of some windows (scaled units)."""
    levels = np.array(spec.output.levels, dtype=np.float32)
    predicted = predict_windows(model, reader, index, spec.train.batch_size)
    targets, weights = reader.targets(index)
    error = targets[:, :, None] - predicted
    loss = np.maximum(levels * error, (levels - 1) * error).mean(axis=-1)
    return float((loss * weights).sum() / max(weights.sum(), 1))


def predict_windows(
    model: Any, reader: WindowReader, index: WindowIndex, batch_size: int
) -> NDArray[np.float32]:
    """Predict some windows in batches of one shape.

    Returns:
        N x H x Q in scaled units.
    """
    parts = []
    for positions, count in pad_batches(len(index), batch_size):
        batch = reader.inputs(index.take(positions))
        parts.append(np.asarray(model.predict_on_batch(batch))[:count])
    return np.concatenate(parts)

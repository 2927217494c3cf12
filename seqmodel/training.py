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

from seqmodel.errors import TrainingError
from seqmodel.feeding import Feeder
from seqmodel.predicting import choose_inputs, measure_loss
from seqmodel.specs import PipelineSpec
from seqmodel.store.bundles import model_key, read_model, write_bundle
from seqmodel.store.fingerprints import digest_code, digest_value
from seqmodel.store.forecasts import format_moment
from seqmodel.store.refs import ModelRef, WindowsRef
from seqmodel.store.store import Store
from seqmodel.windowing import StoredWindows, load_windows

log = logging.getLogger(__name__)

#: Sections of the spec that make a network what it is, beside its windows.
KNOBS = {"window", "model", "output", "train"}
#: Takes the figures of the moment: epoch, epochs, step, steps, loss, holdout, windows_per_s.
Progress = Callable[[dict[str, float]], None]
#: Time between two reports of progress (seconds).
REPORT_EVERY = 1.0
#: Windows looked at for early stopping: more would cost time and change nothing.
HOLDOUT_WINDOWS = 4096
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
    knobs = spec.model_dump(mode="json", include=KNOBS)
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


def fit_model(stored: StoredWindows, spec: PipelineSpec, progress: Progress) -> Fitted:
    """Fit a fresh network.

    Raises:
        TrainingError: if the loss is not a number.
    """
    import keras

    from seqmodel.models.outputs import choose_head
    from seqmodel.models.registry import build_model

    keras.utils.set_random_seed(spec.train.seed)
    head = choose_head(spec.output)
    model = build_model(spec.model, stored.shapes(spec), spec.output)
    reader = stored.reader(spec, in_target_unit=head.unit == "target")
    feeder = Feeder(reader, stored.train, spec.train)
    holdout = stored.holdout.spread(HOLDOUT_WINDOWS)
    total = feeder.steps * spec.train.epochs
    schedule = keras.optimizers.schedules.CosineDecay(
        spec.train.learning_rate * 0.05,
        total,
        alpha=0.2,  # of the initial rate: a hundredth of the peak
        warmup_target=spec.train.learning_rate,
        warmup_steps=max(int(WARM_UP * total), 1),
    )
    optimiser = keras.optimizers.Adam(schedule, clipnorm=1.0)
    # XLA is off by default on CPU and worth a factor of three there.
    model.compile(optimizer=optimiser, loss=head.loss(), jit_compile=True)
    started = time.monotonic()
    fitted = Fitted(model)
    best, weights = np.inf, model.get_weights()
    for epoch in range(1, spec.train.epochs + 1):
        loss = _train_epoch(fitted, feeder, spec, epoch, progress)
        held = measure_loss(model, head, reader, holdout, spec.train.batch_size)
        fitted.history.append((loss, held))
        if not np.isfinite([loss, held]).all():
            raise TrainingError(
                f"found a loss of {loss} (holdout {held}) in epoch {epoch}, needed a number;"
                " lower train.learning_rate or look at the table's extremes"
            )
        log.info("epoch %d/%d loss %.5f holdout %.5f", epoch, spec.train.epochs, loss, held)
        if held < best:
            best, weights, fitted.best_epoch = held, model.get_weights(), epoch
        elif epoch - fitted.best_epoch >= spec.train.patience:
            break
    model.set_weights(weights)
    fitted.seconds = time.monotonic() - started
    return fitted


def _train_epoch(
    fitted: Fitted, feeder: Feeder, spec: PipelineSpec, epoch: int, progress: Progress
) -> float:
    train, model = spec.train, fitted.model
    begun = told = time.monotonic()
    losses = []
    for step, batch in enumerate(feeder.batches(epoch), start=1):
        losses.append(
            model.train_on_batch(
                choose_inputs(model, batch), batch.targets, sample_weight=batch.weights
            )
        )
        now = time.monotonic()
        if now - told >= REPORT_EVERY or step == feeder.steps:
            told = now
            progress(
                {
                    "epoch": epoch,
                    "epochs": train.epochs,
                    "step": step,
                    "steps": feeder.steps,
                    "loss": float(np.mean(losses)),
                    "holdout": fitted.history[-1][1] if fitted.history else float("nan"),
                    "windows_per_s": step * train.batch_size / (now - begun),
                }
            )
        model.reset_metrics()
    return float(np.mean(losses))

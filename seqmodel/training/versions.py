"""From stored windows to a stored version: trained, named, published whole."""

from __future__ import annotations

import platform
from datetime import datetime
from importlib.metadata import version as installed
from typing import Any

from seqmodel.calibrating import Calibrated, Span, calibrate
from seqmodel.grid import to_datetime
from seqmodel.predictors import Network, Predictor
from seqmodel.specs import PipelineSpec
from seqmodel.splitting import split_steps
from seqmodel.store.bundles import (
    CALIBRATION,
    DISTRIBUTION,
    model_key,
    read_bundle,
    write_bundle,
)
from seqmodel.store.checkpoints import checkpoint_key
from seqmodel.store.fingerprints import digest_code, digest_value
from seqmodel.store.forecasts import format_moment
from seqmodel.store.refs import ModelRef, TableRef, WindowsRef
from seqmodel.store.store import Store
from seqmodel.store.tensorboard import EventLog
from seqmodel.training.fitting import Plan, Progress, fit_model
from seqmodel.training.keeping import Keeper
from seqmodel.training.warm_starting import choose_start
from seqmodel.windowing import StoredWindows, load_panel, load_windows

#: Sections of the spec that make a network what it is, beside its windows.
KNOBS: dict[str, Any] = {
    **dict.fromkeys(("window", "model", "output", "train"), True),
    "forecast": {"whole"},
    "backtest": {"cutoffs", "step", "gap", "share"},
}


def train_model(  # noqa: PLR0913 - all that a version comes from
    store: Store,
    windows: WindowsRef,
    spec: PipelineSpec,
    as_of: datetime,
    lineage: dict[str, str],
    progress: Progress,
    parent: ModelRef | None = None,
    drift: str | None = None,
    *,
    folder: str = "models",
    table: TableRef | None = None,
) -> ModelRef:
    """Train a challenger and store it as a new immutable version.

    A training of the same version that was killed is taken up where it stood.

    Args:
        store: the data root.
        windows: encoded rows and their windows.
        spec: model, output and train sections count.
        as_of: of the run; the version's name begins with it.
        lineage: further entries of the manifest, such as the table's fingerprint.
        progress: called about once a second.
        parent: the version that serves, to go on from where the spec says so.
        drift: what moved in the data since then, None where nothing did.
        folder: of the pipeline, `members` for the network of an ensemble.
        table: what the windows were cut from; without it intervals stay as the network says them.

    Raises:
        TrainingError: if the loss is not a number.
    """
    stored = load_windows(store, windows)
    start = choose_start(store, parent, stored, spec, drift)
    code = digest_code("seqmodel")
    knobs = spec.model_dump(mode="json", include=KNOBS)
    identity = digest_value([windows.fingerprint, knobs, code, start.parent])
    version = f"{format_moment(as_of)}-{identity[:8]}"
    train = spec.train
    plan = Plan(train.epochs, train.learning_rate)
    if start.begin:
        rate = train.learning_rate * train.warm_rate
        plan = Plan(min(train.warm_epochs, train.epochs), rate, start.begin)
    keeper = Keeper(store, checkpoint_key(spec.name, version))
    events = EventLog(store, spec.name, version) if train.tensorboard else None
    fitted = fit_model(stored, spec, progress, plan, keeper, events)
    best = fitted.history[fitted.best_epoch - 1][1] if fitted.best_epoch else fitted.begun
    figures = {
        "version": version,
        "kind": spec.model.kind,
        "lookback": spec.window.lookback,
        "as_of": as_of.isoformat(),
        "parameters": int(fitted.model.count_params()),
        "seconds": fitted.seconds,
        "epochs": len(fitted.history),
        "best_epoch": fitted.best_epoch,
        "holdout": best,
        "history": fitted.history,
        "begun": start.why,
        "trained_until": _find_end(stored, parent if start.parent else None).isoformat(),
    }
    manifest = {
        **figures,
        "start": {"parent": start.parent, "nights": start.nights, "why": start.why},
        "seed": train.seed,
        "spec": spec.model_dump(mode="json"),
        "windows": windows.fingerprint,
        "code": code,
        **lineage,
        "versions": list_versions(),
    }
    key = model_key(spec.name, version, folder)
    network: Predictor = Network(fitted.model, stored.fitted, spec)
    if table is not None:
        network = calibrate_network(store, table, network, spec)
    more = {**describe(network), DISTRIBUTION: store.read_json(f"{windows.key}/{DISTRIBUTION}")}
    write_bundle(store, key, fitted.model, stored.fitted.to_json(), manifest, more)
    keeper.forget()
    return read_bundle(store, key)


def calibrate_network(
    store: Store, table: TableRef, network: Predictor, spec: PipelineSpec
) -> Predictor:
    """Calibrate a network that has intervals on the holdout of a table, where the spec wants it."""
    if spec.output.calibration == "none" or len(network.levels) < 2:  # noqa: PLR2004 - both ends
        return network
    panel = load_panel(store, table, spec)
    split = split_steps(int(panel.first.min()), panel.cutoff, spec)
    return calibrate(network, panel, spec, Span(split.train, split.holdout - split.horizon))


def describe(predictor: Predictor) -> dict[str, Any]:
    """Return the files of a bundle that say how its quantiles are calibrated: name -> JSON."""
    if not isinstance(predictor, Calibrated):
        return {}
    return {CALIBRATION: predictor.calibration.to_json()}


def list_versions() -> dict[str, str]:
    """Return the versions of what a bundle depends on."""
    packages = {name: installed(name) for name in ("keras", "numpy")}
    return {"python": platform.python_version(), **packages}


def _find_end(stored: StoredWindows, parent: ModelRef | None) -> datetime:
    """Return the newest target that the network, or what it went on from, has learned from."""
    end = to_datetime(stored.until)
    return end if parent is None else max(end, parent.seen_until)

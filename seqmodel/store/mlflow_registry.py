"""Promoted versions in an MLflow registry too, with their figures, files and aliases.

Needs the extra [mlflow], the skinny client: it talks to a tracking server, or to a SQLite file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from seqmodel.errors import SpecError, StoreError
from seqmodel.store.bundles import model_key, read_manifest
from seqmodel.store.champion import read_champion
from seqmodel.store.store import Store

#: Tag by which a version is found again: an export that was cut off is not made twice.
TAG = "seqmodel.version"
SQLITE = "sqlite:///"
#: Longest value of a parameter that MLflow takes (characters), and most in one call.
LONGEST, MOST = 6000, 100
#: A server that is down is a note in the report, not a night that hangs.
PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}


def export_version(
    store: Store,
    pipeline: str,
    version: str,
    address: str,
    scores: Mapping[str, float] | None = None,
) -> str:
    """Register a stored version once, and point the aliases to where the champion pointer does.

    Args:
        store: the data root.
        pipeline: name of the pipeline, and of the registered model.
        version: a stored version; its files are checked before.
        address: `http://host:port` of a tracking server, or `sqlite:///file`.
        scores: of the backtest, metric -> score.

    Returns:
        The number of the MLflow version.

    Raises:
        SpecError: if the extra is not installed.
        StoreError: if the bundle is damaged, or the registry does not take it.
    """
    key = model_key(pipeline, version)
    manifest = read_manifest(store, key)
    client, failure = _open(address)
    try:
        number = _find(client, pipeline, version)
        if number is None:
            where = _open_experiment(client, pipeline, address)
            number = _register(client, where, pipeline, manifest, store.path(key), scores or {})
        _point(client, store, pipeline)
    except (failure, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise StoreError(
            f"found the MLflow registry {address} refusing ({reason}), needed it to take version"
            f" {version}; mend it, then run python -m seqmodel.registry export"
        ) from error
    return number


def _open(address: str) -> tuple[Any, type[Exception]]:
    for name, value in {**PATIENCE, "MLFLOW_DISABLE_TELEMETRY": "true"}.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise SpecError(
            "found no mlflow, needed it to export a version; pip install 'seqmodel[mlflow]'"
        ) from None
    return MlflowClient(tracking_uri=address, registry_uri=address), MlflowException


def _find(client: Any, pipeline: str, version: str) -> str | None:
    """Return the number under which a version was registered before."""
    for one in client.search_model_versions(f"name = '{pipeline}'"):
        if one.tags.get(TAG) == version and one.status == "READY":
            return str(one.version)
    return None


def _open_experiment(client: Any, pipeline: str, address: str) -> str:
    found = client.get_experiment_by_name(pipeline)
    if found is not None:
        return str(found.experiment_id)
    place = None
    if address.startswith(SQLITE):
        # Beside the file; by default it would be the working folder.
        place = Path(address.removeprefix(SQLITE)).absolute().parent.joinpath("artifacts").as_uri()
    return str(client.create_experiment(pipeline, artifact_location=place))


def _register(
    client: Any,
    experiment: str,
    pipeline: str,
    manifest: dict[str, Any],
    folder: Path,
    scores: Mapping[str, float],
) -> str:
    from mlflow.entities import Metric, Param

    version = str(manifest["version"])
    at = round(datetime.fromisoformat(manifest["as_of"]).timestamp() * 1000)
    origins = {f"seqmodel.{n}": str(manifest.get(n)) for n in ("table", "code", "trained_until")}
    parent = manifest.get("start", {}).get("parent")
    tags = {TAG: version, **origins, **({"seqmodel.parent": parent} if parent else {})}
    run = client.create_run(experiment, start_time=at, run_name=version, tags=tags)
    number = run.info.run_id
    figures = {n: manifest[n] for n in ("holdout", "seconds", "parameters") if manifest.get(n)}
    figures |= {f"backtest.{name}": value for name, value in scores.items()}
    metrics = [Metric(name, float(value), at, 0) for name, value in figures.items()]
    for epoch, losses in enumerate(manifest.get("history", ()), start=1):
        named = zip(("loss", "holdout_loss"), losses, strict=True)
        metrics += [Metric(name, float(value), at, epoch) for name, value in named]
    params = [Param(name, value) for name, value in _flatten(manifest.get("spec", {}))]
    for i in range(0, max(len(metrics), len(params)), MOST):
        client.log_batch(number, metrics=metrics[i : i + MOST], params=params[i : i + MOST])
    client.log_artifacts(number, str(folder), "bundle")
    client.set_terminated(number, end_time=at)
    if not client.search_registered_models(f"name = '{pipeline}'"):
        client.create_registered_model(pipeline)
    source = f"{run.info.artifact_uri}/bundle"
    made = client.create_model_version(pipeline, source, number, tags=tags)
    return str(made.version)


def _point(client: Any, store: Store, pipeline: str) -> None:
    """Move the aliases `champion` and `previous`; one without a registered version goes."""
    pointer = read_champion(store, pipeline)
    wanted = {
        "champion": pointer.version if pointer else None,
        "previous": pointer.previous if pointer else None,
    }
    for alias, version in wanted.items():
        number = _find(client, pipeline, version) if version else None
        if number is None:
            client.delete_registered_model_alias(pipeline, alias)
        else:
            client.set_registered_model_alias(pipeline, alias, number)


def _flatten(spec: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, value in spec.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{path}{name}.")
        else:
            # A name may hold what MLflow refuses in a parameter's.
            safe = "".join(c if c.isalnum() or c in "_-./ " else "_" for c in f"{path}{name}")
            yield safe, str(value)[:LONGEST]

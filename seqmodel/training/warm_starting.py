"""Going on from an older version instead of from chance: which one fits, and what it hands over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.features import Preprocessor
from seqmodel.grid import to_microseconds
from seqmodel.loading import load_model
from seqmodel.specs import PipelineSpec
from seqmodel.store.bundles import read_manifest, read_preprocessor
from seqmodel.store.refs import ModelRef
from seqmodel.store.store import Store
from seqmodel.windowing import StoredWindows

#: Sections that make two networks alike; the rows and the training may differ.
ALIKE = ("window", "features", "scaling", "model", "output", "grid")
ROLES = ("past", "known", "static", "categorical", "freq", "target", "season_length", "timezone")


@final
@dataclass(frozen=True)
class Start:
    """How a training begins.

    Attributes:
        parent: version it goes on from, None from scratch.
        nights: warm starts since the last training from scratch, this one included.
        why: one sentence for the report.
        begin: gives a fresh network what the parent has learned.
    """

    parent: str | None
    nights: int
    why: str
    begin: Callable[[Any], None] | None = None


def choose_start(
    store: Store,
    parent: ModelRef | None,
    stored: StoredWindows,
    spec: PipelineSpec,
    drift: str | None,
) -> Start:
    """Decide whether a training goes on from an older version.

    Args:
        store: the data root.
        parent: the version that serves, if any.
        stored: what the network will be trained on.
        spec: the pipeline.
        drift: what moved in the data since the last accepted table, None where nothing did.
    """
    if not spec.train.warm_start:
        return Start(None, 0, "from scratch: train.warm_start is off")
    if parent is None:
        return Start(None, 0, "from scratch: no earlier version serves")
    manifest = read_manifest(store, parent.key)
    nights = int(manifest.get("start", {}).get("nights", 0)) + 1
    obstacle = _find_obstacle(manifest, stored, spec) or _find_leak(parent, stored)
    before = read_preprocessor(store, parent.key)["categories"].get("target", ())
    if tuple(before) != stored.fitted.categories.get("target", ()):
        obstacle = f"the classes are others than those of version {parent.version}"
    if drift:
        obstacle = f"the data moved: {drift}"
    elif nights > spec.train.scratch_every:
        obstacle = f"{spec.train.scratch_every} nights went on from one another"
    if obstacle:
        return Start(None, 0, f"from scratch: {obstacle}")
    why = f"from version {parent.version}, night {nights} since one from scratch"
    return Start(parent.version, nights, why, _inherit(store, parent, stored.fitted))


def _find_obstacle(
    manifest: dict[str, Any], stored: StoredWindows, spec: PipelineSpec
) -> str | None:
    """Return why a version's weights do not fit, None if they do."""
    old, new = manifest["spec"], spec.model_dump(mode="json")
    for section in ALIKE:
        for name in new[section]:
            if old.get(section, {}).get(name) != new[section][name]:
                return f"{section}.{name} is another than that of version {manifest['version']}"
    for role in ROLES:
        if old["source"].get(role) != new["source"][role]:
            return f"source.{role} is another than that of version {manifest['version']}"
    if not stored.fitted.ids:
        return "no series is left"
    return None


def _find_leak(parent: ModelRef, stored: StoredWindows) -> str | None:
    """Return whether a version has learned from targets that this training must not see."""
    if to_microseconds(parent.seen_until) <= stored.until:
        return None
    return (
        f"version {parent.version} has learned from targets until"
        f" {parent.seen_until:%Y-%m-%d %H:%M}, which the backtest scores"
    )


def _inherit(store: Store, parent: ModelRef, fitted: Preprocessor) -> Callable[[Any], None]:
    def begin(model: Any) -> None:
        older, before, _ = load_model(store, parent.key)
        pairs = dict(zip(_name_weights(older), older.weights, strict=True))
        for name, weight in zip(_name_weights(model), model.weights, strict=True):
            learned = _read(pairs[name]) if name in pairs else None
            if learned is None:
                continue
            rows = _match_rows(name, before, fitted)
            if rows is not None:
                fresh = _read(weight).copy()
                fresh[rows[1]] = learned[rows[0]]
                weight.assign(fresh)
            elif learned.shape == tuple(weight.shape):
                weight.assign(learned)

    return begin


def _read(weight: Any) -> NDArray[np.float32]:
    from keras import ops

    return np.asarray(ops.convert_to_numpy(weight))


def _name_weights(model: Any) -> list[str]:
    """Return a name for each weight that is the same in every network of one spec.

    Layers that Keras names by itself are numbered anew in each process, so the order counts.
    """
    return [
        f"{place}:{layer.name if layer.name.startswith('embed_') else ''}:{i}"
        for place, layer in enumerate(model.layers)
        for i, _ in enumerate(layer.weights)
    ]


def _match_rows(
    name: str, before: Preprocessor, after: Preprocessor
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Return which rows of an older embedding become which of the new one; None for other weights.

    Row 0 is what was never seen; new series and categories keep what chance gave them.
    """
    layer = name.split(":")[1]
    if not layer:
        return None
    _, of, *column = layer.split("_")
    if of == "series":
        old, new = before.ids, after.ids
    else:
        names = {
            "static": before.static_names,
            "row": before.code_names,
            "known": before.code_names[len(before.code_names) - before.known_codes :],
        }[of]
        old, new = (fitted.categories[names[int(column[0])]] for fitted in (before, after))
    places = {label: i + 1 for i, label in enumerate(old)}
    pairs = [(0, 0), *((places[n], i + 1) for i, n in enumerate(new) if n in places)]
    return np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])

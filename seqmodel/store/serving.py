"""Which version serves at a moment: the champion, else the one before, else the baseline."""

from __future__ import annotations

from datetime import datetime

from seqmodel.errors import StoreError
from seqmodel.specs import PipelineSpec
from seqmodel.store.bundles import read_manifest, read_model
from seqmodel.store.champion import read_champion
from seqmodel.store.refs import ServingRef
from seqmodel.store.store import Store


def elect_version(
    store: Store,
    spec: PipelineSpec,
    as_of: datetime,
    *,
    prefer: str | None = None,
    instead_of: str | None = None,
) -> ServingRef:
    """Find the version to forecast with, or to compare a challenger with.

    A version of a later night is passed over: it has seen what was the future at `as_of`. So is a
    damaged one, and one that was made for another horizon, other quantiles or other columns.

    Args:
        store: the data root.
        spec: what the version must be able to do.
        as_of: of the run.
        prefer: version tried first.
        instead_of: version passed over: a challenger is not compared with itself.
    """
    pointer = read_champion(store, spec.name)
    chain = [prefer, *((pointer.version, pointer.previous) if pointer else ())]
    notes = []
    for version in dict.fromkeys(v for v in chain if v and v != instead_of):
        try:
            model = read_model(store, spec.name, version)
            obstacle = _find_obstacle(store, model.key, spec)
        except StoreError as error:
            notes.append(f"version {version} is damaged: {error}")
            continue
        if model.as_of > as_of:
            continue
        if obstacle:
            notes.append(f"version {version} is passed over: {obstacle}")
            continue
        return ServingRef(model=model, notes=tuple(notes))
    return ServingRef(model=None, notes=tuple(notes))


def _find_obstacle(store: Store, key: str, spec: PipelineSpec) -> str | None:
    """Return why a version cannot make the forecasts that a spec asks for."""
    made_for = PipelineSpec.model_validate(read_manifest(store, key)["spec"])
    pairs = {
        "horizon": (made_for.window.horizon, spec.window.horizon),
        "quantiles": (made_for.output.levels, spec.output.levels),
        "freq": (made_for.source.freq, spec.source.freq),
        "covariates": (made_for.source.covariates, spec.source.covariates),
    }
    for name, (old, new) in pairs.items():
        if old != new:
            return f"it was made for {name} {old}, the spec says {new}"
    return None

"""Which version serves at a moment: the champion, else the one before, else the baseline."""

from __future__ import annotations

from datetime import datetime

from pydantic import ValidationError

from seqmodel.errors import StoreError
from seqmodel.specs import PipelineSpec
from seqmodel.store.bundles import FORMAT, read_manifest, read_model
from seqmodel.store.champion import BASELINE, list_rejected, read_champion
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
    damaged one, one that was rolled back, and one that was made for another horizon, other
    quantiles or other columns.

    Args:
        store: the data root.
        spec: what the version must be able to do.
        as_of: of the run.
        prefer: version tried first.
        instead_of: version passed over: a challenger is not compared with itself.
    """
    notes: list[str] = []
    pointer = None
    try:
        pointer = read_champion(store, spec.name)
    except StoreError as error:
        # A forecast never depends on a file that the baseline can do without.
        notes.append(f"the champion pointer is damaged: {error}")
    chain = [prefer, *((pointer.version, pointer.previous) if pointer else ())]
    rejected = list_rejected(store, spec.name)
    for version in dict.fromkeys(v for v in chain if v and v != instead_of):
        if version == BASELINE:
            notes.append(f"the baseline serves: {pointer.reason if pointer else version}")
            break
        if version in rejected:
            notes.append(f"version {version} is passed over: it was rolled back")
            continue
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
    manifest = read_manifest(store, key)
    if (written := manifest.get("format", 1)) != FORMAT:
        return f"its bundle is of format {written}, this release reads {FORMAT}"
    try:
        made_for = PipelineSpec.model_validate(manifest.get("spec"))
    except ValidationError:
        return "its spec has knobs that are unknown or out of bounds today"
    pairs = {
        "horizon": (made_for.window.horizon, spec.window.horizon),
        "quantiles": (made_for.output.levels, spec.output.levels),
        "freq": (made_for.source.freq, spec.source.freq),
        "target": (made_for.source.target, spec.source.target),
        # Each role apart: a column that moved from past to known is another input.
        "past covariates": (made_for.source.past, spec.source.past),
        "known covariates": (made_for.source.known, spec.source.known),
        "static covariates": (made_for.source.static, spec.source.static),
    }
    for name, (old, new) in pairs.items():
        if old != new:
            return f"it was made for {name} {old}, the spec says {new}"
    return None

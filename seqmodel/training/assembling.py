"""From trained members to one stored version: put together, weighed, published whole."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from seqmodel.calibrating import Span
from seqmodel.loading import load_model
from seqmodel.predictors import Ensemble, Network, Statistical
from seqmodel.specs import PipelineSpec, list_members
from seqmodel.splitting import split_steps
from seqmodel.store.bundles import ENSEMBLE, model_key, read_bundle, write_ensemble
from seqmodel.store.fingerprints import digest_code, digest_value
from seqmodel.store.forecasts import format_moment
from seqmodel.store.refs import ModelRef, TableRef
from seqmodel.store.store import Store
from seqmodel.training.ensembles import put_together
from seqmodel.training.versions import KNOBS, describe, list_versions
from seqmodel.windowing import load_panel


def assemble_models(
    store: Store,
    table: TableRef,
    spec: PipelineSpec,
    as_of: datetime,
    members: Sequence[ModelRef],
    lineage: dict[str, str],
) -> ModelRef:
    """Put the trained networks of an ensemble and its baselines together as one version.

    Args:
        store: the data root.
        table: a judged table.
        spec: the pipeline of the ensemble.
        as_of: of the run; the version's name begins with it.
        members: its networks, in the order of the spec.
        lineage: further entries of the manifest, such as the table's fingerprint.
    """
    panel = load_panel(store, table, spec)
    listed = list_members(spec)
    networks = [Network(*load_model(store, part.key)) for part in members]
    first = int(panel.first.min())
    splits = [split_steps(first, panel.cutoff, one.spec) for one in listed]
    spans = [Span(split.train, split.holdout - split.horizon) for split in splits]
    predictor, whole, loss = put_together(panel, spec, networks, spans)
    code = digest_code("seqmodel")
    knobs = spec.model_dump(mode="json", include=KNOBS)
    identity = digest_value([[m.fingerprint for m in members], table.fingerprint, knobs, code])
    version = f"{format_moment(as_of)}-{identity[:8]}"
    manifest = {
        **_add_up(members, spec),
        "version": version,
        "as_of": as_of.isoformat(),
        "holdout": loss,
        "trained_until": max([m.seen_until for m in members], default=as_of).isoformat(),
        "begun": _describe(members, whole),
        "seed": spec.train.seed,
        "spec": spec.model_dump(mode="json"),
        "code": code,
        **lineage,
        "versions": list_versions(),
    }
    said = {
        "names": [one.name for one in listed],
        "kinds": ["baseline" if one.baseline else "network" for one in listed],
        "combine": spec.model.combine,
        "weights": whole.weights,
    }
    keys = iter(part.key for part in members)
    stored = [
        member.baseline.to_json() if isinstance(member, Statistical) else next(keys)
        for member in whole.members
    ]
    key = model_key(spec.name, version)
    write_ensemble(store, key, stored, {ENSEMBLE: said, **describe(predictor)}, manifest)
    return read_bundle(store, key)


def _add_up(members: Sequence[ModelRef], spec: PipelineSpec) -> dict[str, Any]:
    """Return what a version says of itself that is the sum of its members."""
    return {
        "kind": spec.model.kind,
        "lookback": max([spec.window.lookback, *(m.lookback for m in members)]),
        "parameters": sum(m.parameters for m in members),
        "seconds": sum(m.seconds for m in members),
        "epochs": sum(m.epochs for m in members),
        "best_epoch": 0,
        "history": [],
    }


def _describe(members: Sequence[ModelRef], whole: Ensemble) -> str:
    """Return one sentence on what the members are, and how each network began."""
    listed = list_members(whole.spec)
    weights = whole.weights or (None,) * len(listed)
    begun = iter(part.begun for part in members)
    found = [
        one.name
        + ("" if weight is None else f" (weight {weight:.2f})")
        + ("" if one.baseline else f" {next(begun)}")
        for one, weight in zip(listed, weights, strict=True)
    ]
    return f"{whole.spec.model.combine} of {len(listed)}: {'; '.join(found)}"

"""The best setting of a tuning, written as a spec."""

from __future__ import annotations

import yaml

from seqmodel.errors import TrainingError
from seqmodel.specs import PipelineSpec
from seqmodel.store.store import Store
from seqmodel.studying import hold_study
from seqmodel.trials import TrialRef, TuningRef
from seqmodel.tuning import nest_knobs, plain_knob, set_knobs


def choose_winner(store: Store, table: str, spec: PipelineSpec) -> TuningRef:
    """Write the best setting as a spec, and return all trials.

    Args:
        store: the data root.
        table: fingerprint of the table.
        spec: the pipeline that is tuned.

    Raises:
        TrainingError: if no trial was finished.
    """
    with hold_study(store, table, spec) as study:
        trials = study.list_trials()
    finished = [(t.score, t) for t in trials if t.state == "finished" and t.score is not None]
    if not finished:
        reasons = [trial.reason for trial in trials if trial.reason]
        raise TrainingError(
            f"found none of {len(trials)} trials finished"
            f" ({reasons[0] if reasons else 'no time was left'}), needed one; widen or correct"
            " tune.ranges, or raise tune.deadline"
        )
    _, best = min(finished, key=lambda pair: pair[0])
    now = {knob: plain_knob(spec.read(knob)) for knob in spec.tune.ranges}
    before = next((score for score, trial in finished if trial.knobs == now), None)
    key = f"{study.key}/winner.yaml"
    found = TuningRef(key=key, trials=trials, winner=best.number, before=before)
    store.write_text(key, _write_winner(spec, found, best))
    store.write_json(f"{study.key}/trials.json", found.model_dump(mode="json"))
    return found


def _write_winner(spec: PipelineSpec, found: TuningRef, best: TrialRef) -> str:
    tuned = set_knobs(spec, best.knobs).model_dump(mode="json", exclude_defaults=True)
    changed = {k: v for k, v in best.knobs.items() if v != plain_knob(spec.read(k))}
    was = "" if found.before is None else f", {found.before:.5g} as the spec was"
    lines = (
        f"# {spec.name}: trial {best.number} of {len(found.trials)}, score {best.score:.5g}{was}.",
        "# Paste what is below `spec` under parameters.spec of a deployment, or change there only",
        "# what is below `changed`.",
    )
    parts = {"changed": nest_knobs(changed), "spec": tuned}
    return "\n".join(lines) + "\n" + yaml.safe_dump(parts, sort_keys=False, allow_unicode=True)

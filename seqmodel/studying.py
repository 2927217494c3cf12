"""Studies: which settings were tried and how they scored, kept so that a killed tuning goes on.

asked -> running -> finished                     a score
-> pruned                       the score when it was ended
-> failed, with its reason      the spec or the data refused it
-> failed, tried again          its process died: the same values once more
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

from seqmodel.errors import SpecError
from seqmodel.specs import PipelineSpec, RangeSpec
from seqmodel.specs.tune import TUNABLE
from seqmodel.store.checkpoints import remove_checkpoint
from seqmodel.store.fingerprints import SHORT, digest_value
from seqmodel.store.folders import make_folder
from seqmodel.store.store import STAGING, Store
from seqmodel.trials import TrialRef
from seqmodel.tuning import plain_knob

#: Times that a setting is tried whose process dies.
TRIES = 3
#: Time to wait for another run on the same study (seconds).
PATIENCE = 1.0
#: Trials before the sampler learns from them, and before the pruner compares: at most these.
FIRST, LEAST = 10, 3
#: Epoch after which a trial may be pruned: the rate rises in the first.
JUDGED_FROM = 2
FAILED, TRIED = "reason", "tries"


class Pruned(Exception):  # noqa: N818 - it says what happened
    """A trial is worse than the median of the others: it need not be trained to its end."""


@final
class Study:
    """The trials of one table, one spec and one set of ranges.

    Args:
        store: the data root.
        table: fingerprint of the table.
        spec: the pipeline that is tuned.

    Raises:
        SpecError: if nothing is to be tuned, or optuna is not installed.
    """

    def __init__(self, store: Store, table: str, spec: PipelineSpec) -> None:
        if not spec.tune.ranges:
            raise SpecError(
                "found no tune.ranges, needed one knob at least to tune; give for instance"
                ' tune.ranges: {"model.units": {"choices": [32, 64]}}'
            )
        self.optuna = _import_optuna()
        self.optuna.logging.set_verbosity(self.optuna.logging.ERROR)
        self.states = self.optuna.trial.TrialState
        self.store, self.spec = store, spec
        self.key = study_key(table, spec)
        path = store.path(f"{self.key}.sqlite3")
        make_folder(path.parent)
        self.study = self.optuna.create_study(
            storage=f"sqlite:///{path}", study_name="tuning", load_if_exists=True
        )
        self.ranges = {
            knob: _make_range(self.optuna, one, spec.read(knob))
            for knob, one in spec.tune.ranges.items()
        }

    def settle(self) -> int:
        """Tidy up after killed processes, and return how many trials are left to do.

        A trial that nobody runs any more is marked failed; its values are tried again, unless they
        were tried often enough.
        """
        for trial in self.study.get_trials(states=(self.states.RUNNING,)):
            tries = int(trial.user_attrs.get(TRIED, 1))
            if tries < TRIES:
                self.study.enqueue_trial(trial.params, user_attrs={TRIED: tries + 1})
                self.study.tell(trial.number, state=self.states.FAIL)
            else:
                self.fail(trial.number, f"its process died {tries} times")
        return max(self.spec.tune.trials - len(self.list_trials()), 0)

    def ask(self) -> Any:
        """Return the next trial; the first one is the spec as it is, where the ranges hold it."""
        count = len(self.study.trials)
        if not count and (now := self._encode_now()):
            self.study.enqueue_trial(now)
        # A sampler of its own for each trial: a study taken up again draws what it would have.
        third = max(self.spec.tune.trials // 3, 1)
        self.study.sampler = self.optuna.samplers.TPESampler(
            seed=self.spec.tune.seed + count, n_startup_trials=min(FIRST, third)
        )
        self.study.pruner = self.optuna.pruners.NopPruner()
        if self.spec.tune.pruner:
            self.study.pruner = self.optuna.pruners.MedianPruner(
                n_startup_trials=min(LEAST, third), n_warmup_steps=JUDGED_FROM
            )
        return self.study.ask(self.ranges)

    def report(self, trial: Any, epoch: int, score: float) -> None:
        """Keep the score after an epoch.

        Raises:
            Pruned: if the trial is worse than the median of the others at that epoch.
        """
        trial.report(score, epoch)
        if trial.should_prune():
            raise Pruned(f"score {score:.5g} after epoch {epoch}")

    def finish(self, number: int, score: float) -> None:
        """Keep the score of a trial."""
        if score == float("inf"):
            self.fail(number, "found forecasts that are not numbers, needed them so")
        else:
            self.study.tell(number, score)

    def prune(self, number: int) -> None:
        """Close a trial that was ended early; it counts as done."""
        remove_checkpoint(self.store, self.checkpoint_key(number))
        self.study.tell(number, state=self.states.PRUNED)

    def fail(self, number: int, reason: str) -> None:
        """Keep why a setting cannot be tried; it counts as done."""
        remove_checkpoint(self.store, self.checkpoint_key(number))
        trial = self.study.trials[number]
        self.study._storage.set_trial_user_attr(trial._trial_id, FAILED, reason)  # noqa: SLF001 - of a trial from an earlier process
        self.study.tell(number, state=self.states.FAIL)

    def read_values(self, trial: Any) -> dict[str, Any]:
        """Return the knobs of a trial."""
        ranges = self.spec.tune.ranges
        return {
            knob: json.loads(value) if ranges[knob].choices else value
            for knob, value in trial.params.items()
        }

    def checkpoint_key(self, number: int) -> str:
        """Return the key of a trial's state, the same for a setting tried again."""
        name = self.key.rsplit("/", 1)[1]
        digest = digest_value(self.study.trials[number].params)
        return f"{self.spec.name}/{STAGING}/tuning/{name}-{digest[:8]}.npz"

    def list_trials(self) -> tuple[TrialRef, ...]:
        """Return all trials that have ended for good, in order."""
        kept = [trial for trial in self.study.trials if self._has_ended(trial)]
        return tuple(self._describe(trial, number) for number, trial in enumerate(kept, 1))

    def _has_ended(self, trial: Any) -> bool:
        done = trial.state in {self.states.COMPLETE, self.states.PRUNED}
        return done or (trial.state == self.states.FAIL and FAILED in trial.user_attrs)

    def _describe(self, trial: Any, number: int) -> TrialRef:
        states = {self.states.COMPLETE: "finished", self.states.PRUNED: "pruned"}
        return TrialRef.model_validate(
            {
                "number": number,
                "knobs": self.read_values(trial),
                "state": states.get(trial.state, "failed"),
                "score": trial.value if trial.state in states else None,
                "seconds": trial.duration.total_seconds() if trial.duration else 0.0,
                "reason": trial.user_attrs.get(FAILED, ""),
            }
        )

    def _encode_now(self) -> dict[str, Any] | None:
        """Return the spec's own knobs in optuna's words, None where a range does not hold them."""
        found = {}
        for knob, drawn in self.ranges.items():
            value = plain_knob(self.spec.read(knob))
            value = json.dumps(value) if self.spec.tune.ranges[knob].choices else value
            if not _holds(drawn, value):
                return None
            found[knob] = value
        return found


@contextmanager
def hold_study(store: Store, table: str, spec: PipelineSpec) -> Iterator[Study]:
    """Open a study for a `with` block; nobody else may try its settings meanwhile.

    Args:
        store: the data root.
        table: fingerprint of the table.
        spec: the pipeline that is tuned.

    Raises:
        StoreError: if another run holds it.
    """
    with store.lock(f"{study_key(table, spec)}.lock", PATIENCE):
        yield Study(store, table, spec)


def study_key(table: str, spec: PipelineSpec) -> str:
    """Return where a study is kept: same table, same spec, same ranges; more trials go on in it."""
    base = spec.model_dump(mode="json", include={*TUNABLE, "source", "grid", "backtest"})
    tune = spec.tune.model_dump(mode="json", include={"ranges", "seed"})
    return f"{spec.name}/tuning/{digest_value([table, base, tune])[:SHORT]}"


def _import_optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise SpecError(
            "found no optuna installed, needed it to tune; install the extra [tune]"
        ) from None
    return optuna


def _make_range(optuna: Any, one: RangeSpec, now: Any) -> Any:
    """Return what optuna draws from; choices are written as JSON, so that lists may be chosen."""
    kinds = optuna.distributions
    if one.choices:
        return kinds.CategoricalDistribution([json.dumps(plain_knob(c)) for c in one.choices])
    low, high = one.low or 0, one.high or 0
    if one.whole and not isinstance(now, float):
        return kinds.IntDistribution(int(low), int(high), log=one.log, step=int(one.step or 1))
    return kinds.FloatDistribution(float(low), float(high), log=one.log, step=one.step)


def _holds(drawn: Any, value: Any) -> bool:
    """Whether a value could have been drawn."""
    try:
        return value is not None and bool(drawn._contains(drawn.to_internal_repr(value)))  # noqa: SLF001 - optuna says it nowhere else
    except ValueError:
        return False

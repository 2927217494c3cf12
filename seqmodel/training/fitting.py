"""The training loop: fixed shapes, early stopping on the holdout, resumable at any step.

epoch    1              2              3
step     1 2 3 ... n |  1 2 3 ... n |  1 2 x      killed: weights, optimiser, dropout's seeds, the
                   holdout        holdout         stop's state and the position were kept at step 1
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from seqmodel.errors import TrainingError
from seqmodel.feeding import Feeder
from seqmodel.grid import Grid, to_datetime
from seqmodel.predicting import choose_inputs, measure_loss
from seqmodel.specs import PipelineSpec
from seqmodel.store.tensorboard import EventLog
from seqmodel.training.keeping import Keeper, State
from seqmodel.windowing import StoredWindows
from seqmodel.windows import Windows

log = logging.getLogger(__name__)

#: Takes the figures of the moment: epoch, epochs, step, steps, loss, holdout, windows_per_s.
Progress = Callable[[dict[str, float]], None]
#: Time between two reports of progress (seconds).
REPORT_EVERY = 1.0
#: Windows looked at for early stopping: more would cost time and change nothing.
HOLDOUT_WINDOWS = 4096
#: Windows of a batch that an error names.
NAMED = 3


@final
@dataclass
class Fitted:
    """A trained network and how it came about.

    Attributes:
        model: Keras model with the best epoch's weights.
        history: (training loss, holdout loss) of each epoch.
        best_epoch: counted from 1; 0 where no epoch was better than the weights begun with.
        seconds: wall time without imports, that of a killed process before it included.
        begun: holdout loss of the weights begun with, None from scratch.
        resumed: (epoch, batches done) where a killed training was taken up, None if it was not.
    """

    model: Any
    history: list[tuple[float, float]] = field(default_factory=list)
    best_epoch: int = 0
    seconds: float = 0.0
    begun: float | None = None
    resumed: tuple[int, int] | None = None


@final
@dataclass(frozen=True)
class Plan:
    """What the loop is to do.

    Attributes:
        epochs: at most (epochs).
        rate: highest learning rate.
        begin: gives a fresh network what an older one has learned; None for chance.
        watch: looks at the network after each epoch, whose number it is given.
    """

    epochs: int
    rate: float
    begin: Callable[[Any], None] | None = None
    watch: Callable[[Any, int], None] | None = None


def fit_model(
    stored: StoredWindows,
    spec: PipelineSpec,
    progress: Progress,
    plan: Plan | None = None,
    keeper: Keeper | None = None,
    events: EventLog | None = None,
) -> Fitted:
    """Fit a network.

    Args:
        stored: encoded rows and their windows.
        spec: window, model, output and train sections count.
        progress: called about once a second.
        plan: epochs, rate and beginning; by default those of the spec, from scratch.
        events: gets the losses of each epoch.
        keeper: keeps the state for the next try; without one a killed training is lost.

    Raises:
        TrainingError: if the loss is not a number.
        SpecError: if the device that the spec demands is not there.
    """
    from seqmodel.training.optimising import use_device, use_precision

    plan = plan or Plan(spec.train.epochs, spec.train.learning_rate)
    with use_precision(spec.train.precision), use_device(spec.train) as compiled:
        loop = _Loop(stored, spec, progress, plan, keeper, events, compiled=compiled)
        return loop.run()


@final
class _Loop:
    """One training."""

    def __init__(
        self,
        stored: StoredWindows,
        spec: PipelineSpec,
        progress: Progress,
        plan: Plan,
        keeper: Keeper | None,
        events: EventLog | None,
        *,
        compiled: bool,
    ) -> None:
        import keras

        from seqmodel.models.outputs import choose_head
        from seqmodel.models.registry import build_model
        from seqmodel.training.optimising import make_optimiser
        from seqmodel.training.stepping import make_step

        keras.utils.set_random_seed(spec.train.seed)
        self.stored, self.spec, self.progress = stored, spec, progress
        self.plan, self.keeper, self.events = plan, keeper, events
        self.head = choose_head(spec.output, len(stored.fitted.classes))
        self.model = build_model(spec.model, stored.shapes(spec), spec.output)
        self.reader = stored.reader(spec, in_target_unit=self.head.unit == "target")
        self.feeder = Feeder(self.reader, stored.train, spec.train)
        self.holdout = stored.holdout.spread(HOLDOUT_WINDOWS)
        optimiser = make_optimiser(
            spec.train, self.feeder.steps, epochs=plan.epochs, peak=plan.rate
        )
        # XLA is off by default on CPU and worth a factor of three there.
        self.model.compile(optimizer=optimiser, loss=self.head.loss(), jit_compile=compiled)
        optimiser.build(self.model.trainable_variables)
        self.step = make_step(self.model, compiled=compiled)
        self.state = State()
        self.resumed: tuple[int, int] | None = None

    def run(self) -> Fitted:
        """Train until the last epoch, or until the holdout stops getting better."""
        started = time.monotonic() - self._restore()
        while not self._over():
            self._train_epoch(started)
            self._judge_epoch()
            self._keep(started)
        self.model.set_weights(self.state.best)
        return Fitted(
            model=self.model,
            history=self.state.history,
            best_epoch=self.state.best_epoch,
            seconds=time.monotonic() - started,
            begun=self.state.begun,
            resumed=self.resumed,
        )

    def _restore(self) -> float:
        """Take up what a killed training left, or begin; return the seconds it had taken."""
        kept = self.keeper.restore(self._variables()) if self.keeper else None
        if kept is not None:
            self.state = kept
            self.resumed = (kept.epoch, kept.position)
            log.info("resumed in epoch %d after %d batches", kept.epoch, kept.position)
            return kept.seconds
        self.state.best = self.model.get_weights()
        if self.plan.begin:
            self.plan.begin(self.model)
            self.state.best = self.model.get_weights()
            # No epoch counts that is worse than what the older network knows.
            self.state.held = self.state.begun = self._measure()
        return 0.0

    def _over(self) -> bool:
        if self.state.epoch > self.plan.epochs:
            return True
        waited = self.state.epoch - 1 - self.state.best_epoch
        return self.spec.train.keep == "best" and waited >= self.spec.train.patience

    def _variables(self) -> list[Any]:
        """Return everything that changes in training: dropout's seeds are among them."""
        return [*self.model.variables, *self.model.optimizer.variables]

    def _measure(self) -> float:
        batch_size = self.spec.train.batch_size
        return measure_loss(self.model, self.head, self.reader, self.holdout, batch_size)

    def _train_epoch(self, started: float) -> None:
        state = self.state
        begun, first = time.monotonic(), state.position
        told = kept = begun
        for batch in self.feeder.batches(state.epoch, state.position):
            inputs = choose_inputs(self.model, batch)
            loss = self.step(inputs, batch)
            if not np.isfinite(loss):
                self._refuse(loss)
            state.position, state.loss = state.position + 1, state.loss + loss
            now = time.monotonic()
            if now - told >= REPORT_EVERY or state.position == self.feeder.steps:
                told = now
                self._tell((state.position - first) / (now - begun))
            if self.keeper and now - kept >= self.keeper.every:
                kept = now
                self._keep(started)

    def _tell(self, batches_per_s: float) -> None:
        state = self.state
        self.progress(
            {
                "epoch": state.epoch,
                "epochs": self.plan.epochs,
                "step": state.position,
                "steps": self.feeder.steps,
                "loss": state.loss / state.position,
                "holdout": state.history[-1][1] if state.history else float("nan"),
                "windows_per_s": batches_per_s * self.spec.train.batch_size,
            }
        )

    def _judge_epoch(self) -> None:
        from seqmodel.training.optimising import use_average

        with use_average(self.model):
            held = self._measure()
            self._note_epoch(held)
            if self.plan.watch:
                self.plan.watch(self.model, self.state.epoch)
        self.state.epoch, self.state.position, self.state.loss = self.state.epoch + 1, 0, 0.0

    def _note_epoch(self, held: float) -> None:
        state = self.state
        loss = state.loss / max(state.position, 1)
        log.info("epoch %d/%d loss %.5f holdout %.5f", state.epoch, self.plan.epochs, loss, held)
        if not np.isfinite(held):
            raise TrainingError(
                f"found a holdout loss of {held} in epoch {state.epoch}, needed a number; lower"
                " train.learning_rate or look at the table's newest rows"
            )
        state.history.append((loss, held))
        if self.events:
            self.events.write(state.epoch, {"loss": loss, "holdout": held})
        if held < state.held or self.spec.train.keep == "last":
            state.held, state.best, state.best_epoch = held, self.model.get_weights(), state.epoch

    def _keep(self, started: float) -> None:
        if self.keeper:
            self.state.seconds = time.monotonic() - started
            self.keeper.keep(self._variables(), self.state)

    def _refuse(self, loss: float) -> None:
        state = self.state
        windows = next(self.feeder.windows(state.epoch, state.position))
        best = f"those of epoch {state.best_epoch}" if state.best_epoch else "those it began with"
        where = f", kept in {self.keeper.place}" if self.keeper and state.best_epoch else ""
        raise TrainingError(
            f"found a loss of {loss} in epoch {state.epoch}, batch {state.position + 1}, with the"
            f" windows {self._name(windows)} (the last good weights are {best}{where}), needed a"
            " number; lower train.learning_rate or look at the extremes of these series"
        )

    def _name(self, windows: Windows) -> str:
        """Return the first windows of a batch as `series at cutoff`."""
        rows, fitted = self.stored.rows, self.stored.fitted
        if fitted.source.irregular:
            codes = rows.series_codes[windows.series, 0] - 1
            return ", ".join(repr(fitted.ids[code]) for code in codes[:NAMED]) + " and others"
        grid = Grid(fitted.source.freq)
        cutoffs = windows.starts + self.reader.cut.lookback - 1
        numbers = cutoffs - rows.begins[windows.series] + rows.first[windows.series]
        codes = rows.series_codes[windows.series, 0] - 1
        named = [
            f"{fitted.ids[code]!r} at {to_datetime(int(moment)):%Y-%m-%dT%H:%MZ}"
            for code, moment in zip(codes[:NAMED], grid.moment(numbers[:NAMED]), strict=True)
        ]
        rest = len(windows) - len(named)
        return ", ".join(named) + (f" and {rest} more" if rest > 0 else "")

"""One trial of a tuning: other values for some knobs, a training, a score on the holdout.

No trial sees a row of the backtest. The score is in units that every setting shares, whatever it
scales and says: twice the pinball loss in the target's unit, at the quantiles of the spec that is
tuned, in mean errors of the series' seasonal naive. Without quantiles but the median it is the
MASE of the holdout. Of classes it is the log loss.

        train              holdout         backtest
|-- a trial trains --|-- it is scored --|-- never seen --|
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from seqmodel.errors import SpecError
from seqmodel.metrics import Scored, measure_scale, pinball
from seqmodel.panel import Panel
from seqmodel.scoring.classes import ClassScoring
from seqmodel.scoring.protocol import Prediction
from seqmodel.specs import PipelineSpec
from seqmodel.specs.model import MEDIAN
from seqmodel.splitting import split_steps
from seqmodel.store.refs import TableRef
from seqmodel.store.store import Store
from seqmodel.windowing import StoredWindows, cut_windows, load_panel
from seqmodel.windows import Windows

Floats = NDArray[np.float64]
#: Windows of the holdout that are scored.
SCORED = 4096


def set_knobs(spec: PipelineSpec, values: Mapping[str, Any]) -> PipelineSpec:
    """Return the spec with other values for some knobs.

    Args:
        spec: the pipeline.
        values: dotted path of a knob -> value.

    Raises:
        SpecError: if the spec refuses them, with its reason.
    """
    found = spec.model_dump(mode="json", exclude_unset=True)
    for path, value in values.items():
        section, _, name = path.partition(".")
        found.setdefault(section, {})[name] = value
    try:
        return PipelineSpec.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(map(str, first["loc"]))
        given = ", ".join(f"{name} {value}" for name, value in values.items())
        reason = str(first.get("ctx", {}).get("error") or first["msg"])
        raise SpecError(
            f"found {given}, needed values that the spec takes ({path}: {reason}); narrow"
            " tune.ranges"
        ) from None


def plain_knob(value: Any) -> Any:
    """Return a knob as JSON has it."""
    return json.loads(json.dumps(value))


def nest_knobs(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return knobs by section, as a file has them."""
    found: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        section, _, name = path.partition(".")
        found.setdefault(section, {})[name] = plain_knob(value)
    return found


def run_trial(
    store: Store,
    table: TableRef,
    spec: PipelineSpec,
    levels: tuple[float, ...],
    checkpoint: str,
    progress: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Train with one setting and score it; no version is stored.

    Args:
        store: the data root.
        table: a judged table.
        spec: the pipeline with the trial's knobs.
        levels: quantiles at which all trials are scored.
        checkpoint: key of the state that a killed trial goes on from.
        progress: called about once a second with figures of the training, and after each epoch
            with `epoch` and `score`.

    Returns:
        score, epochs, best_epoch, seconds and parameters.
    """
    from seqmodel.training.fitting import Plan, fit_model
    from seqmodel.training.keeping import Keeper

    panel = load_panel(store, table, spec)
    cut = cut_windows(panel, spec)
    judge: Judge | ClassJudge = (
        ClassJudge(panel, cut, spec) if spec.output.of_classes else Judge(panel, cut, spec, levels)
    )
    plan = Plan(
        epochs=spec.train.epochs,
        rate=spec.train.learning_rate,
        watch=lambda model, epoch: progress({"epoch": epoch, "score": judge.score(model)}),
    )
    keeper = Keeper(store, checkpoint)
    fitted = fit_model(cut, spec, progress, plan, keeper)
    score = judge.score(fitted.model)
    keeper.forget()
    return {
        "score": score,
        "epochs": len(fitted.history),
        "best_epoch": fitted.best_epoch,
        "seconds": fitted.seconds,
        "parameters": int(fitted.model.count_params()),
    }


@final
class Judge:
    """Scores networks of one setting on its holdout, in units that all settings share.

    Args:
        panel: the table on its grid.
        cut: its windows.
        spec: the pipeline with the trial's knobs.
        levels: Q quantiles scored.
    """

    def __init__(
        self, panel: Panel, cut: StoredWindows, spec: PipelineSpec, levels: tuple[float, ...]
    ) -> None:
        from seqmodel.models.outputs import choose_head

        self.cut, self.spec, self.levels = cut, spec, levels
        self.head = choose_head(spec.output)
        self.reader = cut.reader(spec, in_target_unit=self.head.unit == "target")
        self.windows: Windows = cut.holdout.spread(SCORED)
        after = self.windows.starts[:, None] + spec.window.lookback
        self.actual: Floats = panel.values["target"][after + np.arange(spec.window.horizon)]
        self.scale = measure_units(panel, spec)[self.windows.series]

    def score(self, model: Any) -> float:
        """Return the mean score of the holdout's windows, infinite where it is not a number."""
        from seqmodel.predicting import predict_windows

        batch_size = self.spec.train.batch_size
        found = predict_windows(model, self.head, self.reader, self.windows, batch_size)
        if self.head.unit != "target":
            fitted = self.cut.fitted
            taught = self.cut.rows.series_codes[self.windows.series, 0] - 1
            found = fitted.inverse(found, fitted.scalers["target"], taught)
        return score_quantiles(self.actual, self._spread(found), self.levels, self.scale)

    def _spread(self, found: Floats) -> Floats:
        """Return a forecast of one number as that number at every level."""
        if found.shape[-1] == len(self.levels):
            return found
        median = found[:, :, self.spec.output.levels.index(MEDIAN)]
        return np.repeat(median[:, :, None], len(self.levels), axis=-1)


@final
class ClassJudge:
    """Scores networks of one setting on its holdout by the log loss of the class that came.

    Args:
        panel: rows of S series.
        cut: its windows.
        spec: the pipeline with the trial's knobs.
    """

    def __init__(self, panel: Panel, cut: StoredWindows, spec: PipelineSpec) -> None:
        from seqmodel.models.outputs import choose_head

        self.spec, self.classes = spec, cut.fitted.classes
        self.head, self.reader = choose_head(spec.output, len(self.classes)), cut.reader(spec)
        self.windows: Windows = cut.holdout.spread(SCORED)
        self.scoring = ClassScoring(spec, panel, self.windows)

    def score(self, model: Any) -> float:
        """Return the mean log loss of the holdout's windows, infinite where it is not a number."""
        from seqmodel.predicting import predict_windows

        size = self.spec.train.batch_size
        found = predict_windows(model, self.head, self.reader, self.windows, size)
        score = self.scoring.measure(Prediction(found, self.classes))["log_loss"]
        return score if np.isfinite(score) else float("inf")


def measure_units(panel: Panel, spec: PipelineSpec) -> Floats:
    """Return the units of `measure_errors` over training rows."""
    split = split_steps(int(panel.first.min()), panel.cutoff, spec)
    return measure_errors(panel, spec.source.season, split.train)


def measure_errors(panel: Panel, season: int, until: int) -> Floats:
    """Return S in-sample errors of the seasonal naive, the units of the score.

    A series without one, or whose naive is never wrong, gets the mean of the others, or 1.

    Args:
        panel: rows of S series.
        season: (steps).
        until: grid number of the last row that counts.
    """
    ends = panel.offsets[:-1] + np.maximum(until + 1 - panel.first, 0)
    units = measure_scale(panel.values["target"], panel.offsets, season, ends)
    seen = np.isfinite(units)
    return np.where(seen, units, units[seen].mean() if seen.any() else 1.0)


def score_quantiles(
    actual: Floats, quantiles: Floats, levels: tuple[float, ...], units: Floats
) -> float:
    """Return the mean over Q levels of twice the pinball loss, in units of each window.

    Args:
        actual: N x H targets, NaN where missing.
        quantiles: N x H x Q forecasts in the target's unit.
        levels: Q.
        units: N errors of the seasonal naive (target's unit).

    Returns:
        Lower is better; infinite where a forecast of an observed target is not a number, or
        where nothing was observed.
    """
    seen = np.isfinite(actual)
    if not seen.any() or not np.isfinite(quantiles[seen]).all():
        return float("inf")
    found = pinball(Scored(actual, quantiles, levels, units)) / units[:, None]
    return float(found[seen].mean())

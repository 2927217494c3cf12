"""Whatever forecasts: a network, an ensemble, either of them calibrated; all are asked alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.encoding import encode_panel
from seqmodel.ensembling import combine_forecasts
from seqmodel.features import Preprocessor
from seqmodel.gathering import WindowReader
from seqmodel.models.naive import Baseline
from seqmodel.panel import Panel
from seqmodel.predicting import predict_windows
from seqmodel.specs import PipelineSpec
from seqmodel.windows import Windows, index_cutoffs

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Predictor(Protocol):
    """Forecasts every series of a panel from every cutoff."""

    @property
    def levels(self) -> tuple[float, ...]:
        """Its Q quantile levels."""
        ...

    @property
    def history(self) -> int:
        """Rows before and at a cutoff that it reads (steps)."""
        ...

    @property
    def births(self) -> dict[str, int]:
        """Series seen in training -> grid number of its first observed step."""
        ...

    def predict(self, panel: Panel, cutoffs: Integers, least: int) -> tuple[Windows, Floats]:
        """Forecast.

        Args:
            panel: rows of S series.
            cutoffs: grid numbers, ascending.
            least: history that a series must have at a cutoff (steps).

        Returns:
            The N windows forecast, cutoff by cutoff, and N x H x Q in the target's unit.
        """
        ...


@final
@dataclass(frozen=True)
class Network:
    """A trained network.

    Attributes:
        model: Keras model.
        fitted: the preprocessor it was trained with.
        spec: the pipeline it was trained under.
    """

    model: Any
    fitted: Preprocessor
    spec: PipelineSpec

    @property
    def levels(self) -> tuple[float, ...]:
        """See `Predictor`."""
        return self.spec.output.levels

    @property
    def history(self) -> int:
        """See `Predictor`."""
        return self.spec.window.lookback + self.fitted.reach

    @property
    def births(self) -> dict[str, int]:
        """See `Predictor`."""
        return dict(zip(self.fitted.ids, self.fitted.births, strict=True))

    def predict(self, panel: Panel, cutoffs: Integers, least: int) -> tuple[Windows, Floats]:
        """See `Predictor`."""
        lookback = self.spec.window.lookback
        windows = index_cutoffs(panel.first, panel.offsets, lookback, cutoffs, least)
        quantiles = self._predict(panel, windows, int(cutoffs[0]))
        # The scale of a new series is that of its lookback, which is another at each cutoff; a
        # static covariate may be, too.
        moving = (self.fitted.find(panel.ids) < 0) | panel.changes_after(int(cutoffs[0]))
        new = np.flatnonzero(moving)
        for cutoff in cutoffs[1:] if len(new) else ():
            few = panel.take(new)
            chosen = index_cutoffs(few.first, few.offsets, lookback, np.array([cutoff]), least)
            at = windows.starts + lookback - 1 - (panel.offsets[:-1] - panel.first)[windows.series]
            places = np.flatnonzero((at == cutoff) & np.isin(windows.series, new))
            quantiles[places] = self._predict(few, chosen, int(cutoff))
        return windows, quantiles

    def _predict(self, panel: Panel, windows: Windows, until: int) -> Floats:
        from seqmodel.models.outputs import choose_head

        head, spec, fitted = choose_head(self.spec.output), self.spec, self.fitted
        scalers = fitted.align(panel, until)
        rows = encode_panel(fitted, panel, until=until, scalers=scalers)
        reader = WindowReader(rows, fitted.cut(spec, in_target_unit=head.unit == "target"))
        quantiles = predict_windows(self.model, head, reader, windows, spec.train.batch_size)
        if head.unit == "target":
            return quantiles
        return fitted.inverse(quantiles, scalers["target"], windows.series)


@final
@dataclass(frozen=True)
class Statistical:
    """A statistical baseline as a member of an ensemble.

    Attributes:
        baseline: what was measured on training rows.
        spec: the pipeline.
    """

    baseline: Baseline
    spec: PipelineSpec

    @property
    def levels(self) -> tuple[float, ...]:
        """See `Predictor`."""
        return self.baseline.levels

    @property
    def history(self) -> int:
        """See `Predictor`."""
        return self.spec.window.lookback + self.baseline.reach

    @property
    def births(self) -> dict[str, int]:
        """See `Predictor`."""
        return dict(zip(self.baseline.ids, self.baseline.begins.tolist(), strict=True))

    def predict(self, panel: Panel, cutoffs: Integers, least: int) -> tuple[Windows, Floats]:
        """See `Predictor`."""
        lookback, horizon = self.spec.window.lookback, self.spec.window.horizon
        windows = index_cutoffs(panel.first, panel.offsets, lookback, cutoffs, least)
        return windows, self.baseline.predict(panel, windows, lookback, horizon)


@final
@dataclass(frozen=True)
class Ensemble:
    """Several predictors as one.

    Attributes:
        spec: the pipeline of the ensemble; how to combine is said there.
        members: M predictors.
        weights: M weights where they were learned, None otherwise.
    """

    spec: PipelineSpec
    members: tuple[Predictor, ...]
    weights: tuple[float, ...] | None = None

    @property
    def levels(self) -> tuple[float, ...]:
        """See `Predictor`."""
        return self.spec.output.levels

    @property
    def history(self) -> int:
        """See `Predictor`."""
        return max(member.history for member in self.members)

    @property
    def births(self) -> dict[str, int]:
        """See `Predictor`."""
        found: dict[str, int] = {}
        for member in self.members:
            for series_id, number in member.births.items():
                found[series_id] = min(number, found.get(series_id, number))
        return found

    def predict(self, panel: Panel, cutoffs: Integers, least: int) -> tuple[Windows, Floats]:
        """See `Predictor`."""
        lookback = self.spec.window.lookback
        windows = index_cutoffs(panel.first, panel.offsets, lookback, cutoffs, least)
        forecasts = self.predict_members(panel, cutoffs, least)
        known = [member.levels for member in self.members]
        how = self.spec.model.combine
        return windows, combine_forecasts(forecasts, known, self.levels, how, self.weights)

    def predict_members(self, panel: Panel, cutoffs: Integers, least: int) -> list[Floats]:
        """Return the forecast of each member: M arrays of N x H x its own levels.

        A member without weight is not asked.
        """
        weights = self.weights or (1.0,) * len(self.members)
        asked = [
            m.predict(panel, cutoffs, least)[1] if w else None
            for m, w in zip(self.members, weights, strict=True)
        ]
        empty = next(a for a in asked if a is not None)[:, :, :0]
        return [empty if a is None else a for a in asked]

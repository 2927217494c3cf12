"""A predictor whose quantiles are calibrated: measured on the holdout, applied to every forecast.

    train ---------------| holdout: shifts |    backtest, nights to come
                                                   c-3  c-2  c-1 |  c
                                   adaptive levels learn from these  `- and are applied here

What adaptive levels learn from is forecast again, by the same version, at cutoffs before the one in
hand: a backtest, a re-run and a live run come to the same levels, from the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.calibration import PLACES, SPAN, Calibration, Units
from seqmodel.conformal import measure_scores, measure_shifts
from seqmodel.panel import Panel
from seqmodel.predictors import Predictor
from seqmodel.scoring.real import take_actuals
from seqmodel.specs import PipelineSpec
from seqmodel.windows import Windows

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
#: Windows of the holdout that are learned from, at most (unless one cutoff has more), and at least
#: where there are more cutoffs than those at the distance of the runs.
MOST_WINDOWS, LEAST_WINDOWS = 4096, 256
#: Series that are learned from, at most: levels need no more, and memory stays flat.
MOST_SERIES = 2048


class Span(NamedTuple):
    """The cutoffs of windows that nothing was trained on, as grid numbers.

    Attributes:
        first: of them.
        last: of them.
        ids: the series that this is true of; without any, of all.
    """

    first: int
    last: int
    ids: tuple[str, ...] = ()

    def among(self, ids: Sequence[str]) -> tuple[str, ...]:
        """Return those of some series that this is true of, in their order."""
        own = set(self.ids)
        return tuple(one for one in ids if one in own) if own else tuple(ids)


@final
@dataclass(frozen=True)
class Calibrated:
    """A predictor with its calibration.

    Attributes:
        inner: forecasts.
        calibration: shifts its quantiles.
        spec: the pipeline that was calibrated.
        moves: how far the levels have moved at each cutoff, where it was measured before on the
            series of a whole table; a part of them would say something else.
    """

    inner: Predictor
    calibration: Calibration
    spec: PipelineSpec
    moves: Mapping[int, Floats] | None = None

    @property
    def levels(self) -> tuple[float, ...]:
        """See `Predictor`."""
        return self.inner.levels

    @property
    def history(self) -> int:
        """See `Predictor`."""
        if not self.learns:
            return self.inner.history
        return self.inner.history + int(self._list_back()[0])

    @property
    def births(self) -> dict[str, int]:
        """See `Predictor`."""
        return self.inner.births

    @property
    def learns(self) -> bool:
        """Whether its levels are still to be moved by the newest cutoffs."""
        return self.calibration.kind == "adaptive" and self.moves is None

    @property
    def teachers(self) -> list[str]:
        """Ids of the series that its levels learn from."""
        return spread_out(self.calibration.units.ids, MOST_SERIES)

    def settle(self, panel: Panel, cutoffs: Integers, least: int) -> Calibrated:
        """Return it with its levels moved, so that parts of the series can be forecast alone.

        Args:
            panel: of the teachers at least.
            cutoffs: that will be forecast from.
            least: see `Predictor`.
        """
        return replace(self, moves=self._measure_moves(panel, cutoffs, least))

    def predict(self, panel: Panel, cutoffs: Integers, least: int) -> tuple[Windows, Floats]:
        """See `Predictor`."""
        moves = self.moves or {}
        if self.learns:
            moves = self._measure_moves(panel, cutoffs, least)
        windows, quantiles = self.inner.predict(panel, cutoffs, least)
        numbers = number_cutoffs(panel, windows, self.spec)
        scale = self._take_scale(panel, cutoffs, windows, numbers)
        if not moves:
            return windows, self.calibration.apply(quantiles, scale)
        for cutoff, moved in moves.items():
            some = numbers == cutoff
            quantiles[some] = self.calibration.apply(quantiles[some], scale[some], moved)
        return windows, quantiles

    def _take_scale(
        self, panel: Panel, cutoffs: Integers, windows: Windows, numbers: Integers
    ) -> Floats:
        """Return N scales; that of a series never measured is another at each cutoff."""
        units = self.calibration.units
        scale = units.align(panel, int(cutoffs[0]))[windows.series]
        if len(cutoffs) > 1 and not set(panel.ids) <= set(units.ids):
            for cutoff in cutoffs[1:]:
                some = numbers == cutoff
                scale[some] = units.align(panel, int(cutoff))[windows.series[some]]
        return scale

    def _list_back(self) -> Integers:
        """Return how far before a cutoff those lie that its levels learn from, farthest first."""
        calibration = self.calibration
        nearest = -(-calibration.horizon // calibration.step)
        return calibration.step * (nearest + np.arange(calibration.cutoffs)[::-1])

    def _measure_moves(self, panel: Panel, cutoffs: Integers, least: int) -> Mapping[int, Floats]:
        """Return how far the levels have moved at each cutoff."""
        calibration = self.calibration
        nowhere = np.zeros(len(self.levels))
        past = {int(c): (c - self._list_back()).tolist() for c in cutoffs}
        wanted = np.unique([p for all_of in past.values() for p in all_of])
        wanted = wanted[wanted >= calibration.after]
        measured = set(self.teachers)
        some = np.flatnonzero([series_id in measured for series_id in panel.ids])
        if not len(wanted) or not len(some):
            return dict.fromkeys(past, nowhere)
        few = panel.take(some)
        windows, quantiles = self.inner.predict(few, wanted, least)
        actual = take_actuals(few, windows, self.spec)
        scale = calibration.units.align(few, int(wanted[0]))[windows.series]
        numbers = number_cutoffs(few, windows, self.spec)
        places = {int(p): np.flatnonzero(numbers == p) for p in wanted}
        moves = {}
        for cutoff, before in past.items():
            moved = nowhere
            for at in (places[p] for p in before if p in places):
                moved = calibration.move(moved, quantiles[at], scale[at], actual[at])
            moves[cutoff] = moved
        return moves


def number_cutoffs(panel: Panel, windows: Windows, spec: PipelineSpec) -> Integers:
    """Return the grid numbers of the cutoffs of N windows."""
    begins = panel.offsets[:-1] - panel.first
    return windows.starts + spec.window.lookback - 1 - begins[windows.series]


def spread_out(ids: tuple[str, ...], most: int) -> list[str]:
    """Return at most `most` of the ids, evenly spaced."""
    if len(ids) <= most:
        return list(ids)
    return [ids[i] for i in np.linspace(0, len(ids) - 1, most).round().astype(np.int64)]


def choose_cutoffs(span: Span, step: int, series: int) -> Integers:
    """Return the cutoffs of the holdout to learn from, ascending.

    They lie as far apart as those of the backtest, as the runs to come do: at the same hour of the
    day. Where that leaves few windows all cutoffs are taken, evenly thinned.
    """
    alike = np.arange(span.last, span.first - 1, -step)[::-1]
    if len(alike) * series < LEAST_WINDOWS:
        alike = np.arange(span.first, span.last + 1)
    count = max(MOST_WINDOWS // max(series, 1), 1)
    places = np.linspace(0, len(alike) - 1, min(count, len(alike))).round().astype(np.int64)
    return np.asarray(alike[np.unique(places)])


def calibrate(predictor: Predictor, panel: Panel, spec: PipelineSpec, span: Span) -> Predictor:
    """Measure shifts on windows that a predictor was not trained on.

    Args:
        predictor: forecasts.
        panel: rows of S series up to the end of the holdout at least.
        spec: its output, forecast, window and backtest sections count.
        span: the cutoffs of the holdout.

    Returns:
        The predictor with its calibration; as it is where the spec wants none, or where it says
        nothing but a median, or classes.
    """
    output = spec.output
    if output.calibration == "none" or len(predictor.levels) < 2:  # noqa: PLR2004 - both ends
        return predictor
    lookback, season = spec.window.lookback, spec.source.season
    units = Units.fit(output.calibration_unit, panel, span.first, lookback, season)
    measured = set(spread_out(span.among(units.ids), MOST_SERIES))
    few = panel.take(np.flatnonzero([series_id in measured for series_id in panel.ids]))
    cutoffs = choose_cutoffs(span, spec.backtest.step, len(few.ids))
    windows, quantiles = predictor.predict(few, cutoffs, spec.window.least_rows)
    unit = units.measure(quantiles, predictor.levels, units.align(few, span.first)[windows.series])
    actual = take_actuals(few, windows, spec)
    scores = measure_scores(quantiles, actual, unit, predictor.levels, spec.forecast.whole)
    around = np.linspace(-SPAN, SPAN, PLACES).round(6) if output.calibration == "adaptive" else [0]
    offsets = tuple(float(o) for o in around)
    calibration = Calibration(
        kind=output.calibration,
        levels=predictor.levels,
        limits=spec.forecast,
        units=units,
        offsets=offsets,
        shifts=measure_shifts(scores, predictor.levels, offsets),
        windows=len(windows),
        after=span.first,
        step=spec.backtest.step,
        rate=output.adapt_rate,
        cutoffs=output.adapt_cutoffs,
    )
    return Calibrated(predictor, calibration, spec)

"""From a panel to the rows a network reads; what is fitted here travels in the model bundle.

row of a lookback (F):  target, observed | past ... | known ... | lags ... | calendar ...
row of a horizon  (K):                              | known ... | lags ... | calendar ...
a series:               static reals, static codes (0 = never seen in training)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.calendar_features import choose_cycles, make_calendar
from seqmodel.filling import fill_target
from seqmodel.panel import Panel
from seqmodel.scaling import Scaler
from seqmodel.specs import FeatureSpec, GridSpec, SourceSpec

Floats32 = NDArray[np.float32]
#: A scaled covariate beyond this is a fault of the sensor, not a signal.
CLIP = 10.0
UNFILLED = GridSpec()


@final
@dataclass(frozen=True)
class Rows:
    """R encoded rows of S series, the only thing windows are cut from.

    Attributes:
        past: R x F features of a lookback row; a missing number is 0, its mean.
        known: R x K features of a horizon row.
        target: R scaled targets, 0 where missing.
        weight: R ones where the target was observed, else zeros.
        reals: S x static reals, scaled.
        codes: S x static categories; 0 for one that was never seen in training.
    """

    past: Floats32
    known: Floats32
    target: Floats32
    weight: Floats32
    reals: Floats32
    codes: NDArray[np.int32]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, as they are stored."""
        return dict(self.__dict__)


@final
@dataclass(frozen=True)
class Preprocessor:
    """Feature order, scalers and category maps, fitted on training rows only.

    Attributes:
        source: roles of the columns.
        features: calendar and lags, both filled in.
        ids: S series seen in training.
        scalers: column -> statistics of the S series.
        categories: static column -> its categories; their codes count from 1.
        reals: static column -> (mean, spread) over series.
        grid: how short gaps of the target are filled in the lookback.
    """

    source: SourceSpec
    features: FeatureSpec
    ids: tuple[str, ...]
    scalers: dict[str, Scaler]
    categories: dict[str, tuple[str, ...]]
    reals: dict[str, tuple[float, float]]
    grid: GridSpec = UNFILLED

    @classmethod
    def fit(
        cls,
        panel: Panel,
        source: SourceSpec,
        features: FeatureSpec,
        until: int,
        grid: GridSpec = UNFILLED,
    ) -> Self:
        """Measure everything on rows up to a grid number.

        Args:
            panel: rows of S series.
            source: roles of the columns.
            features: calendar and lags; a calendar of None is chosen by freq.
            until: grid number of the last training row.
            grid: how short gaps of the target are filled in the lookback.
        """
        rows = panel.number_of_row <= until
        series = panel.series_of_row[rows]
        scalers = {
            name: Scaler.fit(values[rows], series, len(panel.ids))
            for name, values in panel.values.items()
        }
        categories, reals = {}, {}
        for name, values in panel.static.items():
            if values.dtype == object:
                categories[name] = tuple(sorted({str(v) for v in values if v is not None}))
            else:
                one = np.zeros(len(values), dtype=np.int32)
                scaler = Scaler.fit(values.astype(np.float64), one, 1)
                reals[name] = (float(scaler.mean[0]), float(scaler.spread[0]))
        if features.calendar is None:
            features = features.model_copy(update={"calendar": choose_cycles(panel.grid.step)})
        return cls(source, features, tuple(panel.ids), scalers, categories, reals, grid)

    @property
    def known_names(self) -> tuple[str, ...]:
        """Names of the K features of a horizon row."""
        lags = (f"target_lag_{lag}" for lag in self.features.lags)
        waves = (f"{c}_{w}" for c in self.features.calendar or () for w in ("sin", "cos"))
        return (*self.source.known, *lags, *waves)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the F features of a lookback row."""
        return ("target", "observed", *self.source.past, *self.known_names)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Codes of each static category, with 0 for the unseen."""
        return tuple(len(c) + 1 for c in self.categories.values())

    def align(self, panel: Panel, until: int) -> dict[str, Scaler]:
        """Return the scalers in the panel's order of series.

        A series never seen in training is scaled by its own rows up to the grid number `until`.
        """
        place = {series_id: i for i, series_id in enumerate(self.ids)}
        positions = np.array([place.get(i, -1) for i in panel.ids], dtype=np.int64)
        rows = (panel.number_of_row <= until) & (positions < 0)[panel.series_of_row]
        own = panel.series_of_row[rows]
        return {
            name: scaler.take(positions, Scaler.fit(panel.values[name][rows], own, len(panel.ids)))
            for name, scaler in self.scalers.items()
        }

    def encode(self, panel: Panel, *, until: int) -> Rows:
        """Encode every row of a panel; row r depends on nothing after r but known covariates.

        Where gaps are filled that holds at `until` and the panel's cutoffs only (see `filling`).
        What is filled is read in the lookback and is no target, no lag and not `observed`.

        Args:
            panel: rows of S series.
            until: grid number of the earliest cutoff that will be forecast from: series that
                were never seen in training are scaled by their rows up to here.
        """
        scalers, series = self.align(panel, until), panel.series_of_row
        history = panel.number_of_row <= panel.cutoff
        for name in self.features.in_target_unit:
            scalers[name] = scalers["target"]
        scaled = {
            name: scaler.transform(panel.values[name], series) for name, scaler in scalers.items()
        }
        target = np.where(history, scaled["target"], np.nan)
        observed = np.isfinite(target)
        known = self._encode_known(panel, scaled, target)
        past = [target, observed.astype(np.float64)]
        if self.grid.fill != "none":
            seen = fill_target(panel, self.grid, self.source.season, {*panel.cutoffs, until})
            past[0] = np.where(history, scalers["target"].transform(seen, series), np.nan)
        past += [_clip(scaled[name]) for name in self.source.past]
        return Rows(
            past=np.concatenate([_fill(np.stack(past, axis=1)), known], axis=1),
            known=known,
            target=_fill(target),
            weight=observed.astype(np.float32),
            reals=self._encode_reals(panel),
            codes=self._encode_codes(panel),
        )

    def _encode_known(
        self, panel: Panel, scaled: dict[str, NDArray[np.float64]], target: NDArray[np.float64]
    ) -> Floats32:
        columns = [_clip(scaled[name])[:, None] for name in self.source.known]
        rows = np.arange(panel.rows)
        begins = panel.offsets[:-1][panel.series_of_row]
        for lag in self.features.lags:
            inside = rows - lag >= begins
            columns.append(np.where(inside, target[np.maximum(rows - lag, 0)], np.nan)[:, None])
        # The calendar is the same for every series: made once for the grid, then taken.
        numbers = panel.number_of_row
        start = int(numbers.min()) if len(numbers) else 0
        moments = panel.grid.moment(np.arange(start, panel.end))
        cycles = self.features.calendar or ()
        calendar = make_calendar(moments, cycles, self.source.timezone)
        columns.append(calendar[numbers - start])
        return _fill(np.concatenate(columns, axis=1))

    def _encode_reals(self, panel: Panel) -> Floats32:
        columns = [
            _clip((panel.static[name] - mean) / spread)
            for name, (mean, spread) in self.reals.items()
        ]
        empty = np.empty((len(panel.ids), 0))
        return _fill(np.stack(columns, axis=1) if columns else empty)

    def _encode_codes(self, panel: Panel) -> NDArray[np.int32]:
        columns = []
        for name, categories in self.categories.items():
            codes = {c: i + 1 for i, c in enumerate(categories)}
            columns.append([0 if v is None else codes.get(str(v), 0) for v in panel.static[name]])
        return np.array(columns, dtype=np.int32).reshape(len(columns), len(panel.ids)).T

    def to_json(self) -> dict[str, Any]:
        """Return everything fitted as JSON."""
        return {
            "source": self.source.model_dump(mode="json"),
            "features": self.features.model_dump(mode="json"),
            "ids": list(self.ids),
            "scalers": {name: scaler.to_json() for name, scaler in self.scalers.items()},
            "categories": {name: list(c) for name, c in self.categories.items()},
            "reals": {name: list(r) for name, r in self.reals.items()},
            "grid": self.grid.model_dump(mode="json"),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Read what `to_json` returned."""
        return cls(
            source=SourceSpec.model_validate(value["source"]),
            features=FeatureSpec.model_validate(value["features"]),
            ids=tuple(value["ids"]),
            scalers={n: Scaler.from_json(s) for n, s in value["scalers"].items()},
            categories={n: tuple(c) for n, c in value["categories"].items()},
            reals={n: (r[0], r[1]) for n, r in value["reals"].items()},
            grid=GridSpec.model_validate(value.get("grid", {})),
        )


def _clip(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(values, -CLIP, CLIP)


def _fill(values: NDArray[np.float64]) -> Floats32:
    return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)

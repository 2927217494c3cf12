"""From a panel to the rows a network reads; what is fitted here travels in the model bundle.

row of a lookback (F):  target, observed | past ..., rolling ... | known, lags, age, calendar ...
row of a horizon  (K):                                           | known, lags, age, calendar ...
categories (C, D):                       | past ...              | known ...
a series:               static reals, static codes (0 = never seen in training)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.calendar_features import HOLIDAYS, choose_cycles
from seqmodel.filling import measure_reach
from seqmodel.labelling import list_categories, order_classes, weigh_classes
from seqmodel.panel import Panel
from seqmodel.rows import Cut
from seqmodel.scaling import Scaler, bend, choose_curve, unbend
from seqmodel.specs import FeatureSpec, GridSpec, PipelineSpec, ScalingSpec, SourceSpec

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
#: Sections of the spec that are kept with what was fitted.
SECTIONS: dict[str, Any] = {
    "source": SourceSpec,
    "features": FeatureSpec,
    "scaling": ScalingSpec,
    "grid": GridSpec,
}
#: Rolling statistics that move with the target's location.
LOCATED = ("mean", "min", "max")
#: Name of the time since the event before.
SINCE = "since"


@final
@dataclass(frozen=True)
class Preprocessor:
    """Feature order, scalers and category maps, fitted on training rows only.

    Attributes:
        source: roles of the columns.
        features: calendar, lags, rolling statistics; the calendar is filled in.
        scaling: scales of the target and of covariates; the curve is chosen.
        grid: how short gaps of the target are filled in the lookback.
        lookback: L; a series never seen in training is scaled by its newest L rows (steps).
        ids: S series seen in training.
        births: S grid numbers of the series' first observed steps.
        scalers: column -> statistics of the S series.
        categories: categorical column -> its categories; their codes count from 1.
        reals: static column -> (mean, spread) over series.
        weights: K weights in the loss of a target that is a class, whose names are
            `categories["target"]`; none of a number.
    """

    source: SourceSpec
    features: FeatureSpec
    scaling: ScalingSpec
    grid: GridSpec
    lookback: int
    ids: tuple[str, ...]
    births: tuple[int, ...]
    scalers: dict[str, Scaler]
    categories: dict[str, tuple[str, ...]]
    reals: dict[str, tuple[float, float]]
    weights: tuple[float, ...] = ()
    _places: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        places = {series_id: i for i, series_id in enumerate(self.ids)}
        object.__setattr__(self, "_places", places)

    @classmethod
    def fit(cls, panel: Panel, spec: PipelineSpec, until: int | Integers) -> Self:
        """Measure everything on rows up to a grid number.

        Args:
            panel: rows of S series.
            spec: source, features, scaling, grid and window sections count.
            until: number of the last training row, or S numbers, one for each series.

        Raises:
            DataError: if a target that is a class has fewer than two in the training rows.
        """
        rows = panel.until(until)
        categories, reals = {}, {}
        for name, labels in panel.labels.items():
            categories[name] = list_categories(labels, rows, spec.features.minimum_count)
        taught = np.unique(panel.series_of_row[rows])
        for name, values in panel.static_at(until).items():
            if values.dtype == object:
                categories[name] = tuple(sorted({str(v) for v in values[taught] if v is not None}))
            else:
                one = np.zeros(len(taught), dtype=np.int32)
                scaler = Scaler.fit(values[taught].astype(np.float64), one, 1)
                reals[name] = (float(scaler.location[0]), float(scaler.spread[0]))
        features = spec.features
        if features.calendar is None:
            # A list says in which order its elements came, not when.
            cycles = () if spec.source.layout == "sequences" else choose_cycles(panel.grid)
            features = features.model_copy(update={"calendar": cycles})
        weights: tuple[float, ...] = ()
        scaling = spec.scaling
        if spec.output.of_classes:
            names = order_classes(categories["target"], spec)
            categories["target"] = names
            weights = weigh_classes(panel.labels["target"], rows, names, spec.output.class_weight)
        else:
            curve = choose_curve(scaling.transform, panel.values["target"][rows])
            scaling = scaling.model_copy(update={"transform": curve})
        # A series of events is known by any of them, one on a grid by its first target.
        there = panel.moments is not None or panel.seen
        seen = np.flatnonzero(rows & there)
        series, first = np.unique(panel.series_of_row[seen], return_index=True)
        numbers = panel.number_of_row[seen[first]]
        scalers = measure_scalers(panel, rows, spec.source, scaling)
        return cls(
            source=spec.source,
            features=features,
            scaling=scaling,
            grid=spec.grid,
            lookback=spec.window.lookback,
            ids=tuple(panel.ids[s] for s in series),
            births=tuple(numbers.tolist()),
            scalers=scalers
            if spec.source.irregular
            else {name: scaler.choose(series) for name, scaler in scalers.items()},
            categories=categories,
            reals=reals,
            weights=weights,
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the K classes of the target, the positive one last; none of a number."""
        return self.categories["target"] if self.source.of_classes else ()

    @property
    def past_names(self) -> tuple[str, ...]:
        """Names of the features that only a lookback row has."""
        rolled = (f"target_{r.statistic}_{r.steps}" for r in self.features.rolling)
        # When the next event will be nobody knows: calendar and pause belong to the past.
        events = (SINCE, *self._waves) if self.source.timed else ()
        return ("target", "observed", *self._real(self.source.past), *rolled, *events)

    @property
    def known_names(self) -> tuple[str, ...]:
        """Names of the K features of a horizon row."""
        f = self.features
        lags = (f"target_lag_{lag}" for lag in f.lags)
        waves = () if self.source.irregular else self._waves
        age = ("age",) if f.age else ()
        days = HOLIDAYS if f.holidays else ()
        return (*self._real(self.source.known), *lags, *age, *waves, *days)

    @property
    def _waves(self) -> tuple[str, ...]:
        return tuple(f"{c}_{w}" for c in self.features.calendar or () for w in ("sin", "cos"))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the F features of a lookback row."""
        return (*self.past_names, *self.known_names)

    def _real(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in columns if name not in self.categories)

    @property
    def target_columns(self) -> tuple[int, ...]:
        """Positions among `names` of what is measured in the target's scale."""
        f = self.features
        located = {
            "target",
            *f.in_target_unit,
            *(f"target_lag_{lag}" for lag in f.lags),
            *(f"target_{r.statistic}_{r.steps}" for r in f.rolling if r.statistic in LOCATED),
        }
        return tuple(i for i, name in enumerate(self.names) if name in located)

    @property
    def code_names(self) -> tuple[str, ...]:
        """Names of the C categorical columns of a row, those known through the horizon last.

        The first is the target itself, if it is a class; but for sequences, which have one label.
        """
        own = ("target",) if self.source.layout != "sequences" else ()
        columns = (*own, *self.source.past, *self.source.known)
        return tuple(name for name in columns if name in self.categories)

    @property
    def known_codes(self) -> int:
        """D, how many of `code_names` are known through the horizon."""
        return sum(name in self.categories for name in self.source.known)

    @property
    def static_names(self) -> tuple[str, ...]:
        """Names of the B categorical static covariates."""
        return tuple(name for name in self.source.static if name in self.categories)

    def count_codes(self, names: tuple[str, ...]) -> tuple[int, ...]:
        """Return how many codes some categorical columns have, 0 (unseen) included."""
        return tuple(len(self.categories[name]) + 1 for name in names)

    @property
    def reach(self) -> int:
        """How far before a row its features look (steps)."""
        rolled = (r.steps - 1 for r in self.features.rolling)
        held = self.lookback if self.features.missing == "forward" else 0
        filled = measure_reach(self.grid, self.source.season)
        return max((*self.features.lags, *rolled, held)) + filled

    def cut(self, spec: PipelineSpec, *, in_target_unit: bool = False) -> Cut:
        """Return how windows are cut from the rows encoded here.

        Args:
            spec: window, model and train sections count.
            in_target_unit: whether the network speaks of counts instead of scaled numbers.
        """
        return Cut(
            lookback=spec.window.lookback,
            horizon=spec.window.horizon,
            known=len(self.known_names),
            known_codes=self.known_codes,
            scale=self.scaling.window,
            season=self.source.season,
            cycle=spec.model.cycle or self.source.season,
            target_columns=self.target_columns,
            in_target_unit=in_target_unit,
            weigh=spec.train.weigh,
            transform=self.scaling.transform,
            class_weights=self.weights,
        )

    def find(self, ids: list[str]) -> Integers:
        """Return the positions of some series among those of the training, -1 for the others."""
        return np.array([self._places.get(i, -1) for i in ids], dtype=np.int64)

    def align(self, panel: Panel, until: int | Integers) -> dict[str, Scaler]:
        """Return the scalers in the panel's order of series.

        A series never seen in training is scaled by its own newest L rows up to the grid number
        `until`; where these say nothing, by the mean of the training's series.
        """
        positions = self.find(panel.ids)
        if len(self.ids) and (positions >= 0).all() and not self.source.irregular:
            return {n: scaler.choose(positions) for n, scaler in self.scalers.items()}
        rows = self.list_newest(panel, until) & panel.spread(positions < 0)
        own = measure_scalers(panel, rows, self.source, self.scaling)
        found = {}
        if self.source.irregular:
            # One scale for all series: none of them is new to it.
            everywhere = np.zeros(len(panel.ids), dtype=np.int64)
            return {n: scaler.take(everywhere, own[n]) for n, scaler in self.scalers.items()}
        for name, scaler in self.scalers.items():
            seen = np.zeros(len(panel.ids), dtype=bool)
            seen[panel.series_of_row[rows & np.isfinite(panel.values[name])]] = True
            found[name] = scaler.take(positions, scaler.average(own[name], seen))
        return found

    def list_newest(self, panel: Panel, until: int | Integers) -> NDArray[np.bool_]:
        """Mark the newest L rows of every series up to a grid number."""
        return panel.until(until) & ~panel.until(np.asarray(until) - self.lookback)

    def inverse(self, values: Floats, scaler: Scaler, series: NDArray[np.int32]) -> Floats:
        """Bring N x ... numbers of N numbered series back to the target's unit."""
        return unbend(scaler.inverse(values, series), self.scaling.transform)

    def to_json(self) -> dict[str, Any]:
        """Return everything fitted as JSON."""
        return {
            **{name: getattr(self, name).model_dump(mode="json") for name in SECTIONS},
            "lookback": self.lookback,
            "ids": list(self.ids),
            "births": list(self.births),
            "scalers": {name: scaler.to_json() for name, scaler in self.scalers.items()},
            "categories": {name: list(c) for name, c in self.categories.items()},
            "reals": {name: list(r) for name, r in self.reals.items()},
            "weights": list(self.weights),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Read what `to_json` returned."""
        return cls(
            **{name: kind.model_validate(value[name]) for name, kind in SECTIONS.items()},
            lookback=value["lookback"],
            ids=tuple(value["ids"]),
            births=tuple(value["births"]),
            scalers={n: Scaler.from_json(s) for n, s in value["scalers"].items()},
            categories={n: tuple(c) for n, c in value["categories"].items()},
            reals={n: (r[0], r[1]) for n, r in value["reals"].items()},
            weights=tuple(value.get("weights", ())),
        )


def measure_scalers(
    panel: Panel, rows: NDArray[np.bool_], source: SourceSpec, scaling: ScalingSpec
) -> dict[str, Scaler]:
    """Measure the target and the real covariates of a panel's series on some of its rows.

    Args:
        panel: rows of S series.
        rows: which of the R rows count.
        source: its season counts.
        scaling: which scales.
    """
    scalers = {}
    if source.irregular:
        # Of a few events no scale can be measured: all series share one.
        everywhere = np.zeros(panel.rows, dtype=np.int32)
        return {
            name: Scaler.fit(np.where(rows, values, np.nan), everywhere, 1, scaling.covariates)
            for name, values in panel.values.items()
        }
    for name, values in panel.values.items():
        target = name == "target"
        scalers[name] = Scaler.fit(
            np.where(rows, bend(values, scaling.transform) if target else values, np.nan),
            panel.series_of_row,
            len(panel.ids),
            scaling.series if target else scaling.covariates,
            source.season,
        )
    return scalers

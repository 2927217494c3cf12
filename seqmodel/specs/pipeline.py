"""What is published, and the whole pipeline."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, WithJsonSchema, field_validator, model_validator

from seqmodel.specs.backtest import BacktestSpec
from seqmodel.specs.base import Share, Spec, check_no_secret, check_order
from seqmodel.specs.classes import check_classes, declare_target
from seqmodel.specs.members import list_members
from seqmodel.specs.model import ModelSpec, OutputSpec
from seqmodel.specs.monitor import MonitorSpec
from seqmodel.specs.promotion import PromotionSpec, RegistrySpec
from seqmodel.specs.runner import RunnerSpec
from seqmodel.specs.source import GridSpec, QualitySpec, SourceSpec
from seqmodel.specs.train import TrainSpec
from seqmodel.specs.tune import FIXED, TUNABLE, RangeSpec, TuneSpec
from seqmodel.specs.window import FeatureSpec, ScalingSpec, WindowSpec


class ForecastSpec(Spec):
    """How the forecast is made, and limits on what is published."""

    shards: int | None = Field(
        None,
        ge=1,
        le=500,
        description="parts of the series that are forecast apart, each a task that can be tried"
        " again alone; by default one for every two million rows of the table (shards)",
    )
    at_once: int = Field(
        2, ge=1, le=64, description="processes that work at shards at the same time (processes)"
    )
    runtime: Literal["onnx", "keras"] = Field(
        "onnx",
        description="what runs the networks of a table in several shards: onnx starts at once and"
        " in little memory, keras is quicker for recurrent networks over hundreds of thousands of"
        " series and runs those of half precision in any case (a name)",
    )
    stale: int | None = Field(
        None,
        ge=0,
        description="age of a series' newest target at which it counts as ended and is skipped; by"
        " default as far back as the model reads (steps)",
    )
    sanity: Literal["critical", "warning", "info"] = Field(
        "warning",
        description="a series whose forecast is not finite, not ascending or out of bounds:"
        " critical refuses the run, warning publishes the baseline's forecast of it instead, info"
        " publishes what is finite as it is; counted in any case",
    )
    bound: float | None = Field(
        100.0,
        gt=0,
        description="distance from all that was observed in what the model reads at which a"
        " forecast is out of bounds (times the greatest size observed)",
    )
    max_failed: Share = Field(
        0.05,
        description="share of series with the baseline's forecast instead before the run is"
        " refused",
    )

    minimum: float | None = Field(None, description="least forecast possible (target's unit)")
    maximum: float | None = Field(None, description="greatest forecast possible (target's unit)")

    deadline: float = Field(
        3600, gt=0, description="time after which the forecast's process is ended (seconds)"
    )
    whole: Annotated[
        Literal["none", "median", "all"],
        # The server checks deployments by the schema alone, before anything is read.
        WithJsonSchema({"enum": ["none", "median", "all", False, True]}),
    ] = Field(
        "none",
        description="publish whole numbers, as the target is a count: none, the median alone, or"
        " all quantiles (also false and true), whose intervals cover more than they say",
    )

    sink: str | None = Field(
        None,
        description="where the rows go after they are published: an SQLAlchemy URL of SQLite or"
        " PostgreSQL without a password (that is the environment's), or delta:///folder (extra"
        " [delta]); nowhere by default",
    )
    sink_table: str = Field(
        "forecasts",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$",
        description="table of the sink; a row with the same series, cutoff and step is replaced,"
        " in Delta Lake every row of the cutoff",
    )

    @field_validator("sink")
    @classmethod
    def _check_sink(cls, value: str | None) -> str | None:
        if value is None:
            return None
        scheme, _, rest = value.partition("://")
        if scheme.partition("+")[0] not in {"sqlite", "postgresql", "delta"} or not rest:
            raise ValueError(
                f"found a URL of {scheme[:20]!r}, needed sqlite:///, postgresql:// or delta:///;"
                " correct it"
            )
        return check_no_secret(value)

    @field_validator("whole", mode="before")
    @classmethod
    def _read_whole(cls, value: Any) -> Any:
        words = {"false": "none", "true": "all"}
        return words.get(str(value).lower(), value)

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        check_order(self.minimum, self.maximum)
        return self


class PipelineSpec(Spec):
    """One pipeline: from its source to its forecasts."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
        description="name of the pipeline and of its folder (lowercase letters, digits, dashes)",
    )
    source: SourceSpec
    grid: GridSpec = GridSpec()
    quality: QualitySpec = QualitySpec()
    window: WindowSpec = WindowSpec()
    features: FeatureSpec = FeatureSpec()
    scaling: ScalingSpec = ScalingSpec()
    model: ModelSpec = ModelSpec()
    output: OutputSpec = OutputSpec()
    train: TrainSpec = TrainSpec()
    backtest: BacktestSpec = BacktestSpec()
    promotion: PromotionSpec = PromotionSpec()
    registry: RegistrySpec = RegistrySpec()
    forecast: ForecastSpec = ForecastSpec()
    runner: RunnerSpec = RunnerSpec()
    monitor: MonitorSpec = MonitorSpec()
    tune: TuneSpec = TuneSpec()

    @property
    def baseline(self) -> str:
        """What a model must beat."""
        usual = "markov" if self.output.of_classes else "seasonal_naive"
        # A sequence has one label, and so no last one.
        alone = self.source.layout == "sequences"
        return self.backtest.baseline or ("class_frequency" if alone else usual)

    @model_validator(mode="before")
    @classmethod
    def _declare_classes(cls, values: Any) -> Any:
        """Count the target among the categories where the output says that it is a class."""
        return declare_target(values) if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _check_classes(self) -> Self:
        check_classes(self)
        return self

    @model_validator(mode="after")
    def _check_units(self) -> Self:
        other = sorted(set(self.features.in_target_unit) - set(self.source.known))
        if other:
            raise ValueError(
                f"found {other[0]!r} in features.in_target_unit, needed columns of source.known;"
                " declare it there or take it out"
            )
        return self

    @model_validator(mode="after")
    def _check_groups(self) -> Self:
        group = self.promotion.group_by
        if group is not None and group not in self.source.static:
            raise ValueError(
                f"found promotion.group_by {group!r}, needed a column of source.static; declare it"
                " there or leave it out"
            )
        return self

    @model_validator(mode="after")
    def _check_shown(self) -> Self:
        reference, groups = self.backtest.reference, self.backtest.groups
        if reference and reference not in self.source.known:
            raise ValueError(
                f"found backtest.reference {reference!r}, needed a column of source.known; declare"
                " it there or take it out"
            )
        other = sorted(set(groups) - set(self.source.static))
        if other:
            raise ValueError(
                f"found {other[0]!r} in backtest.groups, needed columns of source.static; declare"
                " it there or take it out"
            )
        return self

    @model_validator(mode="after")
    def _check_refit(self) -> Self:
        if self.backtest.refit and (self.output.of_classes or self.source.irregular):
            raise ValueError(
                "found backtest.refit for classes or events, needed numbers on a grid, whose"
                " cutoffs follow one another by backtest.step; take it out"
            )
        return self

    @model_validator(mode="after")
    def _check_ablation(self) -> Self:
        inputs = {*self.source.covariates, "calendar", "holidays", "age", "lags", "rolling"}
        for group, names in self.backtest.ablation.items():
            other = sorted(set(names) - inputs)
            if other or not names:
                raise ValueError(
                    f"found {other[0] if other else 'nothing'!r} in backtest.ablation {group!r},"
                    " needed covariates of the source, or calendar, holidays, age, lags or rolling;"
                    " correct it"
                )
        return self

    @model_validator(mode="after")
    def _check_counts(self) -> Self:
        if self.output.kind != "negative_binomial":
            return self
        wanted = {
            "scaling.series": (self.scaling.series, "mean_abs"),
            "scaling.transform": (self.scaling.transform, "none"),
            "scaling.window": (self.scaling.window, "none"),
        }
        if self.model.reads("normalise"):
            wanted["model.normalise"] = (self.model.normalise, "none")
        wrong = {name: pair for name, pair in wanted.items() if pair[0] != pair[1]}
        if wrong:
            found = ", ".join(f"{name} {value!r}" for name, (value, _) in wrong.items())
            needed = ", ".join(f"{name} {value}" for name, (_, value) in wrong.items())
            raise ValueError(
                f"found output.kind negative_binomial with {found}, needed {needed}: its mean is a"
                " multiple of the series' mean size; set these or choose another distribution"
            )
        return self

    @model_validator(mode="after")
    def _check_members(self) -> Self:
        if self.model.kind == "ensemble":
            for level in self.output.levels:
                if not any(m.baseline or level in m.spec.output.levels for m in list_members(self)):
                    raise ValueError(
                        f"found no member of the ensemble that forecasts the quantile {level:g},"
                        " needed one at least; give one of model.members another output.kind"
                    )
        return self

    @model_validator(mode="after")
    def _check_lags(self) -> Self:
        doubled = [lag for lag in self.features.lags if self.features.lags.count(lag) > 1]
        if doubled:
            raise ValueError(
                f"found features.lags {doubled[0]} twice, needed each lag once; remove one of them"
            )
        short = [lag for lag in self.features.lags if lag < self.window.horizon]
        if short:
            raise ValueError(
                f"found features.lags {short[0]} below window.horizon {self.window.horizon}, needed"
                " lags that are known through the whole horizon; raise the lag or shorten the"
                " horizon"
            )
        return self

    @model_validator(mode="after")
    def _check_ranges(self) -> Self:
        knobs = list_tunable()
        for path, values in self.tune.ranges.items():
            if path not in knobs:
                near = get_close_matches(path, knobs, 1)
                hint = f", perhaps {near[0]}" if near else ""
                raise ValueError(
                    f"found tune.ranges {path!r}, needed a knob of {', '.join(TUNABLE)} that leaves"
                    f" the holdout as it is{hint}; correct it or take it out"
                )
            _check_range(path, values, self.read(path))
        return self

    def read(self, path: str) -> Any:
        """Return the value of a knob by its dotted path."""
        value: Any = self
        for name in path.split("."):
            value = getattr(value, name)
        return value


def list_tunable() -> list[str]:
    """Return the paths of the knobs that may be tuned."""
    found = []
    for section in TUNABLE:
        kind = PipelineSpec.model_fields[section].annotation
        assert isinstance(kind, type)  # noqa: S101 - each section is a class
        assert issubclass(kind, BaseModel)  # noqa: S101 - the same
        found += [f"{section}.{name}" for name in kind.model_fields]
    return [path for path in found if path not in FIXED]


def _check_range(path: str, values: RangeSpec, now: Any) -> None:
    """Refuse a range of numbers for a knob that is none, or of fractions for a whole one."""
    if values.choices:
        return
    number = not isinstance(now, (bool, str))
    if not number:
        raise ValueError(
            f"found low and high for tune.ranges {path!r}, needed choices: the knob is {now!r}, not"
            " a number; list them"
        )
    if isinstance(now, int) and not values.whole:
        raise ValueError(
            f"found tune.ranges {path!r} with a fraction, needed whole numbers for low, high and"
            f" step: the knob is {now}; round them"
        )

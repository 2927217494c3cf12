"""What a target that is a class asks of the other knobs: nothing that adds, scales or averages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from seqmodel.specs.model import CLASSES

if TYPE_CHECKING:
    from seqmodel.specs.pipeline import PipelineSpec

ClassBaseline = Literal["majority", "class_frequency", "markov", "single_feature"]
REAL_BASELINES = ("seasonal_naive", "naive", "drift")
REAL_METRICS = ("mase", "mae", "rmse", "wql")
#: Knobs that only numbers have, and the values that leave a class alone: none, or the default,
#: which a class then passes over.
NUMERIC: dict[str, tuple[Any, ...]] = {
    "scaling.series": ("none", "standard"),
    "scaling.transform": ("none",),
    "scaling.window": ("none",),
    "model.normalise": ("none", "last"),
    "model.learn_cycle": (False,),
    "train.weigh": ("even",),
    "features.lags": ((),),
    "features.rolling": ((),),
    "features.in_target_unit": ((),),
    "grid.fill": ("none",),
    "grid.resample": (None,),
    "forecast.minimum": (None,),
    "forecast.maximum": (None,),
    "forecast.whole": ("none",),
    "quality.minimum": (None,),
    "quality.maximum": (None,),
}
#: Knobs that need a grid of equal steps.
GRIDDED: dict[str, tuple[Any, ...]] = {
    "features.holidays": (None,),
    "features.age": (False,),
    "backtest.gap": (0,),
    "window.stride": (1,),
}


def declare_target(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a pipeline with a target that is a class among the categories."""
    output, source = values.get("output"), values.get("source")
    kind = output.get("kind") if isinstance(output, dict) else getattr(output, "kind", None)
    if kind not in CLASSES or source is None:
        return values
    if isinstance(source, dict):
        target, named = source.get("target", "target"), source.get("categorical") or ()
        # What is not a list of columns is left for the source's own sentence.
        if isinstance(named, (list, tuple)) and target not in named:
            return {**values, "source": {**source, "categorical": [*named, target]}}
        return values
    if source.target in source.categorical:
        return values
    declared = (*source.categorical, source.target)
    return {**values, "source": source.model_copy(update={"categorical": declared})}


def check_classes(spec: PipelineSpec) -> None:
    """Refuse knobs that do not go with the kind of target.

    Raises:
        ValueError: naming them.
    """
    kind, source = spec.output.kind, spec.source
    if not spec.output.of_classes:
        _check_number(spec)
        return
    _refuse_others(spec, NUMERIC, f"output.kind {kind!r}", "a class has no size")
    if source.irregular:
        _refuse_others(spec, GRIDDED, "source.freq none", "events have no grid")
    if spec.model.kind == "ensemble":
        raise ValueError(
            f"found model.kind ensemble with output.kind {kind!r}, needed one network: members are"
            " combined quantile by quantile; choose another"
        )
    if source.layout == "wide":
        raise ValueError(
            f"found output.kind {kind!r} with source.layout wide, needed a column of labels; bring"
            " a long table, or one row a sequence with layout sequences"
        )
    if source.layout == "sequences" and spec.window.horizon != 1:
        raise ValueError(
            f"found window.horizon {spec.window.horizon} with source.layout sequences, needed 1: a"
            " sequence has one label; set it"
        )
    for knob, value, real in (
        ("backtest.baseline", spec.backtest.baseline, REAL_BASELINES),
        ("promotion.metric", spec.promotion.metric, REAL_METRICS),
    ):
        if value in real:
            raise ValueError(
                f"found {knob} {value} with output.kind {kind!r}, needed one of classes; take it"
                " out or choose another"
            )
    binary = ("roc_auc", "average_precision")
    if spec.promotion.metric in (binary if kind == "categorical" else ("top_k",)):
        raise ValueError(
            f"found promotion.metric {spec.promotion.metric} with output.kind {kind!r}, needed one"
            " that it has; choose log_loss or accuracy"
        )
    if spec.output.positive is not None and kind != "binary":
        raise ValueError(
            f"found output.positive {spec.output.positive!r} with output.kind {kind!r}, needed"
            " binary; take it out"
        )


def _check_number(spec: PipelineSpec) -> None:
    kind, source = spec.output.kind, spec.source
    if source.of_classes:
        raise ValueError(
            f"found the target {source.target!r} in source.categorical with output.kind {kind!r},"
            " needed binary or categorical; set it, or take the target out"
        )
    if source.irregular:
        raise ValueError(
            f"found source.freq none with output.kind {kind!r}, needed binary or categorical:"
            " numbers are forecast on a grid; name its step, or resample to one"
        )
    for knob, value, real in (
        ("backtest.baseline", spec.backtest.baseline, REAL_BASELINES),
        ("promotion.metric", spec.promotion.metric, REAL_METRICS),
    ):
        if value is not None and value not in real:
            raise ValueError(
                f"found {knob} {value} with output.kind {kind!r}, needed one of numbers"
                f" ({', '.join(real)}); choose one, or set output.kind to binary or categorical"
            )


def _refuse_others(
    spec: PipelineSpec, knobs: dict[str, tuple[Any, ...]], cause: str, why: str
) -> None:
    for knob, allowed in knobs.items():
        section, _, name = knob.partition(".")
        value = getattr(getattr(spec, section), name)
        if value not in allowed:
            raise ValueError(
                f"found {knob} {value!r} with {cause}, needed {allowed[0]!r}: {why}; take it out"
            )

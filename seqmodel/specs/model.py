"""What the network is and what it says about the target."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from seqmodel.specs.base import Spec
from seqmodel.specs.members import MemberSpec

MEDIAN = 0.5
RECURRENT = ("gru", "lstm", "rnn")
#: Outputs for targets that are classes.
CLASSES = ("binary", "categorical")


def _read_by(*kinds: str) -> dict[str, Any]:
    """Say which kinds of network read a knob; the others refuse it."""
    return {"read_by": list(kinds)}


class ModelSpec(Spec):
    """The network: its kind, and the knobs that this kind reads."""

    kind: Literal["gru", "lstm", "rnn", "seq2seq", "segment", "attention", "ensemble"] = Field(
        "gru", description="model of the registry"
    )
    units: int | tuple[int, ...] = Field(
        64, description="width of a layer, or of each layer in a list (cells)"
    )
    layers: int = Field(
        1, ge=1, le=8, description="layers, one above the other, where units is one number (layers)"
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="share of activations dropped in training")
    embedding: int = Field(
        0,
        ge=0,
        le=256,
        description="width of what is learned about each series, 0 for nothing (cells)",
    )
    category_width: int = Field(
        16, ge=1, le=1024, description="widest embedding of a categorical column (cells)"
    )
    spatial_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the embeddings' columns dropped in training, each for all steps of a"
        " window (SpatialDropout1D)",
    )
    recurrent_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the state dropped between steps in training (slow)",
        json_schema_extra=_read_by(*RECURRENT),
    )
    bidirectional: bool = Field(
        default=False,
        description="read the lookback in both directions",
        json_schema_extra=_read_by(*RECURRENT),
    )
    layer_normalization: bool = Field(
        default=False,
        description="normalise what each layer passes on",
        json_schema_extra=_read_by(*RECURRENT),
    )
    residual: bool = Field(
        default=False,
        description="add what enters a layer to what leaves it, where the widths agree",
        json_schema_extra=_read_by(*RECURRENT),
    )
    skip: bool = Field(
        default=False,
        description="add a straight line of what is known about a step to the network's answer:"
        " where a known covariate is itself a forecast, the network learns what differs from it",
        json_schema_extra=_read_by(*RECURRENT),
    )
    kernel_l2: float = Field(
        0.0,
        ge=0,
        description="weight of the squared input kernels in the loss",
        json_schema_extra=_read_by(*RECURRENT),
    )
    recurrent_l2: float = Field(
        0.0,
        ge=0,
        description="weight of the squared recurrent kernels in the loss",
        json_schema_extra=_read_by(*RECURRENT),
    )
    cell: Literal["gru", "lstm"] = Field(
        "gru", description="recurrent cell", json_schema_extra=_read_by("seq2seq", "segment")
    )
    attention: bool = Field(
        default=False,
        description="let each step of the horizon look at all steps of the lookback",
        json_schema_extra=_read_by("seq2seq"),
    )
    heads: int = Field(
        4,
        ge=1,
        le=64,
        description="attention heads (heads)",
        json_schema_extra=_read_by("attention", "seq2seq"),
    )
    segment: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="length of a segment, by default the season, at most the lookback and the"
        " horizon (steps)",
        json_schema_extra=_read_by("segment", "attention"),
    )
    normalise: Literal["none", "last", "seasonal"] = Field(
        "last",
        description="what the network subtracts from each window and adds to its forecast: nothing,"
        " the newest value, or the newest season, in units of the mean seasonal difference",
        json_schema_extra=_read_by("segment", "attention"),
    )
    gates: bool = Field(
        default=True,
        description="blend in the season a cycle ago by learned gates, where the"
        " lookback holds the cycle and normalise is seasonal",
        json_schema_extra=_read_by("segment", "attention"),
    )
    cycle: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="length of a longer season, such as 168 hours, that normalise seasonal compares"
        " with where the lookback holds it (steps)",
        json_schema_extra=_read_by("segment", "attention"),
    )
    learn_cycle: bool = Field(
        default=False,
        description="learn the mean course of the cycle and forecast what differs from it",
        json_schema_extra=_read_by("segment", "attention"),
    )

    members: tuple[MemberSpec, ...] = Field(
        (),
        description="members of the ensemble: each a baseline, or a network with the knobs that"
        " differ from those given here; without any one network of the default kind",
        json_schema_extra=_read_by("ensemble"),
    )
    seeds: int = Field(
        1,
        ge=1,
        le=64,
        description="times each network of the ensemble is trained, with seeds that follow one"
        " another (networks)",
        json_schema_extra=_read_by("ensemble"),
    )
    combine: Literal["median", "mean", "weights"] = Field(
        "median",
        description="what the members' forecasts are combined by, quantile by quantile: their"
        " median, mean, or a mean with weights learned on the holdout",
        json_schema_extra=_read_by("ensemble"),
    )
    at_once: int = Field(
        1,
        ge=1,
        le=64,
        description="members trained at once, each in a process of its own (processes)",
        json_schema_extra=_read_by("ensemble"),
    )

    @field_validator("units")
    @classmethod
    def _check_units(cls, units: int | tuple[int, ...]) -> int | tuple[int, ...]:
        widths = (units,) if isinstance(units, int) else units
        if not widths or not all(1 <= width <= 4096 for width in widths):  # noqa: PLR2004
            raise ValueError(
                f"found units {list(widths)}, needed a width from 1 to 4096 for each of one layer"
                " at least; write one number, or a list such as [64, 32]"
            )
        return units

    @model_validator(mode="after")
    def _check_knobs(self) -> Self:
        for name in sorted(self.model_fields_set):
            extra = type(self).model_fields[name].json_schema_extra
            kinds = extra.get("read_by") if isinstance(extra, dict) else None
            default = type(self).model_fields[name].default
            if isinstance(kinds, list) and not self._takes(kinds):
                if getattr(self, name) == default:
                    continue
                readers = ", ".join(str(kind) for kind in kinds)
                raise ValueError(
                    f"found model.{name} for kind {self.kind!r}, needed a kind that reads it"
                    f" ({readers}); take it out or choose one of these"
                )
        return self

    def _takes(self, kinds: list[Any]) -> bool:
        """Whether a knob may be set: an ensemble hands down what its members read."""
        return self.kind == "ensemble" or self.kind in kinds

    def reads(self, name: str, kind: str | None = None) -> bool:
        """Return whether a kind of network, by default this one, reads a knob."""
        extra = type(self).model_fields[name].json_schema_extra
        kinds = extra.get("read_by") if isinstance(extra, dict) else None
        return not isinstance(kinds, list) or (kind or self.kind) in kinds

    @property
    def widths(self) -> tuple[int, ...]:
        """Width of each layer (cells)."""
        return (self.units,) * self.layers if isinstance(self.units, int) else self.units


class OutputSpec(Spec):
    """What the network says about the target."""

    kind: Literal[
        "quantiles",
        "point",
        "gaussian",
        "student_t",
        "negative_binomial",
        "binary",
        "categorical",
    ] = Field(
        "quantiles",
        description="quantiles by pinball loss, one number by `loss`, or a distribution by its"
        " likelihood, whose quantiles are published; negative_binomial is for counts; binary and"
        " categorical are for targets that are one of two classes, or of more: their probabilities"
        " are published",
    )
    quantiles: tuple[float, ...] = Field(
        (0.1, 0.5, 0.9), min_length=1, description="quantiles forecast, ascending, with 0.5"
    )
    loss: Literal["mae", "mse", "huber"] = Field(
        "mae", description="loss of a point forecast: absolute, squared, or Huber's with delta 1"
    )

    calibration: Literal["none", "split", "adaptive"] = Field(
        "split",
        description="what is done for each quantile to be met as often as it says: nothing; shifts"
        " measured on the holdout, step by step (split conformal); or these, and from there on the"
        " newest cutoffs before each forecast (adaptive conformal)",
    )
    calibration_unit: Literal["series", "width"] = Field(
        "series",
        description="what the shifts are measured in, so that series share them: the scale of the"
        " series, or the width of the forecast itself",
    )
    adapt_rate: float = Field(
        0.2,
        ge=0,
        le=1,
        description="share of what a cutoff's coverage was off by that adaptive levels move",
    )
    adapt_cutoffs: int = Field(
        14, ge=1, le=1000, description="newest cutoffs that adaptive levels learn from (cutoffs)"
    )
    positive: str | None = Field(
        None,
        description="of a binary target: the class whose probability the scores speak of; by"
        " default the last in alphabetical order, as 1 of 0 and 1, true, yes",
    )
    class_weight: Literal["none", "balanced"] = Field(
        "none",
        description="weight of a class in the loss: all the same, or the rarer the heavier, so that"
        " each class weighs as much as any other in the training rows",
    )
    top_k: int = Field(
        5,
        ge=2,
        le=1000,
        description="most probable of the classes, among which the score top_k looks (classes)",
    )

    @field_validator("quantiles")
    @classmethod
    def _check_quantiles(cls, quantiles: tuple[float, ...]) -> tuple[float, ...]:
        inside = all(0 < q < 1 for q in quantiles)
        if not inside or list(quantiles) != sorted(set(quantiles)) or MEDIAN not in quantiles:
            raise ValueError(
                f"found quantiles {list(quantiles)}, needed ascending numbers between 0 and 1 with"
                " 0.5 among them; write them so, for instance [0.1, 0.5, 0.9]"
            )
        return quantiles

    @property
    def of_classes(self) -> bool:
        """Whether the target is a class and not a number."""
        return self.kind in CLASSES

    @property
    def levels(self) -> tuple[float, ...]:
        """The quantile levels published, `(0.5,)` for a point forecast, none for classes."""
        if self.of_classes:
            return ()
        return (MEDIAN,) if self.kind == "point" else self.quantiles

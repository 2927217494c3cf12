"""Windows cut into segments, normalised, and put together again; shared by segment networks.

The lookback is cut from its newest end, the horizon from its beginning, both into w steps each:

      zeros |--w--|--w--|--w--|--w--|  horizon --w--|--w--|
            ^ left of the lookback  ^ cutoff              ^ what is too long is cut off
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import keras
from keras import layers, ops

from seqmodel.errors import SpecError
from seqmodel.models.inputs import describe_series, read_known, read_past
from seqmodel.models.normalising import (
    CompareCycle,
    LearnedCycle,
    NormaliseByNewest,
    NormaliseBySeason,
)
from seqmodel.models.outputs import choose_head
from seqmodel.models.padding import blank_padding, find_present
from seqmodel.models.protocol import InputShapes
from seqmodel.specs import ModelSpec, OutputSpec

PACKAGE = "seqmodel"
#: A row of the lookback is the target, whether it was observed, and covariates.
OWN_FEATURES = 2


@final
@dataclass(frozen=True)
class Segments:
    """A window as an encoder reads it, and what the forecast is made relative to.

    Attributes:
        width: w, steps of a segment.
        tokens: N x (L / w) x d, segments of the lookback.
        queries: N x (H / w) x d, what is known about the segments of the horizon; 1 instead of N
            where all windows know the same.
        base: N x H x 1 to add to the forecast, or None.
        spread: N x 1 x 1 to multiply it by, or None.
        step: N x H x 1 from the base to the season a cycle ago, or None.
        present: N x (L / w) x 1, 1 where a segment has a row; None of a target that is a number.
    """

    width: int
    tokens: Any
    queries: Any
    base: Any = None
    spread: Any = None
    step: Any = None
    present: Any = None


@keras.saving.register_keras_serializable(PACKAGE)
class Positions(keras.layers.Layer):  # type: ignore[misc]
    """Adds to each of `count` vectors one learned for its place.

    Args:
        count: vectors; a single one that comes in is repeated.
        kwargs: of the Keras layer.
    """

    def __init__(self, count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count = count

    def build(self, shape: Any) -> None:
        """Create a vector for each place."""
        self.places = self.add_weight(
            shape=(self.count, shape[-1]), initializer="glorot_uniform", name="places"
        )

    def call(self, inputs: Any) -> Any:
        """Return N x count x d of N x count x d, or N x 1 x d, vectors."""
        return inputs + self.places

    def get_config(self) -> dict[str, Any]:
        """Return what is needed to build the layer again."""
        return {**super().get_config(), "count": self.count}


def cut_window(
    spec: ModelSpec, shapes: InputShapes, output: OutputSpec, inputs: dict[str, Any]
) -> Segments:
    """Normalise a window and cut it into tokens and queries of the first layer's width.

    Raises:
        SpecError: for counts that would be moved below 0, or a season as long as the lookback.
    """
    _check_spec(spec, shapes, output)
    width = min(spec.segment or shapes.season, shapes.lookback, shapes.horizon)
    present = find_present(inputs, shapes)
    past = blank_padding(read_past(inputs, shapes, spec), present)
    target, observed = past[..., 0], past[..., 1]
    course = None
    if spec.learn_cycle:
        behind, course = LearnedCycle(shapes.cycle, shapes.lookback, shapes.horizon)(
            inputs["phase"]
        )
        target = (target - behind) * observed
    signal, base, spread = _normalise(spec, shapes, target, observed)
    step, hints = None, []
    cycle = spec.cycle or shapes.cycle
    seasonal = spec.normalise == "seasonal" and not shapes.classes
    if seasonal and shapes.season < cycle <= shapes.lookback:
        step, hint = CompareCycle(shapes.season, cycle)(target, observed, base, spread)
        hints.append(hint)
    known = read_known(inputs, shapes, spec)
    hints += [] if known is None else [known]
    if course is not None:
        base = course if base is None else base + course
    tokens = _make_tokens(signal, past, width, spec.widths[0], classes=shapes.classes > 0)
    if present is not None:
        # A segment is there as soon as its newest row is.
        present = ops.flip(ops.flip(present, axis=1)[:, ::width], axis=1)
        tokens = blank_padding(tokens, present)
    series = describe_series(inputs, shapes, spec)
    return Segments(
        width=width,
        tokens=tokens,
        queries=_make_queries(hints, series, tokens, shapes, width),
        base=base,
        spread=spread,
        step=step if spec.gates else None,
        present=present,
    )


def join_segments(
    hidden: Any,
    window: Segments,
    spec: ModelSpec,
    shapes: InputShapes,
    output: OutputSpec,
    inputs: dict[str, Any],
) -> Any:
    """Return N x H x P numbers of the output's head from N x (H / w) x d hidden vectors."""
    head = choose_head(output, shapes.classes)
    hidden = layers.Dropout(spec.dropout)(hidden)
    raw = _lay_out(hidden, window.width, head.width, shapes.horizon)
    found = head.finish(raw, inputs.get("scale"))
    base = window.base
    if window.step is not None:
        # Half open before training: with a bias of -2 rolling origins of M4 Hourly's training part
        # came out .001-.005 of OWA worse (two losses, one seed each).
        gate = _lay_out(hidden, window.width, 1, shapes.horizon, gate=True)
        base = base + gate * window.step
    if base is None:
        return found
    spread = ops.ones_like(base[:, :1]) if window.spread is None else window.spread
    return head.rescale(found, base, spread)


def _check_spec(spec: ModelSpec, shapes: InputShapes, output: OutputSpec) -> None:
    moved = spec.normalise != "none" or spec.learn_cycle
    if output.kind == "negative_binomial" and moved:
        raise SpecError(
            f"found model.normalise {spec.normalise!r} and model.learn_cycle"
            f" {str(spec.learn_cycle).lower()} with output.kind 'negative_binomial', needed counts"
            " that nothing is added to; set them to none and false, or choose quantiles"
        )
    if spec.normalise == "seasonal" and not shapes.classes and shapes.lookback <= shapes.season:
        raise SpecError(
            f"found a lookback of {shapes.lookback} steps with a season of {shapes.season}, needed"
            " a longer one for model.normalise 'seasonal'; lengthen window.lookback to two seasons"
            " or more, or set model.normalise to last"
        )


def _normalise(spec: ModelSpec, shapes: InputShapes, target: Any, observed: Any) -> Any:
    """Return the signal N x L x C, and base and spread or None."""
    if spec.normalise == "none" or shapes.classes:
        return ops.expand_dims(target, -1), None, None
    if spec.normalise == "last":
        return NormaliseByNewest(shapes.horizon)(target, observed)
    return NormaliseBySeason(shapes.season, shapes.horizon)(target, observed)


def _make_tokens(signal: Any, past: Any, width: int, units: int, *, classes: bool) -> Any:
    """Return N x (L / w) x d tokens of an N x L x C signal and the rest of the past."""
    observed = past[..., 1:OWN_FEATURES]
    # What is missing, not what is observed: a table without gaps then trains as if it were absent.
    # Of classes the reverse, so that rows of padding are zero as what fills the first segment is.
    parts = [signal, observed if classes else 1.0 - observed]
    if past.shape[-1] > OWN_FEATURES:
        parts.append(past[..., OWN_FEATURES:])
    rows = layers.Concatenate()(parts)
    rows = layers.ZeroPadding1D((-rows.shape[1] % width, 0))(rows)
    rows = layers.Reshape((rows.shape[1] // width, width * rows.shape[2]))(rows)
    return layers.Dense(units, activation="relu")(rows)


def _make_queries(
    hints: list[Any],
    series: list[Any],
    tokens: Any,
    shapes: InputShapes,
    width: int,
) -> Any:
    """Return N x (H / w) x d: place, series and what is known of each segment of the horizon.

    Where nothing is known, 1 x (H / w) x d.
    """
    count, units = -(-shapes.horizon // width), tokens.shape[-1]
    # Zeros where nothing is known: the places alone tell the segments apart then, the same ones in
    # all windows.
    queries = ops.zeros_like(tokens[:1, :1])
    if hints:
        rows = _join(hints)
        rows = layers.ZeroPadding1D((0, count * width - shapes.horizon))(rows)
        rows = layers.Reshape((count, width * rows.shape[2]))(rows)
        queries = layers.Dense(units, activation="relu")(rows)
    if series:
        whole = layers.Dense(units, use_bias=False)(_join(series))
        queries = queries + ops.expand_dims(whole, 1)
    return Positions(count)(queries)


def _lay_out(hidden: Any, width: int, numbers: int, horizon: int, *, gate: bool = False) -> Any:
    """Return N x H x numbers of N x (H / w) x d hidden vectors."""
    # Float32 whatever the policy: half precision would round the forecast.
    dense = layers.Dense(
        width * numbers,
        activation="sigmoid" if gate else None,
        dtype="float32",
    )
    steps = layers.Reshape((hidden.shape[1] * width, numbers))(dense(hidden))
    return steps[:, :horizon]


def _join(parts: list[Any]) -> Any:
    return layers.Concatenate()(parts) if len(parts) > 1 else parts[0]

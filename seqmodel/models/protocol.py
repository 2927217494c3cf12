"""What a model builder is given, and the registry's promise; no Keras here.

A network is a Keras functional model from named inputs, of which it takes those it reads, to raw
numbers that a head (outputs.py) makes quantiles of:

name         shape      type     is there when
past         N x L x F  float32  always: target, observed, past covariates ..., the K known ones
past_codes   N x L x C  int32    a past or known covariate is categorical; the known ones last
known        N x H x K  float32  K > 0: the known features of the horizon
known_codes  N x H x D  int32    a known covariate is categorical; D <= C
static       N x A      float32  a static covariate is real
static_codes N x B      int32    a static covariate is categorical
series       N x 1      int32    always: number of the series, 0 for one never seen in training
phase        N x 1      int32    always: step of the cycle at which the horizon begins
scale        N x 1      float32  always: target's units in one unit of the network's scale

Every code 0 means missing or never seen in training. Where a series has no rows the whole row of
`past` is 0, its `observed` included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, final

from seqmodel.specs import ModelSpec, OutputSpec


@final
@dataclass(frozen=True)
class InputShapes:
    """Sizes of the inputs.

    Attributes:
        lookback: L (steps).
        horizon: H (steps).
        features: F, features of a lookback row.
        known: K, features of a horizon row; they are also the last K of a lookback row.
        past_cardinalities: codes of the C categorical covariates of a row, 0 included.
        known_codes: D, how many of them, the last, are known through the horizon.
        static: A, real static covariates.
        static_cardinalities: codes of the B categorical static covariates, 0 included.
        series: series seen in training; the input `series` counts from 1.
        season: of the target (steps).
        cycle: length of the cycle that `phase` counts in (steps).
        classes: K of a target that is a class, 0 of a number. The target's own past is then the
            first of the codes, its column of `past` is 0, and `observed` is 1 in every row that
            the series has: rows of padding, and they alone, have 0, and no network is moved by
            them.
    """

    lookback: int
    horizon: int
    features: int
    known: int = 0
    past_cardinalities: tuple[int, ...] = ()
    known_codes: int = 0
    static: int = 0
    static_cardinalities: tuple[int, ...] = ()
    series: int = 0
    season: int = 1
    cycle: int = 1
    classes: int = 0


class Builder(Protocol):
    """Builds an uncompiled network."""

    def __call__(self, spec: ModelSpec, shapes: InputShapes, output: OutputSpec) -> Any:
        """Return a Keras model, dict of inputs -> N x H x P raw numbers of the output's head."""
        ...

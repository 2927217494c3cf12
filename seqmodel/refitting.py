"""A backtest whose model is trained anew as time goes on, as it would have been in use.

cutoffs          1   2   3   4   5   6         backtest.refit 2
one model        |-- training --|   scored at 1 to 6
refit 1             |-- training --|   scored at 3, 4
refit 2                 |-- training --|   scored at 5, 6
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from seqmodel.errors import DataError
from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import ModelRef

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
#: What the models of all stretches together are called among the candidates.
REFITTED = "refitted"


def plan_refits(spec: PipelineSpec) -> list[PipelineSpec]:
    """Return the pipeline of each further training: fewer cutoffs are kept from it.

    The first stretch is that of the challenger itself.
    """
    every, cutoffs = spec.backtest.refit, spec.backtest.cutoffs
    if every is None:
        return []
    left = range(cutoffs - every, 0, -every)
    return [
        spec.model_copy(update={"backtest": spec.backtest.model_copy(update={"cutoffs": n})})
        for n in left
    ]


def predict_refitted(
    challenger: ModelRef,
    refits: Sequence[ModelRef],
    cutoffs: Integers,
    asked: Integers,
    every: int,
    predict: Callable[[ModelRef, Integers], Floats],
) -> Floats:
    """Forecast each cutoff with the model that was the newest then.

    Args:
        challenger: the model of the first stretch.
        refits: of the further ones, in order.
        cutoffs: grid numbers that are scored, ascending.
        asked: grid numbers of all cutoffs of the spec.
        every: cutoffs of a stretch.
        predict: forecasts some cutoffs, cutoff by cutoff.

    Returns:
        N x H x Q, cutoff by cutoff.

    Raises:
        DataError: if there is not one model a stretch.
    """
    models = [challenger, *refits]
    places = np.searchsorted(asked, cutoffs) // every
    if len(models) != -(-len(asked) // every):
        raise DataError(
            f"found {len(models)} models for {len(asked)} cutoffs, needed one for every {every};"
            " train them under the same backtest.cutoffs and refit"
        )
    return np.concatenate([predict(models[p], cutoffs[places == p]) for p in np.unique(places)])

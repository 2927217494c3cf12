"""Which cutoffs of a backtest are fresh to every candidate.

    challenger    |-- training, holdout --|
    champion      |-- training, holdout ------|        trained by another split
    cutoffs                               ^   ^   ^   ^
    compared                                  ^   ^   ^       at or after the end of both

A window is fresh where its targets are later than every target that a candidate was fitted or
stopped on, as its bundle records. By one rule of splitting the champion of an earlier night ended
earlier, and nothing is left out; it ends later after a change of the spec, or in a backfill.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from seqmodel.errors import DataError
from seqmodel.grid import Grid, to_datetime
from seqmodel.store.refs import ModelRef

Integers = NDArray[np.int64]
CHAMPION = "champion"


@final
@dataclass(frozen=True)
class Fresh:
    """What can be compared.

    Attributes:
        cutoffs: grid numbers of the cutoffs that are fresh to all models, ascending.
        models: candidate -> version.
        notes: what was left out and why.
        obstacle: why the champion cannot be compared; nothing if it can, or if there is none.
    """

    cutoffs: Integers
    models: dict[str, ModelRef]
    notes: tuple[str, ...] = ()
    obstacle: str = ""


def choose_fresh(grid: Grid, cutoffs: Integers, models: dict[str, ModelRef]) -> Fresh:
    """Leave out the cutoffs that a candidate has learned from, and a champion that knows all.

    Args:
        grid: of the panel.
        cutoffs: grid numbers asked for, ascending.
        models: candidate -> version.

    Raises:
        DataError: if a candidate other than the champion has learned from every window.
    """
    ends = {name: _find_end(grid, model) for name, model in models.items()}
    known = {name: end for name, end in ends.items() if name != CHAMPION}
    fresh = cutoffs[cutoffs >= max(known.values(), default=cutoffs[0])]
    if not len(fresh):
        name = max(known, key=lambda n: known[n])
        model = models[name]
        raise DataError(
            f"found {name} {model.version} to have learned from targets until"
            f" {model.seen_until:%Y-%m-%d %H:%M}, needed one cutoff at least from then on; the last"
            f" one is {_show(grid, cutoffs[-1])}: train it under the same backtest.cutoffs and step"
        )
    if CHAMPION in ends:
        model = models[CHAMPION]
        told = f"champion {model.version} has learned from targets until"
        shared = fresh[fresh >= ends[CHAMPION]]
        if not len(shared):
            rest = {name: one for name, one in models.items() if name != CHAMPION}
            obstacle = (
                f"{told} {model.seen_until:%Y-%m-%d %H:%M}, no cutoff of the backtest is that late;"
                " the next nights will have some"
            )
            return Fresh(fresh, rest, (f"The {obstacle}",), obstacle)
        fresh = shared
    if len(fresh) == len(cutoffs):
        return Fresh(fresh, models)
    latest = max(models, key=lambda n: ends[n])
    note = (
        f"The backtest has {len(fresh)} of {len(cutoffs)} cutoffs: {latest}"
        f" {models[latest].version} has learned from targets until"
        f" {models[latest].seen_until:%Y-%m-%d %H:%M}"
    )
    return Fresh(fresh, models, (note,))


def _find_end(grid: Grid, model: ModelRef) -> int:
    return grid.locate(model.seen_until)


def _show(grid: Grid, number: int) -> str:
    return f"{to_datetime(int(grid.moment(np.array([number]))[0])):%Y-%m-%d %H:%M}"

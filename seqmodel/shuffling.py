"""Shuffled positions without a list of them: a keyed permutation that is computed, not stored.

Positions below a * b are written as (x, y) with x < a, y < b, and mixed by turns: x moves by a hash
of y, then y by a hash of x. Every turn can be undone, so together they permute (a Feistel network;
M. Luby, C. Rackoff 1988). What falls behind the last position is sent through once more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Hashes = NDArray[np.uint64]

TURNS = 3


def scramble(values: Hashes, key: int) -> Hashes:
    """Hash 64 bits under a key (the finaliser of SplitMix64, S. Vigna 2015)."""
    with np.errstate(over="ignore"):
        mixed = values + np.uint64(key)
        # In place: memory taken anew for each of many short steps costs as much as they do.
        mixed ^= mixed >> np.uint64(30)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(27)
        mixed *= np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return mixed


def _turn(values: Hashes, hashes: Hashes, size: int) -> Hashes:
    """Move values below `size` on by hashes, which are used up, around a circle of that size."""
    # The upper half of a hash as a share of the circle: a product instead of a division.
    hashes >>= np.uint64(32)
    hashes *= np.uint64(size)
    hashes >>= np.uint64(32)
    hashes += values
    # Below zero an unsigned number is huge: the smaller of both is the one on the circle.
    found: Hashes = np.minimum(hashes, hashes - np.uint64(size))
    return found


@final
@dataclass(frozen=True)
class Permutation:
    """An order of `count` things that depends on the key only.

    Attributes:
        count: how many.
        key: integers, such as a seed and an epoch.
    """

    count: int
    key: tuple[int, ...]

    def __call__(self, positions: Integers) -> Integers:
        """Return what stands at some positions, each below `count`."""
        moved = self._mix(positions)
        outside = np.flatnonzero(moved >= self.count)
        while len(outside):
            moved[outside] = self._mix(moved[outside])
            outside = outside[moved[outside] >= self.count]
        return moved

    def _mix(self, positions: Integers) -> Integers:
        a = math.isqrt(max(self.count - 1, 0)) + 1
        b = -(-self.count // a)
        x, y = np.divmod(positions.astype(np.uint64), np.uint64(b))
        for first, second in self._keys:
            x = _turn(x, scramble(y, first), a)
            y = _turn(y, scramble(x, second), b)
        return (x * np.uint64(b) + y).astype(np.int64)

    @cached_property
    def _keys(self) -> list[tuple[int, int]]:
        drawn = np.random.SeedSequence(self.key).generate_state(2 * TURNS, np.uint64)
        return [(int(drawn[2 * i]), int(drawn[2 * i + 1])) for i in range(TURNS)]

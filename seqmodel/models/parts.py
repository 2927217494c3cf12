"""How many parts a batch is cut into, one a core, so that cores need not share small products."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

#: Fewer windows in a part waste the vector units.
SMALLEST_PART = 32
_cut: ContextVar[bool] = ContextVar("cut", default=False)


def count_parts(windows: int, most: int | None = None) -> int:
    """Return how many parts a batch is cut into: equal, none too small, one in what is a part.

    Args:
        windows: in the batch.
        most: parts at most; by default a part a core.
    """
    if _cut.get():
        return 1
    # Whatever the size of TensorFlow's pool: the thread that calls works beside a pool of one.
    most = min(most or os.cpu_count() or 1, windows // SMALLEST_PART)
    return next((parts for parts in range(most, 1, -1) if windows % parts == 0), 1)


@contextmanager
def be_a_part() -> Iterator[None]:
    """Let layers that are traced meanwhile know that their batch is a part already."""
    before = _cut.set(True)
    try:
        yield
    finally:
        _cut.reset(before)

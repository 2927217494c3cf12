"""Functions that stay right in float32, where the textbook's formula does not."""

from __future__ import annotations

from typing import Any

from keras import ops

#: ln(2 pi) / 2.
HALF_LOG_TWO_PI = 0.9189385332046728
#: Stirling's series is right to float32's last digit from here on.
SERIES_FROM = 8
#: A probability below counts as this much in a loss: its logarithm stays finite in float32.
LEAST_PROBABILITY = 1e-7
#: Smallest argument: its logarithm and reciprocal are finite in float32.
SMALLEST = 1e-20


def stirling_error(x: Any) -> Any:
    """Return what Stirling's formula misses of the log of the gamma function, for x > 0.

    lgamma(x) = (x - 1/2) ln x - x + ln(2 pi) / 2 + stirling_error(x). Losses are sums and
    differences of such terms in which the large parts cancel on paper; written with this small
    remainder they never stand in the float32 at all.
    """
    x = ops.maximum(x, SMALLEST)
    low = x < SERIES_FROM
    # Each branch gets arguments that it likes, else its infinite slope would reach the gradient.
    climbing = ops.where(low, x, 1.0)
    missing = ops.zeros_like(x)
    for step in range(SERIES_FROM):
        at = climbing + step
        missing = missing + (at + 0.5) * ops.log1p(1.0 / at) - 1.0
    inverse = 1.0 / ops.where(low, climbing + SERIES_FROM, x)
    square = inverse * inverse
    series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680)))
    return series + ops.where(low, missing, 0.0)


def log_ratio(a: Any, b: Any, change: Any) -> Any:
    """Return ln(a / b) of positive numbers, exact also where they are nearly equal.

    Args:
        a: above the line.
        b: below the line.
        change: (a - b) / b, from a formula that does not subtract rounded numbers.
    """
    near = ops.abs(change) < 0.5  # noqa: PLR2004 - beyond, the two logarithms differ enough
    return ops.where(near, ops.log1p(ops.where(near, change, 0.0)), ops.log(a) - ops.log(b))

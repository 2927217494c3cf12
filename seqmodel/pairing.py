"""Two candidates on the same windows: is the difference of their losses more than chance?

The future repeats the series and not the cutoffs: what will be drawn anew are the days. So the
sample is one mean difference a cutoff, which holds however alike the series are. With fewer than
five cutoffs that says next to nothing, and every window is taken for a member of the sample; series
that move together then look like more proof than they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seqmodel.store.comparisons import GroupLoss, Paired

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
#: Cutoffs from which on they are the sample, whatever the number of series.
ENOUGH_CUTOFFS = 5
#: Samples drawn by the bootstrap.
DRAWS = 4999
SEED = 20131201


def measure_diebold_mariano(differences: Floats, overlap: int = 1) -> float:
    """Return the probability of so low a mean by chance, if it were zero or more.

    Diebold & Mariano (1995) with the correction of Harvey, Leybourne & Newbold (1997) for few and
    overlapping forecasts, and their quantiles of Student's t. Where the estimate of the variance
    is negative, the autocovariances are weighted by Bartlett's kernel, with which none is.

    Args:
        differences: n mean differences in order of time.
        overlap: forecasts under way at once: ceil(horizon / step between cutoffs).

    Returns:
        A probability; NaN for fewer than two differences.
    """
    from scipy import stats

    n = len(differences)
    if n < 2:  # noqa: PLR2004 - one difference has no spread
        return float("nan")
    h = min(max(overlap, 1), n - 1)
    mean = differences.mean()
    centred = differences - mean
    covariances = np.array([(centred[k:] * centred[: n - k]).sum() / n for k in range(h)])
    variance = covariances[0] + 2 * covariances[1:].sum()
    if variance <= 0:
        variance = covariances[0] + 2 * (covariances[1:] * (1 - np.arange(1, h) / h)).sum()
    # A spread of rounding errors alone is none.
    if variance <= (1e-12 * np.abs(differences).max()) ** 2:
        return 0.0 if mean < 0 else 1.0
    correction = np.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    return float(stats.t.cdf(correction * mean / np.sqrt(variance / n), n - 1))


def measure_bootstrap(differences: Floats, overlap: int = 1) -> float:
    """Return the same probability by a bootstrap of circular blocks (Politis & Romano 1992).

    Args:
        differences: n mean differences in order of time.
        overlap: length of a block at least.

    Returns:
        A probability, the same for the same differences; NaN for fewer than two.
    """
    n = len(differences)
    if n < 2:  # noqa: PLR2004 - one difference has no spread
        return float("nan")
    mean = differences.mean()
    length = min(max(overlap, round(n ** (1 / 3))), n)
    begins = np.random.default_rng(SEED).integers(0, n, (DRAWS, -(-n // length)))
    places = (begins[:, :, None] + np.arange(length)).reshape(DRAWS, -1)[:, :n] % n
    drawn = (differences - mean)[places].mean(axis=1)
    return float((1 + np.count_nonzero(drawn <= mean)) / (DRAWS + 1))


#: Test -> probability of so low a mean of n ordered differences by chance.
TESTS: dict[str, Callable[[Floats, int], float]] = {
    "diebold_mariano": measure_diebold_mariano,
    "bootstrap": measure_bootstrap,
}


def average_windows(losses: Floats) -> Floats:
    """Return the mean loss of each of N windows over its observed steps, NaN without any."""
    seen = np.isfinite(losses)
    counts = seen.sum(axis=1)
    sums = np.where(seen, losses, 0.0).sum(axis=1)
    found: Floats = np.divide(sums, counts, out=np.full(len(losses), np.nan), where=counts > 0)
    return found


def pair_losses(
    mine: Floats,
    others: Floats,
    cutoffs: Integers,
    series: Integers,
    groups: tuple[str, ...],
    *,
    test: str,
    overlap: int,
) -> Paired:
    """Compare a candidate with another one, window by window.

    Args:
        mine: N x H losses of the candidate, lower is better; NaN where no target was observed.
        others: N x H losses of the other one.
        cutoffs: N numbers of the cutoffs.
        series: N numbers of the series.
        groups: label of each of the S series; empty without groups.
        test: name in `TESTS`.
        overlap: forecasts under way at once.
    """
    a, b = average_windows(mine), average_windows(others)
    both = np.isfinite(a) & np.isfinite(b)
    a, b, cutoffs, series = a[both], b[both], cutoffs[both], series[both]
    over, sample = _choose_sample(a - b, cutoffs)
    found = []
    labels = np.array(groups)[series] if groups else np.empty(0, dtype=str)
    for label in dict.fromkeys(sorted(groups)):
        part = labels == label
        if part.any():
            across, rise = _choose_sample((b - a)[part], cutoffs[part])
            found.append(
                GroupLoss(
                    group=label,
                    series=len(np.unique(series[part])),
                    loss=float(a[part].mean()),
                    other=float(b[part].mean()),
                    chance=_know(TESTS[test](rise, _overlap(across, overlap))),
                )
            )
    return Paired(
        test=test,
        difference=float((a - b).mean()) if len(a) else None,
        chance=_know(TESTS[test](sample, _overlap(over, overlap))),
        pairs=len(sample),
        over=over,
        windows=len(a),
        groups=tuple(found),
    )


def _know(chance: float) -> float | None:
    return chance if np.isfinite(chance) else None


def _overlap(over: str, overlap: int) -> int:
    return overlap if over == "cutoffs" else 1


def _choose_sample(
    differences: Floats, cutoffs: Integers
) -> tuple[Literal["cutoffs", "windows"], Floats]:
    """Return what the sample is made of, and the mean difference of each of its members."""
    by_cutoff = _group(differences, cutoffs)
    if len(by_cutoff) >= ENOUGH_CUTOFFS or len(by_cutoff) == len(differences):
        return "cutoffs", by_cutoff
    return "windows", differences


def _group(values: Floats, keys: Integers) -> Floats:
    """Return the mean of the values of each key, in the order of the keys."""
    _, places = np.unique(keys, return_inverse=True)
    found: Floats = np.bincount(places, values) / np.bincount(places)
    return found

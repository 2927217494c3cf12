"""Every metric of a backtest by series, by step and by cutoff, as one long table.

candidate   by       key                    expected  observed  mase  mae  ...  skill
challenger  all                             ...
challenger  series   EWR-AA
challenger  step     1
challenger  cutoff   2013-11-30T00:00:00Z
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from seqmodel.tallying import STEP, Parts, Tally

BASELINE = "baseline"


def detail_scores(
    parts: Mapping[str, Parts], series: Sequence[str], cutoffs: Sequence[str], metric: str
) -> pa.Table:
    """Tabulate the scores of each candidate.

    Args:
        parts: candidate -> what its metrics are made of, N x H.
        series: N ids.
        cutoffs: N moments.
        metric: whose skill against the baseline is told.

    Returns:
        A row a candidate and series, step or cutoff, and one of everything.
    """
    keys = {"series": series, "cutoff": cutoffs}
    base = {(by, key): row for by, key, row in _measure(parts[BASELINE], keys)}
    rows = []
    for candidate, one in parts.items():
        for by, key, row in _measure(one, keys):
            mine, against = row[metric], base[by, key][metric]
            skill = 1 - mine / against if mine is not None and against else None
            rows.append({"candidate": candidate, "by": by, "key": key, **row, "skill": skill})
    return pa.Table.from_pylist(rows)


def _measure(
    parts: Parts, keys: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str, dict[str, float | None]]]:
    """Yield what is summed over, which one, and its figures."""
    whole = Tally.of(parts, {}, by_step=True)
    tallies = {"all": whole.by(), STEP: whole}
    tallies |= {name: Tally.of(parts, {name: values}) for name, values in keys.items()}
    for by, tally in tallies.items():
        found = tally.measure()
        names = found[by].cast(pa.string()).to_pylist() if by in found.column_names else [""]
        figures = {
            name: pc.if_else(pc.is_finite(found[name]), found[name], None).to_pylist()
            for name in found.column_names
            if name not in tally.keys
        }
        for place, key in enumerate(names):
            yield by, key, {name: values[place] for name, values in figures.items()}

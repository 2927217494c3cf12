"""A table beside the last accepted one: have its series, their levels, or its targets moved?

What is compared is stored beside the tables when one is accepted, `<pipeline>/profiles/*.parquet`:
a row a series, and the shares of ten bins of targets. The earlier table itself is not read again.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from seqmodel.errors import SeqmodelError
from seqmodel.specs import SourceSpec
from seqmodel.store.fingerprints import SHORT
from seqmodel.store.store import Store
from seqmodel.store.tables import write_table
from seqmodel.table.profile import Profile, measure_table
from seqmodel.table.tally import Floats

logger = logging.getLogger(__name__)

BINS = 10
#: An empty bin counts as this share: the index would be infinite.
LEAST_SHARE = 1e-4
#: A spread below this share of the mean is a rounding error.
ROUNDING = 1e-9
KEPT = ["series_id", "first", "targets", "mean", "std"]
KEY = b"seqmodel"


@final
@dataclass(frozen=True)
class Reference:
    """What is kept of an accepted table.

    Attributes:
        series: `series_id`, `first`, `targets` (finite ones), `mean`, `std`.
        edges: upper edges of all bins but the last.
        shares: of the targets in each bin.
    """

    series: pd.DataFrame
    edges: Floats
    shares: Floats


def summarise(profile: Profile) -> Reference:
    """Return what is kept of a table: its quantiles become the bins."""
    if not len(profile.sample):
        return Reference(profile.series[KEPT], np.empty(0), np.ones(1))
    edges = find_edges(profile.sample)
    return Reference(profile.series[KEPT], edges, share_bins(profile.sample, edges))


def find_edges(sample: Floats) -> Floats:
    """Return the upper edges of all bins but the last: deciles of a sample of one at least."""
    quantiles = np.quantile(sample, np.arange(1, BINS) / BINS)
    # A value that is many quantiles at once gets a bin of its own.
    heavy = quantiles[1:][np.diff(quantiles) == 0]
    return np.unique(np.concatenate([quantiles, np.nextafter(heavy, -np.inf)]))


def share_bins(sample: Floats, edges: Floats) -> Floats:
    """Return the share of a sample in each bin."""
    bins = np.searchsorted(edges, sample, side="left")
    return np.bincount(bins, minlength=len(edges) + 1) / max(len(sample), 1)


def measure_drift(profile: Profile, reference: Reference) -> float:
    """Return the population stability index of the targets, NaN where one side has none.

    Below 0.1 hardly anything has moved; above 0.25 the distribution is another one.
    """
    if not len(profile.sample) or not len(reference.edges):
        return float("nan")
    return compare_shares(share_bins(profile.sample, reference.edges), reference.shares)


def compare_shares(now: Floats, then: Floats) -> float:
    """Return the population stability index of the shares of the same bins."""
    now, then = np.maximum(now, LEAST_SHARE), np.maximum(then, LEAST_SHARE)
    return float(((now - then) * np.log(now / then)).sum())


def measure_shift(series: pd.DataFrame, reference: Reference, season: int) -> pd.Series:
    """Return how far each series' level has moved, in standard deviations of the earlier table.

    Where the new table only adds targets to a series, a season or more, it is the mean of those
    that is compared: in the mean of all a new level would drown for months. Otherwise it is the
    mean of all.

    Args:
        series: profile of the new table.
        reference: the earlier one.
        season: steps in a season.

    Returns:
        One figure a row of `series`, NaN for a series that the earlier table lacks.
    """
    then = series[["series_id"]].merge(reference.series, on="series_id", how="left")
    then.index = series.index
    added = series["targets"] - then["targets"]
    longer = (series["first"] == then["first"]) & (added >= season)
    sums = series["mean"] * series["targets"] - then["mean"] * then["targets"]
    level = series["mean"].where(~longer, sums / added.where(longer))
    spread = then["std"].clip(lower=ROUNDING * then["mean"].abs())
    moved = (level - then["mean"]).abs()
    # A series that never varied shifts without bounds as soon as it moves.
    shift = (moved / spread.where(spread > 0)).where(spread > 0, np.inf)
    return shift.where(moved != 0, 0.0).where(moved.notna())


def publish_profile(
    store: Store, pipeline: str, fingerprint: str, as_of: datetime, profile: Profile
) -> str:
    """Keep what later tables are compared with; return its key.

    A table that is accepted again keeps the moment at which it first was.

    Args:
        store: the data root.
        pipeline: name of the pipeline.
        fingerprint: of the accepted table.
        as_of: the moment it was accepted for.
        profile: of the table.
    """
    key = f"{pipeline}/profiles/{fingerprint[:SHORT]}.parquet"
    if store.path(key).exists():
        return key
    kept = summarise(profile)
    notes = {"as_of": as_of.isoformat(), "edges": kept.edges.tolist()}
    notes["shares"] = kept.shares.tolist()
    rows = pa.Table.from_pandas(kept.series, preserve_index=False)
    with store.workshop(pipeline) as shop:
        draft = shop / "profile.parquet"
        write_table(draft, rows.replace_schema_metadata({KEY: json.dumps(notes)}))
        store.move_file(draft, key)
    return key


def find_reference(store: Store, pipeline: str, fingerprint: str, as_of: datetime) -> Path | None:
    """Return the profile of the last table accepted at or before a moment, other than this one.

    A backfill is compared with what was known then, so that it repeats itself.
    """
    found: list[tuple[datetime, str, Path]] = []
    for path in store.path(f"{pipeline}/profiles").glob("*.parquet"):
        if path.stem == fingerprint[:SHORT]:
            continue
        try:
            accepted = datetime.fromisoformat(
                json.loads(pq.read_metadata(path).metadata[KEY])["as_of"]
            )
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
            logger.warning("the profile %s is passed over: %s", path, error)
            continue
        if accepted <= as_of:
            found.append((accepted, path.stem, path))
    return max(found)[2] if found else None


def read_reference(place: Path, source: SourceSpec) -> Reference | None:
    """Return what is known of an earlier table; None, and a warning, where it cannot be read.

    Args:
        place: a profile, or the folder of a table, which is then measured.
        source: which covariates the table has, and its step.
    """
    try:
        if place.is_dir():
            return summarise(measure_table(place, source))
        table = pq.read_table(place, columns=KEPT, partitioning=None)
        notes = json.loads(table.schema.metadata[KEY])
        series = table.replace_schema_metadata(None).to_pandas()
        return Reference(series, np.array(notes["edges"]), np.array(notes["shares"]))
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError, SeqmodelError) as error:
        logger.warning("the table is judged without the one before, %s: %s", place, error)
        return None

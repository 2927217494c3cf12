"""Which moments are to be forecast again: all, those without a forecast, or failed ones.

start   start + step   ...   end        moments that a run pretends to be at
  |          |          |     |
published  missing    failed  missing   by the manifest of the cutoff, and by the newest report
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import pandas as pd

from seqmodel.errors import SpecError
from seqmodel.grid import Grid, to_datetime
from seqmodel.specs import PipelineSpec
from seqmodel.store.forecasts import MANIFEST, forecast_key, format_moment
from seqmodel.store.store import Store

Which = Literal["missing", "failed", "all"]
State = Literal["published", "missing", "failed"]
#: Moments of a backfill at most: beyond it the step is a slip.
MOST = 10_000


def list_moments(start: datetime, end: datetime, step: str) -> tuple[datetime, ...]:
    """Return the moments from `start` to `end`, both among them where the step meets them.

    Args:
        start: aware.
        end: aware, not before `start`.
        step: pandas alias, such as `D` or `6h`.

    Raises:
        SpecError: if there is none, if there are too many, or if the step is no alias.
    """
    try:
        found = pd.date_range(start, end, freq=step, unit="us")
    except (ValueError, TypeError) as error:
        raise SpecError(
            f"found --step {step!r} ({error}), needed a pandas alias such as D or 6h; correct it"
        ) from None
    if not 0 < len(found) <= MOST:
        raise SpecError(
            f"found {len(found)} moments from {start} to {end} in steps of {step!r}, needed 1 to"
            f" {MOST}; correct --start, --end or --step"
        )
    return tuple(moment.to_pydatetime() for moment in found)


def find_state(store: Store, spec: PipelineSpec, moment: datetime) -> State:
    """Say what became of the forecast at a moment.

    Its cutoff is the last step that was over then; a source that was late has an older one.
    """
    cutoff = to_datetime(Grid(spec.source.freq).last_complete(moment))
    if store.path(f"{forecast_key(spec.name, cutoff)}/{MANIFEST}").is_file():
        return "published"
    reports = store.path(f"{spec.name}/reports").glob(f"{format_moment(moment)}-*/night.json")
    return "failed" if any(reports) else "missing"


def choose_moments(
    store: Store, spec: PipelineSpec, moments: tuple[datetime, ...], which: Which
) -> tuple[datetime, ...]:
    """Return the moments to forecast, oldest first.

    Args:
        store: the data root.
        spec: the pipeline.
        moments: candidates.
        which: `missing` those without a forecast, whether tried or not; `failed` those that were
            tried and have none; `all` whatever is there.
    """
    wanted = {"missing": {"missing", "failed"}, "failed": {"failed"}}
    if which == "all":
        return moments
    return tuple(one for one in moments if find_state(store, spec, one) in wanted[which])

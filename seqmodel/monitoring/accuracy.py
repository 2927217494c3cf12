"""What is known of the forecasts that are out: the history that live scoring writes, summed up."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from seqmodel.metrics import METRICS
from seqmodel.specs import PipelineSpec
from seqmodel.store.forecasts import format_moment
from seqmodel.store.histories import read_history
from seqmodel.store.store import Store
from seqmodel.tallying import Tally

KEYS = ("cutoff", "model_version", "group", "candidate")
FORECAST, BASELINE = "forecast", "baseline"
#: All versions, the baseline not among them.
ANY = "any"


def choose_metric(spec: PipelineSpec) -> str:
    """Return the metric by which live errors are compared: the gate's, MASE without one.

    Of classes it is the log loss, an error that adds up over nights whatever the gate compares.
    """
    if spec.output.of_classes:
        return "log_loss"
    wanted = spec.promotion.metric
    return wanted if wanted in METRICS else "mase"


def sum_live(store: Store, spec: PipelineSpec, version: str | None, as_of: datetime) -> Tally:
    """Return the sums of the last forecasts, by cutoff, group, step, candidate.

    Args:
        store: the data root.
        spec: the pipeline.
        version: whose, `ANY` for all but the baseline's, None for the baseline's.
        as_of: what is later does not count.
    """
    live = list_live(store, spec, as_of)
    if not live.table.num_rows:
        return live
    made_by = live.table["model_version"]
    by_model = pc.not_equal(made_by, BASELINE)
    mine = by_model if version == ANY else pc.equal(made_by, version or BASELINE)
    return Tally(live.keys, live.table.filter(mine))


def list_live(store: Store, spec: PipelineSpec, as_of: datetime) -> Tally:
    """Return the sums of the last forecasts, whatever made them."""
    until = f"cutoff={format_moment(as_of)}"
    found = read_history(store, spec.name, "accuracy", newest=spec.monitor.nights, until=until)
    # The pipeline may have had another kind of target.
    parts = [rows for _, rows, _ in found if choose_metric(spec) in rows.column_names]
    keys = (*KEYS, "step")
    return Tally(keys, pa.concat_tables(parts)) if parts else Tally.zero(*keys)

"""Forecasts that were published night by night, made of what came and an error of their own."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqmodel.grid import to_datetime
from seqmodel.scoring.real import take_actuals
from seqmodel.store.forecasts import forecast_key, publish_forecast
from seqmodel.store.refs import RunRef
from seqmodel.telling import arrange_rows
from seqmodel.windowing import load_panel
from seqmodel.windows import index_cutoffs
from tests.seqmodel.small import START, make_spec, make_table, put_table

SPEC = make_spec(backtest={"cutoffs": 2, "step": 24}, monitor={"days": 2})
NIGHTS = 10
TABLE = make_table(steps=24 * NIGHTS, missing=0.0)


def night(day):
    return START + timedelta(days=day)


def run_of(day):
    return RunRef(pipeline=SPEC.name, run=f"{night(day):%Y%m%dT%H%M%SZ}-r", as_of=night(day))


def put_night(store, day, table=TABLE, spec=SPEC):
    """The table as it is in the morning of a day."""
    before = pc.less(table["timestamp"], pa.scalar(night(day), pa.timestamp("us", tz="UTC")))
    return put_table(store, table.filter(before), spec).table


def publish(store, day, off=0.0, version="v1", table=TABLE, spec=SPEC, spread=1.0):
    """The forecast of a morning: what came, a constant off, in an interval of a given spread."""
    ref = put_night(store, day, table, spec)
    panel = load_panel(store, ref, spec)
    later = load_panel(store, put_table(store, table, spec).table, spec)
    number = np.array([panel.cutoff])
    index = index_cutoffs(panel.first, panel.offsets, spec.window.lookback, number)
    known = index_cutoffs(later.first, later.offsets, spec.window.lookback, number)
    actual = np.nan_to_num(take_actuals(later, known, spec)) + off
    levels = spec.output.levels
    values = actual[:, :, None] + spread * (np.array(levels) - 0.5)
    rows = arrange_rows(panel, index, values, levels, version)
    cutoff = to_datetime(int(panel.grid.moment(number)[0]))
    figures = {"cutoff": cutoff.isoformat(), "model_version": version, "table": ref.fingerprint}
    key = forecast_key(spec.name, cutoff)
    publish_forecast(store, key, rows, figures)
    return key

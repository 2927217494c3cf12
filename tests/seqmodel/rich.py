"""A table with every kind of column, holes in all of them, and the features made of it."""

import numpy as np
import pyarrow as pa

from seqmodel.calendar_features import CYCLES
from seqmodel.encoding import encode_panel
from seqmodel.features import Preprocessor
from seqmodel.gathering import WindowReader
from seqmodel.specs import SourceSpec
from seqmodel.target_features import STATISTICS
from seqmodel.windowing import StoredWindows
from seqmodel.windows import index_windows
from tests.seqmodel.small import make_spec, make_table

HOUR = 3_600_000_000
LOOKBACK, HORIZON = 24, 6
SOURCE = SourceSpec(
    uri="x",
    freq="h",
    timezone="Europe/Berlin",
    past=("wind", "mode", "code"),
    known=("plan", "shift"),
    static=("site", "size", "zone"),
    categorical=("code", "zone"),
    season_length=12,
)
#: Every feature there is.
FEATURES = {
    "calendar": list(CYCLES),
    "holidays": "DE",
    "age": True,
    "lags": [HORIZON, 24],
    "rolling": [{"statistic": s, "steps": n} for s in STATISTICS for n in (3, 30)],
}


def make_rich_spec(source=SOURCE, **sections):
    window = {"lookback": LOOKBACK, "horizon": HORIZON}
    return make_spec(source, **{"features": FEATURES, "window": window, **sections})


def replace(table, name, values):
    """A table with another column of that name, or one more."""
    place = table.schema.get_field_index(name)
    column = values if isinstance(values, pa.Array) else pa.array(values)
    return table.append_column(name, column) if place < 0 else table.set_column(place, name, column)


def read_hours(table):
    """Grid numbers of the rows."""
    return table["timestamp"].cast(pa.int64()).to_numpy() // HOUR


def make_rich_table(series=3, steps=160):
    """Canonical rows with real and categorical covariates of every role."""
    table = make_table(series, steps)
    rng = np.random.default_rng(5)
    count = table.num_rows

    def draw(names, holes=0.1):
        drawn = rng.choice(np.array(names, dtype=object), count)
        return [None if hole else name for name, hole in zip(drawn, rng.random(count) < holes)]  # noqa: B905

    number = [None if s is None else float(s) for s in draw([1, 2, 30])]
    for name in ("target", "wind", "plan"):
        values = table[name].to_numpy().copy()
        values[rng.random(count) < 0.1] = np.nan
        table = replace(table, name, values)
    ids = table["series_id"].to_pylist()
    table = replace(table, "mode", pa.array(draw(["low", "mid", "high"]), pa.string()))
    table = replace(table, "code", pa.array(number, pa.float64()))
    table = replace(table, "shift", pa.array(draw(["day", "night"]), pa.string()))
    return replace(table, "zone", pa.array([int(i) % 2 for i in ids], pa.int64()))


def encode(panel, spec, until=None, taught=None):
    """Preprocessor fitted up to a grid number, and the rows of the panel."""
    until = panel.cutoff if until is None else until
    fitted = Preprocessor.fit(panel if taught is None else taught, spec, until)
    return fitted, encode_panel(fitted, panel, until=until)


def take_windows(fitted, rows):
    """Encoded rows as if they had come out of the store, for their reader and their shapes."""
    none = index_windows(rows.first[:0], rows.begins[:1] * 0, 1, 1, after=0, until=0)
    return StoredWindows(fitted, rows, none, none)


def read_batch(fitted, rows, spec, windows, *, in_target_unit=False):
    return WindowReader(rows, fitted.cut(spec, in_target_unit=in_target_unit)).read(windows)

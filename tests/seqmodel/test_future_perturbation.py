"""No leak: whatever comes after the cutoff, nothing made at the cutoff changes by one bit.

                    lookback (L)            horizon (H)
             |------------------------|--------------------|
    ---------+------------------------c--------------------+------------- end
    target   |  real  real  real  real|  GARBAGE  GARBAGE  |  GARBAGE
    past     |  real  real  real  real|  GARBAGE  GARBAGE  |  GARBAGE
    known    |  real  real  real  real|  real     real     |  real        it is known by contract
             |                        |
             statistics, encoded rows,  ->  baseline's and network's forecast of steps c+1 .. c+H
             windows, lags

Two roads lead to a forecast from c: serving, where the panel ends at c, and the backtest, where
it goes on to the end of the table. Both are walked with the real future and with garbage.
"""

import json

import numpy as np
import pyarrow as pa
import pytest

from seqmodel.features import Preprocessor
from seqmodel.models.naive import predict_naive
from seqmodel.models.protocol import InputShapes
from seqmodel.models.registry import MODELS, build_model
from seqmodel.specs import FeatureSpec, ModelSpec
from seqmodel.training import predict_windows
from seqmodel.windows import WindowReader, index_cutoffs, index_windows
from tests.seqmodel.small import SOURCE, count_steps, make_panel, make_table

LOOKBACK, HORIZON, SEASON = 24, 6, 24
FEATURES = FeatureSpec(lags=(HORIZON, 24))
LEVELS = (0.1, 0.5, 0.9)
TABLE = make_table()
END = count_steps(TABLE)
CUTOFF = END - 40


def garble(table, columns):
    """Replace what comes after the cutoff by huge numbers, infinities and holes."""
    rng = np.random.default_rng(9)
    moments = table["timestamp"].cast(pa.int64()).to_numpy()
    late = moments // 3_600_000_000 > CUTOFF
    for name in columns:
        garbage = rng.choice([1e9, -1e9, np.nan, 7.0, 1e300], table.num_rows)
        values = pa.array(np.where(late, garbage, table[name].to_numpy()))
        table = table.set_column(table.schema.get_field_index(name), name, values)
    return table


REAL, GARBAGE = TABLE, garble(TABLE, ["target", "wind"])


def observe(table, road, *, until=CUTOFF, unseen=False, network=None):
    """Everything that a forecast from the cutoff is made of, as bytes."""
    panel = make_panel(table, cutoff=CUTOFF if road == "serving" else END)
    taught = panel
    if unseen:
        others = table.filter(pa.compute.not_equal(table["series_id"], "001"))
        taught = make_panel(others, cutoff=panel.cutoff)
    with np.errstate(over="ignore", invalid="ignore"):
        fitted = Preprocessor.fit(taught, SOURCE, FEATURES, until)
        rows = fitted.encode(panel, until=CUTOFF)
    before = panel.number_of_row <= CUTOFF
    inside = panel.number_of_row <= CUTOFF + HORIZON
    reader = WindowReader(rows, LOOKBACK, HORIZON)
    index = index_cutoffs(panel.first, panel.offsets, LOOKBACK, np.array([CUTOFF]))
    train = index_windows(panel.first, panel.offsets, LOOKBACK, HORIZON, after=0, until=CUTOFF)
    inputs = reader.inputs(index)
    with np.errstate(over="ignore", invalid="ignore"):
        naive = predict_naive(panel, index, LOOKBACK, HORIZON, SEASON, LEVELS, CUTOFF)
    found = {
        "statistics": json.dumps(fitted.to_json()).encode(),
        "scalers": json.dumps([s.to_json() for s in fitted.align(panel, CUTOFF).values()]).encode(),
        "lookback rows": rows.past[before].tobytes(),
        "known rows": rows.known[inside].tobytes(),
        **{f"input {name}": array.tobytes() for name, array in inputs.items()},
        "training inputs": reader.inputs(train)["past"].tobytes(),
        "training targets": np.stack(reader.targets(train)).tobytes(),
        "baseline": naive.tobytes(),
    }
    if network is not None:
        found["network"] = predict_windows(network, reader, index, 4).tobytes()
    return found


def name_changes(a, b):
    return sorted(name for name in a if a[name] != b[name])


@pytest.mark.parametrize("road", ["serving", "backtest"])
@pytest.mark.parametrize("unseen", [False, True])
def test_garbage_after_the_cutoff_changes_nothing(road, unseen):
    real, garbage = (observe(t, road, unseen=unseen) for t in (REAL, GARBAGE))
    assert name_changes(real, garbage) == []


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("road", ["serving", "backtest"])
def test_garbage_after_the_cutoff_does_not_change_a_networks_forecast(kind, road):
    import keras

    keras.utils.set_random_seed(0)
    shapes = InputShapes(LOOKBACK, HORIZON, features=12, known=9, reals=1, cardinalities=(3,))
    network = build_model(ModelSpec(kind=kind, units=4), shapes, LEVELS)
    real, garbage = (observe(t, road, network=network) for t in (REAL, GARBAGE))
    assert name_changes(real, garbage) == []
    assert np.isfinite(np.frombuffer(real["network"], np.float32)).all()


def test_both_roads_feed_the_network_the_same_past():
    serving, backtest = observe(REAL, "serving"), observe(REAL, "backtest")
    assert serving["input past"] == backtest["input past"]
    assert serving["baseline"] == backtest["baseline"]


def test_the_known_future_does_count():
    """Else the inputs would not hold it at all."""
    real, other = observe(REAL, "backtest"), observe(garble(REAL, ["plan"]), "backtest")
    assert name_changes(real, other) == ["input known", "known rows"]


def test_a_preprocessor_fitted_on_all_rows_is_noticed():
    real, garbage = (observe(t, "backtest", until=END) for t in (REAL, GARBAGE))
    changed = name_changes(real, garbage)
    assert {"statistics", "scalers", "input past", "training targets"} <= set(changed)


def test_a_lag_shorter_than_the_horizon_is_noticed(monkeypatch):
    monkeypatch.setitem(globals(), "FEATURES", FeatureSpec(lags=(1, 24)))
    real, garbage = (observe(t, "backtest") for t in (REAL, GARBAGE))
    assert name_changes(real, garbage) == ["input known", "known rows"]


def test_a_baseline_that_measures_its_spread_on_all_rows_is_noticed():
    panels = [make_panel(t, cutoff=END) for t in (REAL, GARBAGE)]
    index = index_cutoffs(panels[0].first, panels[0].offsets, LOOKBACK, np.array([CUTOFF]))
    a, b = (predict_naive(p, index, LOOKBACK, HORIZON, SEASON, LEVELS, END) for p in panels)
    assert not np.array_equal(a, b)

"""No leak: whatever comes after the cutoff, nothing made at the cutoff changes by one bit.

                    lookback (L)            horizon (H)
             |------------------------|--------------------|
    ---------+------------------------c--------------------+------------- end
    target   |  real  real  real  real|  GARBAGE  GARBAGE  |  GARBAGE
    past     |  real  real  real  real|  GARBAGE  GARBAGE  |  GARBAGE     numbers and categories
    static   |  real  real  real  real|  GARBAGE  GARBAGE  |  GARBAGE     it should not change
    known    |  real  real  real  real|  real     real     |  real        it is known by contract
             |                        |
             statistics, every input of the windows at c and before,  ->  baseline's and network's
             targets up to c                                              forecast of c+1 .. c+H

Two roads lead to a forecast from c: serving, where the panel ends at c, and the backtest, where
it goes on to the end of the table. Both are walked with the real future and with garbage, with
series that training has seen, one that it has not, one that has just begun and one yet to begin.
"""

import json
from functools import cache
from typing import get_args

import keras
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel.encoding import encode_panel
from seqmodel.features import Preprocessor
from seqmodel.filling import Fill
from seqmodel.gathering import WindowReader
from seqmodel.models.naive import predict_naive
from seqmodel.models.outputs import choose_head
from seqmodel.models.registry import build_model
from seqmodel.predicting import predict_windows
from seqmodel.scaling import SCALES
from seqmodel.specs import Scale, ScalingSpec
from seqmodel.windows import index_cutoffs, index_windows
from tests.seqmodel.models.cases import KINDS
from tests.seqmodel.rich import (
    FEATURES,
    HORIZON,
    LOOKBACK,
    SOURCE,
    make_rich_spec,
    make_rich_table,
    read_hours,
    replace,
    take_windows,
)
from tests.seqmodel.small import count_steps, make_panel

LEVELS = (0.1, 0.5, 0.9)
UNSEEN = "001"
END = count_steps(make_rich_table())
CUTOFF = END - 40


def make_real():
    """A series that has just begun, one yet to begin, and a gap open at the cutoff."""
    table = make_rich_table(series=5)
    hours, ids = read_hours(table), table["series_id"]
    young = {"003": CUTOFF - 7, "004": CUTOFF + 5}
    late = [hours[i] < young.get(s, 0) for i, s in enumerate(ids.to_pylist())]
    table = table.filter(pa.array(np.invert(late)))
    hours, target = read_hours(table), table["target"].to_numpy().copy()
    first = pc.equal(table["series_id"], "000").to_numpy()
    target[first & (hours >= CUTOFF - 1) & (hours <= CUTOFF)] = np.nan
    target[first & ((hours == CUTOFF - 2) | (hours == CUTOFF + 1))] = 11.0
    return replace(table, "target", target)


def garble(table, columns, seed=9, after=CUTOFF):
    """Replace what comes after the cutoff by huge numbers, unknown categories and holes."""
    rng = np.random.default_rng(seed)
    late = read_hours(table) > after
    for name in columns:
        count = table.num_rows
        if pa.types.is_string(table.schema.field(name).type):
            garbage = rng.choice(np.array(["", "low", "never", None], dtype=object), count)
            values = np.where(late, garbage, table[name].to_numpy())
            table = replace(table, name, pa.array(values, pa.string()))
        else:
            garbage = rng.choice([1e9, -1e9, np.nan, 7.0, np.inf, 1e300], count)
            table = replace(table, name, np.where(late, garbage, table[name].to_numpy()))
    return table


REAL = make_real()
GARBAGE = garble(REAL, ["target", *SOURCE.past, *SOURCE.static])


class Eager:
    """A network without compiling it: the same numbers, sooner for a few windows."""

    def __init__(self, model):
        self.model, self.inputs = model, model.inputs

    def predict_on_batch(self, inputs):
        return keras.ops.convert_to_numpy(self.model(inputs, training=False))


def observe(table, road, spec, *, until=None, unseen=False, network=None, cutoff=CUTOFF):
    """Everything that a forecast from the cutoff is made of, as bytes."""
    panel = make_panel(table, SOURCE, cutoff=cutoff if road == "serving" else END)
    taught = panel
    if unseen:
        others = table.filter(pc.not_equal(table["series_id"], UNSEEN))
        taught = make_panel(others, SOURCE, cutoff=panel.cutoff)
    with np.errstate(over="ignore", invalid="ignore"):
        fitted = Preprocessor.fit(taught, spec, cutoff if until is None else until)
        rows = encode_panel(fitted, panel, until=cutoff)
        reader = WindowReader(rows, fitted.cut(spec))
        index = index_cutoffs(panel.first, panel.offsets, LOOKBACK, np.array([cutoff]))
        train = index_windows(
            panel.first, panel.offsets, LOOKBACK, HORIZON, after=0, until=cutoff, least=HORIZON
        )
        now, before = reader.read(index), reader.read(train.all())
        naive = predict_naive(panel, index, LOOKBACK, HORIZON, SOURCE.season, LEVELS, cutoff)
    ones = np.ones((len(index), HORIZON, 1))
    scalers = fitted.align(panel, cutoff).values()
    scales = [
        s.location[index.series].tobytes() + s.spread[index.series].tobytes() for s in scalers
    ]
    found = {
        "statistics": json.dumps(fitted.to_json()).encode(),
        "scalers": b"".join(scales),
        **{f"input {name}": array.tobytes() for name, array in now.inputs.items()},
        **{f"training {name}": array.tobytes() for name, array in before.inputs.items()},
        "training targets": before.targets.tobytes() + before.weights.tobytes(),
        "inverse": now.inverse(ones).tobytes(),
        "baseline": naive.tobytes(),
    }
    if network is not None:
        head = choose_head(spec.output)
        found["network"] = predict_windows(network, head, reader, index, 4).tobytes()
    return found


def name_changes(a, b):
    assert set(a) == set(b)
    return sorted(name for name in a if a[name] != b[name])


def sections(**scaling):
    return {"scaling": scaling}


CASES = {
    "plain": {},
    **{f"series {s}": sections(series=s) for s in SCALES},
    **{f"window {s}": sections(window=s) for s in get_args(Scale)},
    **{
        f"transform {t}": sections(transform=t, window="standard")
        for t in get_args(ScalingSpec.model_fields["transform"].annotation)
    },
    **{
        f"covariates {s}": sections(covariates=s)
        for s in get_args(ScalingSpec.model_fields["covariates"].annotation)
    },
    **{f"fill {f}": {"grid": {"fill": f}} for f in get_args(Fill)},
    **{
        f"fill {f}, window {w}": {"grid": {"fill": f}, "scaling": {"window": w}}
        for f in ("interpolate", "seasonal")
        for w in ("last", "seasonal")
    },
    "held": {"features": {**FEATURES, "missing": "forward"}},
    "in the target's unit": {
        "features": {**FEATURES, "in_target_unit": ["plan"]},
        "scaling": {"window": "robust"},
    },
}


@pytest.mark.parametrize("case", CASES)
def test_garbage_after_the_cutoff_changes_nothing(case):
    spec = make_rich_spec(**CASES[case])
    for unseen in (False, True):
        roads = [
            observe(table, road, spec, unseen=unseen)
            for road in ("serving", "backtest")
            for table in (REAL, GARBAGE)
        ]
        for other in roads[1:]:
            assert name_changes(roads[0], other) == []


@settings(deadline=None, max_examples=15)
@given(
    back=st.integers(8, 90),
    seed=st.integers(0, 99),
    fill=st.sampled_from(get_args(Fill)),
    series=st.sampled_from(list(SCALES)),
    window=st.sampled_from(get_args(Scale)),
    unseen=st.booleans(),
)
def test_whatever_the_garbage_and_the_cutoff_nothing_changes(
    back, seed, fill, series, window, unseen
):
    cutoff = END - back
    spec = make_rich_spec(grid={"fill": fill}, scaling={"series": series, "window": window})
    garbage = garble(REAL, ["target", *SOURCE.past], seed, cutoff)
    real = observe(REAL, "backtest", spec, unseen=unseen, cutoff=cutoff)
    for road in ("serving", "backtest"):
        other = observe(garbage, road, spec, unseen=unseen, cutoff=cutoff)
        assert name_changes(real, other) == []


@cache
def build(kind):
    spec = make_rich_spec(
        model={"kind": kind, "units": 4, "embedding": 2, "dropout": 0.0},
        grid={"fill": "interpolate"},
    )
    panel = make_panel(REAL, SOURCE, cutoff=CUTOFF)
    fitted = Preprocessor.fit(panel, spec, CUTOFF)
    rows = encode_panel(fitted, panel, until=CUTOFF)
    keras.utils.set_random_seed(0)
    shapes = take_windows(fitted, rows).shapes(spec)
    return spec, Eager(build_model(spec.model, shapes, spec.output))


@pytest.mark.parametrize("kind", KINDS)
def test_garbage_after_the_cutoff_does_not_change_a_networks_forecast(kind):
    spec, network = build(kind)
    real = observe(REAL, "serving", spec, network=network)
    assert np.isfinite(np.frombuffer(real["network"])).all()
    for road in ("serving", "backtest"):
        assert name_changes(real, observe(GARBAGE, road, spec, network=network)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_reads_the_past(kind):
    """Else its forecast would be the same for want of looking."""
    spec, network = build(kind)
    real = observe(REAL, "serving", spec, network=network)
    target = REAL["target"].to_numpy()
    early = replace(REAL, "target", np.where(read_hours(REAL) > CUTOFF - 10, 9.0, target))
    assert "network" in name_changes(real, observe(early, "serving", spec, network=network))


def test_the_known_future_does_count():
    """Else the inputs would not hold it at all."""
    spec = make_rich_spec()
    real = observe(REAL, "backtest", spec)
    other = observe(garble(REAL, ["plan", "shift"]), "backtest", spec)
    assert name_changes(real, other) == ["input known", "input known_codes"]


def test_a_preprocessor_fitted_on_all_rows_is_noticed():
    spec = make_rich_spec()
    real, garbage = (observe(t, "backtest", spec, until=END) for t in (REAL, GARBAGE))
    changed = name_changes(real, garbage)
    assert {"statistics", "scalers", "input past", "training targets"} <= set(changed)


def test_a_lag_shorter_than_the_horizon_is_noticed():
    spec = make_rich_spec()
    features = spec.features.model_copy(update={"lags": (1, 24)})
    spec = spec.model_copy(update={"features": features})
    real, garbage = (observe(t, "backtest", spec) for t in (REAL, GARBAGE))
    assert name_changes(real, garbage) == ["input known"]


def test_a_baseline_that_measures_its_spread_on_all_rows_is_noticed():
    panels = [make_panel(t, SOURCE, cutoff=END) for t in (REAL, GARBAGE)]
    index = index_cutoffs(panels[0].first, panels[0].offsets, LOOKBACK, np.array([CUTOFF]))
    a, b = (predict_naive(p, index, LOOKBACK, HORIZON, 24, LEVELS, END) for p in panels)
    assert not np.array_equal(a, b)


def test_the_cases_have_every_input_of_the_protocol():
    found = {name for name in observe(REAL, "serving", make_rich_spec()) if "input" in name}
    names = "past past_codes known known_codes static static_codes series phase scale"
    assert found == {f"input {name}" for name in names.split()}

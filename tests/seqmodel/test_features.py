"""What is fitted: names, statistics, categories, from training rows only, and their JSON."""

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel.encoding import encode_panel
from seqmodel.features import Preprocessor
from seqmodel.scaling import SCALES, bend
from seqmodel.specs import SourceSpec
from tests.seqmodel.rich import (
    SOURCE,
    encode,
    make_rich_spec,
    make_rich_table,
    read_hours,
    replace,
)
from tests.seqmodel.small import count_steps, make_panel, make_spec, make_table

TABLE = make_rich_table()
END = count_steps(TABLE)
BORDER = END - 40
SPEC = make_rich_spec()


@pytest.fixture(scope="module")
def panel():
    return make_panel(TABLE, SOURCE)


@pytest.fixture(scope="module")
def fitted(panel):
    return Preprocessor.fit(panel, SPEC, BORDER)


def test_the_names_are_in_the_order_of_the_protocol(fitted):
    assert fitted.past_names == (
        "target",
        "observed",
        "wind",
        *(f"target_{s}_{n}" for s in ("mean", "std", "min", "max") for n in (3, 30)),
    )
    assert fitted.known_names == (
        "plan",
        "target_lag_6",
        "target_lag_24",
        "age",
        *(f"{c}_{w}" for c in ("hour", "weekday", "day_of_year", "month") for w in ("sin", "cos")),
        "holiday",
        "holiday_eve",
        "holiday_after",
    )
    assert fitted.names == (*fitted.past_names, *fitted.known_names)
    assert fitted.code_names == ("mode", "code", "shift")
    assert fitted.known_codes == 1
    assert fitted.static_names == ("site", "zone")
    assert list(fitted.reals) == ["size"]


def test_what_moves_with_the_targets_location_is_scaled_as_it_is(panel):
    spec = make_rich_spec(features={**SPEC.features.model_dump(), "in_target_unit": ["plan"]})
    fitted = Preprocessor.fit(panel, spec, BORDER)
    assert {fitted.names[i] for i in fitted.target_columns} == {
        "target",
        *(f"target_{s}_{n}" for s in ("mean", "min", "max") for n in (3, 30)),
        "plan",
        "target_lag_6",
        "target_lag_24",
    }


@pytest.mark.parametrize(
    ("features", "grid", "reach"),
    [
        ({}, {}, 0),
        ({"lags": [24, 6]}, {}, 24),
        ({"rolling": [{"steps": 30}]}, {}, 29),
        ({"missing": "forward"}, {}, 24),
        ({}, {"fill": "forward", "fill_limit": 5}, 5),
        ({"lags": [6]}, {"fill": "seasonal", "fill_limit": 2}, 6 + 2 + 4 * 12),
    ],
)
def test_the_reach_is_how_far_before_a_row_its_features_look(panel, features, grid, reach):
    spec = make_rich_spec(features=features, grid=grid)
    assert Preprocessor.fit(panel, spec, BORDER).reach == reach


def test_everything_comes_from_rows_up_to_the_border_only(fitted):
    late = read_hours(TABLE) > BORDER
    table = TABLE
    for name in ("target", "wind", "plan"):
        table = replace(table, name, np.where(late, 1e6, table[name].to_numpy()))
    for name in ("mode", "shift"):
        values = np.where(late, "new", table[name].to_numpy())
        table = replace(table, name, pa.array(values, pa.string()))
    again = Preprocessor.fit(make_panel(table, SOURCE), SPEC, BORDER)
    assert again.to_json() == fitted.to_json()


@pytest.mark.parametrize("scale", SCALES)
def test_a_series_scale_does_not_depend_on_the_other_series(panel, scale):
    spec = make_rich_spec(scaling={"series": scale})
    alone = make_panel(TABLE.filter(pc.equal(TABLE["series_id"], "001")), SOURCE)
    few, many = (Preprocessor.fit(p, spec, BORDER).scalers for p in (alone, panel))
    for name, scaler in few.items():
        assert scaler.location[0] == many[name].location[1]
        assert scaler.spread[0] == many[name].spread[1]


@pytest.mark.parametrize("transform", ["none", "log1p", "asinh"])
def test_the_target_is_bent_before_it_is_measured(panel, transform):
    fitted = Preprocessor.fit(panel, make_rich_spec(scaling={"transform": transform}), BORDER)
    mine = (panel.series_of_row == 1) & (panel.number_of_row <= BORDER)
    bent = bend(panel.values["target"][mine], transform)
    assert fitted.scalers["target"].location[1] == pytest.approx(np.nanmean(bent), rel=1e-12)
    assert fitted.scalers["target"].spread[1] == pytest.approx(np.nanstd(bent), rel=1e-12)


@settings(deadline=None, max_examples=30)
@given(
    transform=st.sampled_from(["none", "log1p", "asinh"]),
    series=st.sampled_from(list(SCALES)),
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5),
)
def test_the_inverse_undoes_bend_and_scale(transform, series, values):
    panel = make_panel(TABLE, SOURCE)
    spec = make_rich_spec(scaling={"transform": transform, "series": series})
    fitted = Preprocessor.fit(panel, spec, BORDER)
    scaler, of = fitted.scalers["target"], np.zeros(len(values), np.int32)
    scaled = scaler.choose([0]).transform(bend(np.array(values), transform), len(values))
    np.testing.assert_allclose(fitted.inverse(scaled, scaler, of), values, rtol=1e-9, atol=1e-6)


def test_a_series_without_an_observed_target_in_training_is_not_among_its_series(panel):
    """Nor one that begins after it."""
    hours, ids = read_hours(TABLE), np.array(TABLE["series_id"].to_pylist())
    target = np.where(ids == "001", np.nan, TABLE["target"].to_numpy())
    table = replace(TABLE, "target", target).filter(pa.array((ids != "002") | (hours > BORDER)))
    fitted = Preprocessor.fit(make_panel(table, SOURCE), SPEC, BORDER)
    assert fitted.ids == ("000",)
    assert {len(s.location) for s in fitted.scalers.values()} == {1}
    whole = Preprocessor.fit(panel, SPEC, BORDER)
    assert fitted.scalers["target"].location[0] == whole.scalers["target"].location[0]


def test_births_are_the_first_observed_steps(fitted):
    seen = TABLE.filter(pa.array(np.isfinite(TABLE["target"].to_numpy())))
    for series_id, birth in zip(fitted.ids, fitted.births, strict=True):
        mine = pc.equal(seen["series_id"], series_id).to_numpy()
        assert birth == read_hours(seen)[mine].min()


def test_categories_come_from_training_rows(panel, fitted):
    assert fitted.categories == {
        "mode": ("high", "low", "mid"),
        "code": ("1", "2", "30"),
        "shift": ("day", "night"),
        "site": ("east", "west"),
        "zone": ("0", "1"),
    }
    assert fitted.count_codes(fitted.code_names) == (4, 4, 3)
    late = np.where(read_hours(TABLE) > BORDER, "new", TABLE["mode"].to_numpy())
    table = replace(TABLE, "mode", pa.array(late, pa.string()))
    assert "new" in make_panel(table, SOURCE).labels["mode"].names
    again = Preprocessor.fit(make_panel(table, SOURCE), SPEC, BORDER)
    assert again.categories == fitted.categories
    assert len(panel.ids) == 3


def test_json_gives_bit_identical_rows(panel, fitted):
    again = Preprocessor.from_json(json.loads(json.dumps(fitted.to_json())))
    assert again.to_json() == fitted.to_json()
    assert again.names == fitted.names
    a, b = (encode_panel(f, panel, until=BORDER).arrays() for f in (fitted, again))
    for name, array in a.items():
        assert array.tobytes() == b[name].tobytes(), name


def test_the_calendar_chosen_by_freq_is_written_down():
    for freq, calendar in (("h", ("hour", "weekday", "day_of_year")), ("MS", ("month",))):
        source = SourceSpec(uri="x", freq=freq)
        panel = make_panel(make_table(freq=freq, missing=0), source)
        fitted = Preprocessor.fit(panel, make_spec(source), panel.cutoff)
        assert fitted.features.calendar == calendar


def test_a_new_series_is_scaled_by_its_own_newest_lookback():
    two = make_panel(TABLE.filter(pc.not_equal(TABLE["series_id"], "001")), SOURCE)
    fitted = Preprocessor.fit(two, SPEC, BORDER)
    panel = make_panel(TABLE, SOURCE)
    until = END - 50
    found = fitted.align(panel, until)
    numbers = panel.number_of_row
    rows = (panel.series_of_row == 1) & (numbers <= until) & (numbers > until - 24)
    for name in ("target", "wind", "plan"):
        newest = panel.values[name][rows]
        assert found[name].location[1] == pytest.approx(np.nanmean(newest), rel=1e-12)
        assert found[name].spread[1] == pytest.approx(np.nanstd(newest), rel=1e-12)
        assert found[name].location[[0, 2]].tolist() == fitted.scalers[name].location.tolist()


def test_a_new_series_without_one_value_is_scaled_as_the_mean_of_those_known():
    """And not by whoever else happens to be new."""
    only = make_panel(TABLE.filter(pc.equal(TABLE["series_id"], "000")), SOURCE)
    fitted = Preprocessor.fit(only, SPEC, BORDER)
    ids = np.array(TABLE["series_id"].to_pylist())
    empty = replace(TABLE, "target", np.where(ids == "001", np.nan, TABLE["target"].to_numpy()))
    found = fitted.align(make_panel(empty, SOURCE), END)["target"]
    assert found.location[1] == fitted.scalers["target"].location.mean()
    assert found.spread[1] == fitted.scalers["target"].spread.mean()


def test_a_series_is_encoded_the_same_alone_and_among_others(panel, fitted):
    alone = make_panel(TABLE.filter(pc.equal(TABLE["series_id"], "001")), SOURCE)
    begin, end = panel.offsets[1:3]
    many, own = (encode_panel(fitted, p, until=BORDER) for p in (panel, alone))
    for name in ("values", "codes", "target", "gap"):
        whole, one = getattr(many, name), getattr(own, name)
        assert one.tobytes() == (whole[begin:end] if len(whole) else whole).tobytes(), name
    for name in ("static", "static_codes", "series_codes", "scale", "first"):
        assert getattr(own, name).tobytes() == getattr(many, name)[1:2].tobytes(), name


def test_the_cut_says_where_the_known_columns_are(panel, fitted):
    cut = fitted.cut(SPEC)
    assert (cut.lookback, cut.horizon) == (24, 6)
    assert fitted.names[-cut.known :] == fitted.known_names
    assert fitted.code_names[-cut.known_codes :] == ("shift",)
    assert (cut.season, cut.cycle) == (12, 12)
    spec = make_rich_spec(model={"kind": "segment", "cycle": 168})
    assert encode(panel, spec)[0].cut(spec).cycle == 168


def test_the_curve_is_chosen_by_training_rows_alone(panel):
    spec = make_rich_spec(scaling={"transform": "auto"})
    assert Preprocessor.fit(panel, spec, BORDER).scaling.transform == "log1p"
    values = panel.values["target"].copy()
    values[panel.number_of_row > BORDER] -= 1e6
    later = dataclasses.replace(panel, values={**panel.values, "target": values})
    assert Preprocessor.fit(later, spec, BORDER).scaling.transform == "log1p"
    below = dataclasses.replace(panel, values={**panel.values, "target": values - 1e6})
    fitted = Preprocessor.fit(below, spec, BORDER)
    assert fitted.scaling.transform == "none"
    assert Preprocessor.from_json(fitted.to_json()).scaling.transform == "none"

"""Encoded rows against values taken one by one."""

import json

import numpy as np
import pyarrow as pa
import pytest

from seqmodel.features import CLIP, Preprocessor
from seqmodel.specs import FeatureSpec, SourceSpec
from tests.seqmodel.small import SOURCE, make_panel, make_table

LAGS = (6, 24)
FEATURES = FeatureSpec(lags=LAGS)


@pytest.fixture(scope="module")
def panel():
    return make_panel()


@pytest.fixture(scope="module")
def fitted(panel):
    return Preprocessor.fit(panel, SOURCE, FEATURES, panel.cutoff - 30)


@pytest.fixture(scope="module")
def rows(fitted, panel):
    return fitted.encode(panel, until=panel.cutoff - 30)


def replace(table, name, values):
    return table.set_column(table.schema.get_field_index(name), name, pa.array(values))


def test_names_match_the_columns(fitted, rows):
    assert rows.past.shape[1] == len(fitted.names)
    assert rows.known.shape[1] == len(fitted.known_names)
    assert fitted.names == (
        "target",
        "observed",
        "wind",
        "plan",
        "target_lag_6",
        "target_lag_24",
        *(f"{c}_{w}" for c in ("hour", "weekday", "day_of_year") for w in ("sin", "cos")),
    )


def test_the_known_features_are_the_last_of_a_lookback_row(rows):
    np.testing.assert_array_equal(rows.past[:, -rows.known.shape[1] :], rows.known)


def test_each_column_is_the_value_scaled_and_zero_where_missing(panel, fitted, rows):
    history = panel.number_of_row <= panel.cutoff
    for name in ("target", "wind", "plan"):
        values = panel.values[name]
        scaler = fitted.scalers[name]
        for r in range(0, panel.rows, 7):
            s = panel.series_of_row[r]
            value = (values[r] - scaler.mean[s]) / scaler.spread[s]
            expected = np.float32(value) if np.isfinite(value) else 0
            assert rows.past[r, fitted.names.index(name)] == expected, name
    assert np.isnan(panel.values["target"][history]).any()
    np.testing.assert_array_equal(rows.past[:, 0], rows.target)


def test_the_weight_and_the_flag_say_what_was_observed(panel, rows):
    seen = np.isfinite(panel.values["target"])
    np.testing.assert_array_equal(rows.weight, seen)
    np.testing.assert_array_equal(rows.past[:, 1], seen)


@pytest.mark.parametrize("lag", LAGS)
def test_a_lag_is_the_target_so_long_ago_in_the_same_series(panel, fitted, rows, lag):
    column = fitted.names.index(f"target_lag_{lag}")
    for s in range(len(panel.ids)):
        begin, end = panel.offsets[s : s + 2]
        for r in range(begin, end):
            expected = rows.target[r - lag] if r - lag >= begin else 0
            assert rows.past[r, column] == expected


def test_statistics_come_from_rows_up_to_the_border_only(panel, fitted):
    table = make_table()
    numbers = panel.grid.number(table["timestamp"].cast(pa.int64()).to_numpy())
    late = numbers > panel.cutoff - 30
    table = replace(table, "target", np.where(late, 1e6, table["target"].to_numpy()))
    again = Preprocessor.fit(make_panel(table), SOURCE, FEATURES, panel.cutoff - 30)
    assert again.to_json() == fitted.to_json()


def test_a_covariate_far_off_is_clipped():
    table = make_table()
    wind = table["wind"].to_numpy().copy()
    wind[-1] = 1e9
    panel = make_panel(replace(table, "wind", wind))
    fitted = Preprocessor.fit(panel, SOURCE, FEATURES, panel.cutoff - 30)
    column = fitted.encode(panel, until=panel.cutoff).past[:, fitted.names.index("wind")]
    assert column.max() == CLIP


def test_a_covariate_in_the_targets_unit_is_scaled_as_the_target(panel):
    features = FeatureSpec(in_target_unit=("plan",), calendar=())
    fitted = Preprocessor.fit(panel, SOURCE, features, panel.cutoff)
    rows = fitted.encode(panel, until=panel.cutoff)
    scaled = fitted.scalers["target"].transform(panel.values["plan"], panel.series_of_row)
    expected = np.nan_to_num(np.clip(scaled, -CLIP, CLIP)).astype(np.float32)
    np.testing.assert_array_equal(rows.known[:, 0], expected)


def test_categories_count_from_one_and_the_unseen_is_zero(fitted, rows):
    assert fitted.categories == {"site": ("east", "west")}
    assert fitted.cardinalities == (3,)
    assert rows.codes.ravel().tolist() == [2, 1, 2]
    table = make_table()
    other = make_panel(replace(table, "site", ["north"] * table.num_rows))
    assert fitted.encode(other, until=other.cutoff).codes.ravel().tolist() == [0, 0, 0]


def test_a_missing_category_is_not_the_word_none():
    table = make_table()
    ids = table["series_id"].to_pylist()
    panel = make_panel(replace(table, "site", ["None" if i == "000" else "east" for i in ids]))
    fitted = Preprocessor.fit(panel, SOURCE, FEATURES, panel.cutoff)
    missing = [None if i == "001" else "None" for i in ids]
    codes = fitted.encode(make_panel(replace(table, "site", missing)), until=panel.cutoff).codes
    assert codes.ravel().tolist() == [1, 0, 1]


def test_static_reals_are_scaled_over_series(rows):
    np.testing.assert_allclose(rows.reals.ravel(), [-1.2247449, 0, 1.2247449], rtol=1e-6)


def test_a_static_real_that_never_changes_is_no_unit():
    table = make_table()
    fitted = Preprocessor.fit(
        make_panel(replace(table, "size", [0.1] * table.num_rows)), SOURCE, FEATURES, 10**9
    )
    panel = make_panel(replace(table, "size", [0.2] * table.num_rows))
    assert np.abs(fitted.encode(panel, until=panel.cutoff).reals).max() < 1


def test_a_static_real_that_is_missing_everywhere_is_zero():
    table = make_table()
    empty = pa.array([None] * table.num_rows, pa.float64())
    panel = make_panel(table.set_column(table.schema.get_field_index("size"), "size", empty))
    fitted = Preprocessor.fit(panel, SOURCE, FEATURES, panel.cutoff)
    assert (fitted.encode(panel, until=panel.cutoff).reals == 0).all()


def test_json_gives_bit_identical_rows(panel, fitted, rows):
    again = Preprocessor.from_json(json.loads(json.dumps(fitted.to_json())))
    assert again.names == fitted.names
    for name, array in again.encode(panel, until=panel.cutoff - 30).arrays().items():
        assert array.tobytes() == rows.arrays()[name].tobytes(), name


def test_a_series_encodes_the_same_alone_and_among_others(panel, fitted, rows):
    table = make_table()
    alone = make_panel(table.filter(pa.compute.equal(table["series_id"], "001")))
    own = fitted.encode(alone, until=alone.cutoff)
    begin, end = panel.offsets[1:3]
    np.testing.assert_array_equal(own.past, rows.past[begin:end])
    np.testing.assert_array_equal(own.codes, rows.codes[1:2])


def test_a_series_never_seen_is_scaled_by_its_own_rows_up_to_the_cutoff(panel):
    table = make_table()
    two = make_panel(table.filter(pa.compute.not_equal(table["series_id"], "001")))
    fitted = Preprocessor.fit(two, SOURCE, FEATURES, two.cutoff)
    until = panel.cutoff - 50
    scaler = fitted.align(panel, until)["target"]
    own = panel.values["target"][panel.offsets[1] : panel.offsets[2]]
    own = own[panel.first[1] + np.arange(len(own)) <= until]
    assert scaler.mean[1] == pytest.approx(np.nanmean(own))
    assert scaler.spread[1] == pytest.approx(np.nanstd(own))
    assert scaler.mean[0] == fitted.scalers["target"].mean[0]
    assert scaler.mean[2] == fitted.scalers["target"].mean[1]


@pytest.mark.parametrize(
    ("freq", "calendar"),
    [("h", ("hour", "weekday", "day_of_year")), ("D", ("weekday", "day_of_year"))],
)
def test_the_calendar_chosen_by_freq_is_written_down(freq, calendar):
    source = SourceSpec(uri="x", freq=freq)
    panel = make_panel(make_table(freq=freq), source)
    assert Preprocessor.fit(panel, source, FeatureSpec(), panel.cutoff).features.calendar == (
        calendar
    )


def test_a_plain_series_has_no_known_features_without_calendar():
    source = SourceSpec(uri="x")
    panel = make_panel(source=source)
    fitted = Preprocessor.fit(panel, source, FeatureSpec(calendar=()), panel.cutoff)
    rows = fitted.encode(panel, until=panel.cutoff)
    assert fitted.names == ("target", "observed")
    assert rows.known.shape == (panel.rows, 0)
    assert rows.reals.shape == rows.codes.shape == (3, 0)

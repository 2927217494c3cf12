"""Encoded rows against values taken one by one."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from seqmodel.calendar_features import make_calendar, make_holidays
from seqmodel.encoding import CLIP, encode_panel
from seqmodel.errors import DataError
from seqmodel.features import Preprocessor
from seqmodel.specs import SourceSpec
from seqmodel.target_features import AGE_UNIT, STATISTICS, roll
from seqmodel.windowing import load_panel
from seqmodel.windows import index_cutoffs
from tests.seqmodel.rich import (
    FEATURES,
    SOURCE,
    encode,
    make_rich_spec,
    make_rich_table,
    read_batch,
    read_hours,
    replace,
)
from tests.seqmodel.small import count_steps, make_panel, make_spec, make_table, put_table

TABLE = make_rich_table()
END = count_steps(TABLE)
BORDER = END - 40
SPEC = make_rich_spec()
LOOKBACK = SPEC.window.lookback


@pytest.fixture(scope="module")
def panel():
    return make_panel(TABLE, SOURCE)


@pytest.fixture(scope="module")
def fitted(panel):
    return Preprocessor.fit(panel, SPEC, BORDER)


@pytest.fixture(scope="module")
def rows(fitted, panel):
    return encode_panel(fitted, panel, until=BORDER)


def column(fitted, rows, name):
    return rows.values[:, fitted.names.index(name)]


def scale(panel, fitted, name, values):
    return fitted.scalers[name].transform(values, panel.lengths)


def test_a_column_is_the_value_scaled_and_zero_where_missing(panel, fitted, rows):
    for name in ("target", "wind", "plan"):
        values = panel.values[name]
        assert np.isnan(values[panel.number_of_row <= END]).any()
        expected = np.clip(np.nan_to_num(scale(panel, fitted, name, values)), -CLIP, CLIP)
        np.testing.assert_array_equal(column(fitted, rows, name), expected.astype(np.float32))


def test_the_flag_says_what_was_observed(panel, fitted, rows):
    seen = np.isfinite(panel.values["target"])
    np.testing.assert_array_equal(column(fitted, rows, "observed"), seen)


@pytest.mark.parametrize("lag", FEATURES["lags"])
def test_a_lag_is_the_target_so_long_ago(panel, fitted, rows, lag):
    found, target = column(fitted, rows, f"target_lag_{lag}"), rows.values[:, 0]
    for begin, end in zip(panel.offsets[:-1], panel.offsets[1:], strict=True):
        np.testing.assert_array_equal(found[begin + lag : end], target[begin : end - lag])
        assert (found[begin : begin + lag] == 0).all()


@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_rolling_statistic_is_taken_of_the_scaled_target(panel, fitted, rows, statistic):
    scaled = scale(panel, fitted, "target", panel.values["target"])
    begins = panel.offsets[:-1][panel.series_of_row]
    for steps in (3, 30):
        expected = np.nan_to_num(roll(scaled, begins, statistic, steps)).astype(np.float32)
        found = column(fitted, rows, f"target_{statistic}_{steps}")
        np.testing.assert_array_equal(found, expected)


def test_age_counts_from_the_first_observed_step(panel, fitted, rows):
    births = np.array(fitted.births)[panel.series_of_row]
    age = np.log1p(np.maximum(panel.number_of_row - births, 0)) / AGE_UNIT
    np.testing.assert_array_equal(column(fitted, rows, "age"), age.astype(np.float32))


def test_dates_are_those_of_the_row_on_the_clocks_of_the_zone(panel, fitted, rows):
    moments = panel.grid.moment(panel.number_of_row)
    waves = make_calendar(moments, fitted.features.calendar, "Europe/Berlin")
    days = make_holidays(moments, "DE", "Europe/Berlin")
    expected = np.concatenate([waves, days], axis=1).astype(np.float32)
    np.testing.assert_array_equal(rows.values[:, -expected.shape[1] :], expected)
    assert days.any()


def test_a_covariate_in_the_targets_unit_is_scaled_as_the_target(panel):
    features = {"in_target_unit": ["plan"], "calendar": []}
    scaling = {"transform": "asinh", "series": "robust"}
    fitted, rows = encode(panel, make_rich_spec(features=features, scaling=scaling))
    scaled = scale(panel, fitted, "target", np.arcsinh(panel.values["plan"]))
    expected = np.clip(np.nan_to_num(scaled), -CLIP, CLIP).astype(np.float32)
    np.testing.assert_array_equal(column(fitted, rows, "plan"), expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, None])
@pytest.mark.parametrize("name", ["wind", "plan", "size", "target"])
def test_a_number_that_is_none_never_reaches_a_network(name, bad):
    values = TABLE[name].to_pylist()
    values[::3] = [bad] * len(values[::3])
    if name != "target":
        values[:60] = [bad] * 60
    spec = make_rich_spec(features={**FEATURES, "missing": "forward"})
    fitted, rows = encode(make_panel(replace(TABLE, name, values), SOURCE), spec)
    assert np.isfinite(rows.values).all()
    assert np.isfinite(rows.static).all()
    assert np.abs(rows.static).max() <= CLIP
    assert np.isfinite([s.location for s in fitted.scalers.values()]).all()


def test_a_covariate_far_off_is_clipped(fitted):
    wind = TABLE["wind"].to_numpy().copy()
    wind[[-1, -3]] = 1e300, -1e300
    rows = encode_panel(fitted, make_panel(replace(TABLE, "wind", wind), SOURCE), until=BORDER)
    found = column(fitted, rows, "wind")
    assert (found.min(), found.max()) == (-CLIP, CLIP)


def test_a_missing_covariate_is_its_mean_or_its_newest_value_of_a_lookback_before(panel):
    wind = TABLE["wind"].to_numpy().copy()
    ids, hours = np.array(TABLE["series_id"].to_pylist()), read_hours(TABLE)
    hole = (ids == "000") & (hours > END - 60)
    wind[hole] = np.nan
    wind[(ids == "000") & (hours == END - 60)] = 9.0
    holed = make_panel(replace(TABLE, "wind", wind), SOURCE)
    mine = (holed.series_of_row == 0) & (holed.number_of_row >= END - 60)
    fitted, rows = encode(holed, make_rich_spec(features={"missing": "mean"}), BORDER)
    assert (column(fitted, rows, "wind")[mine][1:] == 0).all()
    fitted, rows = encode(holed, make_rich_spec(features={"missing": "forward"}), BORDER)
    found = column(fitted, rows, "wind")[mine]
    value = np.float32(
        fitted.scalers["wind"].choose(np.array([0])).transform(np.array([9.0]), 1)[0]
    )
    assert (found[: LOOKBACK + 1] == value).all()
    assert (found[LOOKBACK + 1 :] == 0).all()
    assert len(panel.ids) == 3


def test_with_a_scale_of_their_own_the_windows_keep_the_holes(panel):
    for window, kept in (("none", False), ("last", True)):
        fitted, rows = encode(panel, make_rich_spec(scaling={"window": window}))
        holes = {fitted.names[i] for i in np.flatnonzero(np.isnan(rows.values).any(axis=0))}
        targets = {fitted.names[i] for i in fitted.target_columns}
        assert holes <= targets
        assert ("target" in holes) == kept


def test_with_a_fill_the_rows_hold_what_is_shown_and_what_is_scored(panel):
    fitted, rows = encode(panel, make_rich_spec(grid={"fill": "forward", "fill_limit": 2}))
    plain = encode(panel, SPEC)[1]
    np.testing.assert_array_equal(rows.target, plain.values[:, 0])
    np.testing.assert_array_equal(rows.values[:, 1], plain.values[:, 1])
    filled = rows.gap > 0
    assert filled.any()
    np.testing.assert_array_equal(rows.values[~filled, 0], plain.values[~filled, 0])
    assert (plain.values[filled, 1] == 0).all()
    assert (rows.values[filled, 0] != 0).all()
    for name in fitted.names[2:]:
        np.testing.assert_array_equal(
            column(fitted, rows, name), plain.values[:, fitted.names.index(name)]
        )
    assert plain.target.size == plain.gap.size == 0


def test_codes_count_from_one_and_are_zero_where_missing(panel, fitted, rows):
    for place, name in enumerate(fitted.code_names):
        codes = {category: i + 1 for i, category in enumerate(fitted.categories[name])}
        labels = panel.labels[name]
        expected = [codes[labels.names[c]] if c >= 0 else 0 for c in labels.codes]
        assert rows.codes[:, place].tolist() == expected
        assert 0 in expected


def test_a_category_never_seen_in_training_is_zero(fitted):
    mode = pc.if_else(pc.equal(TABLE["mode"], "low"), "never", TABLE["mode"])
    changed = make_panel(replace(TABLE, "mode", mode.combine_chunks()), SOURCE)
    found = encode_panel(fitted, changed, until=BORDER).codes[:, 0]
    before = encode_panel(fitted, make_panel(TABLE, SOURCE), until=BORDER).codes[:, 0]
    low = fitted.categories["mode"].index("low") + 1
    np.testing.assert_array_equal(found, np.where(before == low, 0, before))


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.float32(), pa.string()])
def test_a_category_is_the_same_whatever_type_its_number_comes_in(fitted, kind):
    """Whole numbers are written without a fraction."""
    whole = [None if v is None else int(v) for v in TABLE["code"].to_pylist()]
    zone = pc.cast(TABLE["zone"], kind).combine_chunks()
    changed = replace(TABLE, "code", pa.array(whole, pa.int64()).cast(kind))
    rows = encode_panel(fitted, make_panel(replace(changed, "zone", zone), SOURCE), until=BORDER)
    plain = encode_panel(fitted, make_panel(TABLE, SOURCE), until=BORDER)
    np.testing.assert_array_equal(rows.codes, plain.codes)
    np.testing.assert_array_equal(rows.static_codes, plain.static_codes)


def test_neither_nan_nor_infinity_is_a_category(fitted):
    code = np.array([np.nan if v is None else v for v in TABLE["code"].to_pylist()])
    code[code == 30] = np.inf
    rows = encode_panel(fitted, make_panel(replace(TABLE, "code", code), SOURCE), until=BORDER)
    plain = encode_panel(fitted, make_panel(TABLE, SOURCE), until=BORDER)
    expected = np.where(plain.codes[:, 1] == 3, 0, plain.codes[:, 1])
    np.testing.assert_array_equal(rows.codes[:, 1], expected)
    taught = Preprocessor.fit(make_panel(replace(TABLE, "code", code), SOURCE), SPEC, END)
    assert taught.categories["code"] == ("1", "2")


def test_a_static_category_counts_from_one_and_is_zero_where_unseen_or_missing(fitted, rows):
    assert rows.static_codes.tolist() == [[2, 1], [1, 2], [2, 1]]
    ids = TABLE["series_id"].to_pylist()
    site = [{"000": None, "001": "north", "002": "west"}[i] for i in ids]
    table = replace(TABLE, "site", pa.array(site, pa.string()))
    changed = encode_panel(fitted, make_panel(table, SOURCE), until=BORDER)
    assert changed.static_codes[:, 0].tolist() == [0, 0, 2]


def test_a_missing_category_is_not_the_word_none():
    ids = TABLE["series_id"].to_pylist()
    words = replace(TABLE, "site", ["None" if i == "000" else "east" for i in ids])
    fitted = Preprocessor.fit(make_panel(words, SOURCE), SPEC, END)
    missing = replace(TABLE, "site", [None if i == "001" else "None" for i in ids])
    found = encode_panel(fitted, make_panel(missing, SOURCE), until=END)
    assert found.static_codes[:, 0].tolist() == [1, 0, 1]


def test_static_reals_are_scaled_over_series(rows):
    np.testing.assert_allclose(rows.static.ravel(), [-1.2247449, 0, 1.2247449], rtol=1e-6)


def test_a_static_real_that_never_changes_is_no_unit():
    same, other = (
        make_panel(replace(TABLE, "size", [v] * TABLE.num_rows), SOURCE) for v in (0.1, 0.2)
    )
    fitted = Preprocessor.fit(same, SPEC, END)
    assert np.abs(encode_panel(fitted, other, until=END).static).max() < 1


def test_a_static_real_that_is_missing_everywhere_is_zero():
    empty = pa.array([None] * TABLE.num_rows, pa.float64())
    panel = make_panel(replace(TABLE, "size", empty), SOURCE)
    assert (encode(panel, SPEC)[1].static == 0).all()


def test_series_count_from_one_and_a_new_one_is_zero():
    known = make_panel(TABLE.filter(pc.not_equal(TABLE["series_id"], "001")), SOURCE)
    fitted = Preprocessor.fit(known, SPEC, BORDER)
    rows = encode_panel(fitted, make_panel(TABLE, SOURCE), until=BORDER)
    assert rows.series_codes.ravel().tolist() == [1, 0, 2]


def test_a_plain_series_has_no_known_features_without_calendar():
    source = SourceSpec(uri="x")
    panel = make_panel(make_table(), source)
    fitted, rows = encode(panel, make_spec(source, features={"calendar": []}))
    assert fitted.names == ("target", "observed")
    assert fitted.known_names == ()
    assert rows.values.shape == (panel.rows, 2)
    assert rows.codes.shape == (panel.rows, 0)
    assert rows.static.shape == rows.static_codes.shape == (3, 0)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("wind", "found categories in covariate 'wind', needed numbers as in training"),
        ("plan", "found categories in covariate 'plan', needed numbers as in training"),
        ("size", "found categories in covariate 'size', needed numbers as in training"),
        ("mode", "found numbers in covariate 'mode', needed categories as in training"),
        ("site", "found numbers in covariate 'site', needed categories as in training"),
    ],
)
def test_a_column_of_another_kind_than_in_training_is_refused(fitted, name, sentence):
    """Else every column after it would be taken for its neighbour."""
    other = ["x"] * TABLE.num_rows if "categories in" in sentence else [1.0] * TABLE.num_rows
    with pytest.raises(DataError) as caught:
        encode_panel(fitted, make_panel(replace(TABLE, name, other), SOURCE), until=BORDER)
    assert str(caught.value).startswith(sentence)


def number_births(fitted):
    return dict(zip(fitted.ids, fitted.births, strict=True))


@pytest.mark.parametrize("window", ["none", "last", "seasonal"])
@pytest.mark.parametrize(
    ("features", "grid"),
    [
        ({}, {}),
        (FEATURES, {}),
        ({**FEATURES, "missing": "forward"}, {"fill": "interpolate"}),
        (FEATURES, {"fill": "seasonal", "fill_limit": 4}),
        ({"lags": [6]}, {"fill": "forward", "fill_limit": 8}),
    ],
)
def test_lookback_and_reach_are_all_the_history_that_a_forecast_needs(
    tmp_path, features, grid, window
):
    """Though rows are missing just where the history begins."""
    from seqmodel.store.store import Store

    spec = make_rich_spec(features=features, grid=grid, scaling={"window": window})
    store = Store(tmp_path)
    fitted = Preprocessor.fit(make_panel(TABLE, SOURCE), spec, BORDER)
    begin = END - LOOKBACK - fitted.reach + 1
    ids, hours = np.array(TABLE["series_id"].to_pylist()), read_hours(TABLE)
    hole = ((ids == "000") & (abs(hours - begin) < 3)) | (
        (ids == "001") & (hours <= END - LOOKBACK + 1) & (hours >= begin)
    )
    wind = np.where(abs(hours - begin) < 4, np.nan, TABLE["wind"].to_numpy())
    table = replace(TABLE, "wind", wind).filter(pa.array(~hole))
    judged = put_table(store, table, spec).table
    whole = load_panel(store, judged, spec)
    limited = load_panel(
        store, judged, spec, history=LOOKBACK + fitted.reach, births=number_births(fitted)
    )
    assert limited.rows < whole.rows
    batches = []
    for panel in (whole, limited):
        rows = encode_panel(fitted, panel, until=END)
        windows = index_cutoffs(panel.first, panel.offsets, LOOKBACK, np.array([END]))
        batches.append(read_batch(fitted, rows, spec, windows))
    a, b = (batch.inputs for batch in batches)
    assert set(a) == set(b)
    assert [name for name in a if a[name].tobytes() != b[name].tobytes()] == []
    ones = np.ones((3, 6, 1))
    assert batches[0].inverse(ones).tobytes() == batches[1].inverse(ones).tobytes()

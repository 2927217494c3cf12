"""The panel: every observed value at its place, NaN elsewhere."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel.calendar_features import choose_cycles, make_calendar
from seqmodel.categories import read_labels
from seqmodel.encoding import encode_panel
from seqmodel.errors import DataError
from seqmodel.features import Preprocessor
from seqmodel.grid import Grid, to_datetime, to_microseconds
from seqmodel.models.naive import predict_naive
from seqmodel.panelling import build_panel
from seqmodel.specs import PipelineSpec, SourceSpec
from seqmodel.store.refs import ValidatedTableRef
from seqmodel.store.runs import name_run
from seqmodel.store.store import Store
from seqmodel.store.tables import publish_table
from seqmodel.table.ingesting import ingest_table
from seqmodel.table.quality import Verdict
from seqmodel.table.reading import look_at
from seqmodel.telling import arrange_rows
from seqmodel.windowing import load_panel, make_windows
from seqmodel.windows import index_cutoffs

HOUR = 3_600_000_000
SOURCE = SourceSpec(uri="x", past=("rain",), known=("price",), static=("city",))
SCHEMA = pa.schema(
    [
        ("series_id", pa.string()),
        ("timestamp", pa.timestamp("us", tz="UTC")),
        ("target", pa.float64()),
        ("rain", pa.float64()),
        ("price", pa.float64()),
        ("city", pa.string()),
    ]
)


def table(*rows):
    """Make rows of (series, hour, target)."""
    full = [(s, h * HOUR, y, y, y, f"city of {s} at {h}") for s, h, y in rows]
    columns = list(zip(*full, strict=True)) or [[]] * len(SCHEMA)
    return pa.table(dict(zip(SCHEMA.names, columns, strict=True)), schema=SCHEMA)


def future(*rows):
    return table(*rows).select(["series_id", "timestamp", "price"])


def put(rows, name, values):
    """Replace a column."""
    return rows.set_column(rows.column_names.index(name), name, pa.array(values))


def build(rows, later=None, source=SOURCE, cutoff=9, horizon=2, begins=None):
    return build_panel(rows, later, source, cutoff=cutoff, horizon=horizon, begins=begins)


def of(panel, s, name="target"):
    """The values of a series, categories by their names."""
    rows = slice(panel.offsets[s], panel.offsets[s + 1])
    if name in panel.labels:
        labels = panel.labels[name]
        return [labels.names[code] if code >= 0 else None for code in labels.codes[rows]]
    return panel.values[name][rows].tolist()


def nan(*values):
    return pytest.approx([float("nan") if v is None else v for v in values], nan_ok=True)


def test_a_gap_becomes_nan_and_history_ends_at_the_cutoff():
    panel = build(table(("a", 6, 1.0), ("a", 8, 2.0), ("a", 9, 3.0)))
    assert of(panel, 0) == nan(1, None, 2, 3, None, None)
    assert panel.first.tolist() == [6]


def test_a_series_begins_with_its_first_row_however_short_and_ends_with_the_others():
    panel = build(table(("a", 9, 1.0), ("b", 2, 2.0)))
    assert of(panel, 0) == nan(1, None, None)
    assert of(panel, 1) == nan(2, *[None] * 9)
    assert panel.end == 12
    assert panel.rows == 13


def test_a_null_target_is_nan():
    assert of(build(table(("a", 9, None))), 0) == nan(None, None, None)


def test_a_series_read_from_the_middle_begins_where_it_is_said_to():
    rows = table(("a", 8, 1.0), ("b", 9, 2.0), ("c", 5, 3.0))
    panel = build(rows, begins={"a": 6, "c": 6, "z": 1})
    assert panel.first.tolist() == [6, 9, 5]
    assert of(panel, 0) == nan(None, None, 1, None, None, None)
    assert of(panel, 1) == nan(2, None, None)


def test_future_known_rows_are_placed_after_the_cutoff_and_others_ignored():
    later = future(("a", 9, 90.0), ("a", 10, 100.0), ("a", 12, 120.0), ("z", 10, 1.0))
    panel = build(table(("a", 9, 1.0)), later)
    assert of(panel, 0, "price") == nan(1, 100, None)
    assert of(panel, 0, "rain") == nan(1, None, None)
    assert of(panel, 0) == nan(1, None, None)


def test_rows_after_an_earlier_cutoff_give_their_known_covariates_only():
    panel = build(table(("a", 8, 8.0), ("a", 9, 9.0), ("a", 10, 10.0)), cutoff=8)
    assert of(panel, 0) == nan(8, None, None)
    assert of(panel, 0, "price") == nan(8, 9, 10)


def test_a_series_without_history_has_its_horizon_only_and_nobody_elses_city():
    panel = build(table(("a", 7, 7.0), ("b", 10, 10.0), ("c", 3, 1.0)), cutoff=8)
    assert panel.ids == ["a", "b", "c"]
    assert of(panel, 1) == nan(None, None)
    assert of(panel, 1, "price") == nan(None, 10)
    assert panel.first.tolist() == [7, 9, 3]
    assert panel.static["city"].tolist() == ["city of a at 7", None, "city of c at 3"]


def test_static_is_the_newest_value_up_to_the_cutoff():
    rows = table(("a", 8, 1.0), ("a", 9, 1.0), ("a", 10, 1.0), ("b", 1, 1.0))
    assert build(rows).static["city"].tolist() == ["city of a at 9", "city of b at 1"]


@pytest.mark.parametrize(
    "rows",
    [
        [("a", 9, 1.0), ("a", 8, 1.0)],
        [("a", 8, 1.0), ("a", 8, 1.0)],
        [("b", 8, 1.0), ("a", 8, 1.0)],
        [("a", 8, 1.0), ("b", 8, 1.0), ("a", 9, 1.0)],
    ],
    ids=["time falls", "double", "series fall", "series come back"],
)
def test_rows_out_of_order_are_refused(rows):
    with pytest.raises(DataError, match="sorted"):
        build(table(*rows))


@pytest.mark.parametrize("which", ["history", "future"])
def test_a_row_off_the_grid_is_refused_with_its_series_and_moment(which):
    good, bad = ("a", 9, 1.0), ("a", 10.5, 1.0)
    rows = [good, bad] if which == "history" else [good]
    with pytest.raises(DataError, match=r"'a' at 1970-01-01 10:30.*off the grid"):
        build(table(*rows), future(bad) if which == "future" else None)


def test_no_rows_make_an_empty_panel():
    for later in (None, future(("a", 10, 1.0))):
        panel = build(table(), later)
        assert panel.ids == []
        assert panel.rows == 0


# Covariates ---------------------------------------------------------------------------------------


def test_text_in_a_past_covariate_becomes_categories():
    rows = put(table(("a", 7, 1.0), ("a", 9, 1.0), ("b", 9, 1.0)), "rain", ["wet", None, "dry"])
    panel = build(rows)
    assert panel.labels["rain"].names == ("dry", "wet")
    assert of(panel, 0, "rain") == ["wet", None, None, None, None]
    assert of(panel, 1, "rain") == ["dry", None, None]
    assert "rain" not in panel.values


def test_text_in_a_known_covariate_becomes_categories_through_the_horizon():
    rows = put(table(("a", 8, 1.0), ("a", 9, 1.0), ("a", 10, 1.0)), "price", ["low", "low", "peak"])
    later = put(future(("a", 10, 1.0), ("a", 11, 1.0)), "price", ["high", None])
    assert of(build(rows, later), 0, "price") == ["low", "low", "high", None]
    # What is known after an earlier cutoff comes from the rows themselves.
    assert of(build(rows, None, cutoff=8), 0, "price") == ["low", "low", "peak"]
    assert of(build(rows, None), 0, "price") == ["low", "low", "peak", None]


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        ([3.0, 2.5, None], ["3", "2.5", None]),
        ([3, 2, None], ["3", "2", None]),
        ([-0.0, float("nan"), float("inf")], ["0", None, None]),
        (["3", "3.0", ""], ["3", "3.0", ""]),
        ([True, False, None], ["true", "false", None]),
        ([1e300, 2.0**53, -7.0], ["1e+300", "9007199254740992", "-7"]),
    ],
    ids=["fractions", "integers", "no numbers", "text", "booleans", "huge"],
)
def test_categories_read_as_a_person_would_write_them(column, wanted):
    found = read_labels(pa.chunked_array([pa.array(column)])).to_pylist()
    if wanted[1] == "9007199254740992":
        assert float(found.pop(1)) == 2.0**53
        wanted = [wanted[0], wanted[2]]
    assert found == wanted


@pytest.mark.parametrize("name", ["rain", "price"])
def test_numbers_are_categories_where_they_are_declared_so(name):
    source = SOURCE.model_copy(update={"categorical": (name,)})
    rows = put(table(("a", 8, 1.0), ("a", 9, 1.0)), name, [3.0, None])
    # The file of the future may have them as whole numbers.
    later = put(future(("a", 10, 1.0), ("a", 11, 1.0)), "price", [3, 4])
    panel = build(rows, later, source)
    ahead = ["3", "4"] if name == "price" else [None, None]
    assert of(panel, 0, name) == ["3", None, *ahead]
    assert name not in panel.values


def test_a_static_number_is_a_category_where_it_is_declared_so():
    rows = put(table(("a", 8, 1.0), ("b", 9, 1.0)), "city", [3.0, 4.5])
    assert build(rows).static["city"].tolist() == [3.0, 4.5]
    source = SOURCE.model_copy(update={"categorical": ("city",)})
    assert build(rows, None, source).static["city"].tolist() == ["3", "4.5"]


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), None])
@pytest.mark.parametrize("name", ["rain", "price"])
def test_a_covariate_that_is_no_finite_number_is_missing(name, value):
    rows = put(table(("a", 8, 1.0), ("a", 9, 1.0)), name, [value, 2.0])
    assert of(build(rows), 0, name) == nan(None, 2, None, None)
    later = put(future(("a", 10, 1.0), ("a", 11, 1.0)), "price", [value, 5.0])
    assert of(build(table(("a", 9, 1.0)), later), 0, "price") == nan(1, None, 5)


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        ([True, None], (1, None)),
        ([None, None], (None, None)),
        ([2**60, 1], (2.0**60, 1)),
    ],
    ids=["booleans", "nothing at all", "huge integers"],
)
def test_covariates_of_other_types_are_read_as_numbers(column, wanted):
    rows = put(table(("a", 8, 1.0), ("a", 9, 1.0)), "rain", column)
    assert of(build(rows), 0, "rain") == nan(*wanted, None, None)


@pytest.mark.parametrize("where", ["target", "future"])
def test_text_where_numbers_are_needed_is_refused_by_its_name(where):
    rows, later = table(("a", 9, 1.0)), future(("a", 10, 1.0))
    if where == "target":
        with pytest.raises(DataError, match="text in 'target'"):
            build(put(rows, "target", ["much"]))
    else:
        with pytest.raises(DataError, match="text in 'price'"):
            build(rows, put(later, "price", ["high"]))


# Laws ---------------------------------------------------------------------------------------------

CELLS = st.dictionaries(
    st.tuples(st.sampled_from(["001", "1", "a", "é"]), st.integers(-20, 20)),
    st.floats(-9, 9),
    max_size=40,
)


@settings(deadline=None, max_examples=50)
@given(CELLS, st.integers(-5, 25), st.integers(1, 5))
def test_every_observed_value_is_found_at_its_place(cells, cutoff, horizon):
    panel = build(
        table(*((s, h, cells[s, h]) for s, h in sorted(cells))), cutoff=cutoff, horizon=horizon
    )
    wanted = np.full(panel.rows, np.nan)
    where = zip(panel.series_of_row, panel.number_of_row, strict=True)
    for i, (s, n) in enumerate(where):
        if n <= cutoff:
            wanted[i] = cells.get((panel.ids[s], int(n)), np.nan)
    np.testing.assert_array_equal(panel.values["target"], wanted)
    past = [key for key in cells if key[1] <= cutoff]
    assert np.isfinite(wanted).sum() == len(past)
    assert panel.ids == sorted({s for s, _ in cells})
    ends = panel.number_of_row[panel.offsets[1:] - 1]
    assert (ends == cutoff + horizon).all()
    firsts = [min((h for i, h in past if i == s), default=cutoff + 1) for s in panel.ids]
    assert panel.first.tolist() == firsts


@settings(deadline=None, max_examples=50)
@given(CELLS, st.sets(st.sampled_from(["001", "1", "a", "é"])), st.integers(-5, 25))
def test_some_series_taken_are_the_panel_of_their_rows(cells, wanted, cutoff):
    rows = table(*((s, h, cells[s, h]) for s, h in sorted(cells)))
    rows = put(rows, "rain", pa.array([f"{y:.0f}" for y in cells.values()], pa.string()))
    chosen = rows.filter(pa.array([s in wanted for s in rows["series_id"].to_pylist()], pa.bool_()))
    later = future(*((s, cutoff + 1, 7.0) for s in ["001", "a"]))
    whole, alone = build(rows, later, cutoff=cutoff), build(chosen, later, cutoff=cutoff)
    places = np.array([i for i, s in enumerate(whole.ids) if s in wanted], dtype=np.int64)
    taken = whole.take(places)
    assert taken.ids == alone.ids
    assert taken.first.tolist() == alone.first.tolist()
    assert taken.offsets.tolist() == alone.offsets.tolist()
    assert taken.static["city"].tolist() == alone.static["city"].tolist()
    for s in range(len(alone.ids)):
        assert of(taken, s, "rain") == of(alone, s, "rain")
    for name, values in alone.values.items():
        np.testing.assert_array_equal(taken.values[name], values)


def test_a_panel_speaks_of_the_moments_of_its_grid():
    panel = build(table(("a", 9, 1.0)))
    begun = datetime(1970, 1, 1, 9, tzinfo=UTC).timestamp() * 1e6
    assert panel.grid.moment(panel.number_of_row)[0] == begun


#: freq, a step in the middle of the history, the moments of the two steps after the newest.
CALENDARS = [
    ("B", "2024-03-04", ["2024-03-29", "2024-04-01"]),
    ("MS", "2023-12-01", ["2024-04-01", "2024-05-01"]),
    ("ME", "2023-12-31", ["2024-04-30", "2024-05-31"]),
    ("QS", "2021-01-01", ["2024-04-01", "2024-07-01"]),
    ("QE", "2021-03-31", ["2024-06-30", "2024-09-30"]),
    ("W-MON", "2024-02-05", ["2024-03-25", "2024-04-01"]),
    ("W-SUN", "2024-02-04", ["2024-03-31", "2024-04-07"]),
    ("2h", "2024-03-28T20:00", ["2024-03-29T10:00", "2024-03-29T12:00"]),
    ("15min", "2024-03-29T10:15", ["2024-03-29T12:00", "2024-03-29T12:15"]),
]


@pytest.mark.parametrize(("freq", "middle", "wanted"), CALENDARS, ids=[c[0] for c in CALENDARS])
def test_from_a_source_to_a_forecast_every_calendar_keeps_its_steps(tmp_path, freq, middle, wanted):
    grid, wanted = Grid(freq), [datetime.fromisoformat(w).replace(tzinfo=UTC) for w in wanted]
    horizon = grid.number(np.array([to_microseconds(w) for w in wanted]))
    count = 40
    numbers = horizon[0] - count + np.arange(count + 2)
    moments = [to_datetime(int(m)) for m in grid.moment(numbers)]
    assert datetime.fromisoformat(middle).replace(tzinfo=UTC) in moments
    # The source goes on after as_of, the moment at which the newest step of history is over.
    as_of = to_datetime(int(grid.end(horizon[:1] - 1)[0]))
    season, missing = 4, 17
    rows = [(t, float(i % season), i / 10) for i, t in enumerate(moments) if i != missing]
    panel, index, table, made = run_through(tmp_path, freq, season, rows, as_of)

    assert (table.ledger.kept, table.ledger.after_as_of) == (count - 1, 2)
    assert table.cutoff == moments[count - 1]
    gaps = np.isnan(panel.values["target"][:count])
    assert np.flatnonzero(gaps).tolist() == [missing]
    np.testing.assert_allclose(panel.values["plan"][-2:], [4.0, 4.1])
    assert made.train > 0
    levels = (0.5,)
    point = predict_naive(panel, index, 8, 2, season, levels, panel.cutoff)
    found = arrange_rows(panel, index, point, levels, "baseline")
    assert found["timestamp"].to_pylist() == wanted
    assert found["q0.5"].to_pylist() == [count % season, (count + 1) % season]
    calendar = make_calendar(grid.moment(numbers), choose_cycles(grid), None)
    spec = PipelineSpec(name="x", source=SourceSpec(uri="x", freq=freq, known=("plan",)))
    fitted = Preprocessor.fit(panel, spec, panel.cutoff)
    known = fitted.names.index("plan") + 1
    encoded = encode_panel(fitted, panel, until=panel.cutoff).values[:, known:]
    np.testing.assert_allclose(encoded, calendar, atol=1e-6)


def run_through(root, freq, season, rows, as_of):
    """Ingest, panel, windows of one series; the newest step is what `as_of` says."""
    columns = dict(zip(("timestamp", "target", "plan"), zip(*rows, strict=True), strict=True))
    path = root / "source.parquet"
    pq.write_table(pa.table({"series_id": ["001"] * len(rows), **columns}), path)
    spec = PipelineSpec.model_validate(
        {
            "name": "calendar",
            "source": {"uri": str(path), "freq": freq, "known": ["plan"], "season_length": season},
            "window": {"lookback": 8, "horizon": 2},
            "backtest": {"cutoffs": 2, "step": 2},
        }
    )
    store, source = Store(root / "root"), look_at(spec.source)
    table = ingest_table(store, name_run(spec, as_of, source), as_of, source, spec)
    publish_table(store, table)
    judged = ValidatedTableRef(table=table, verdict=Verdict(table=table.fingerprint, rules=()))
    panel = load_panel(store, table, spec)
    index = index_cutoffs(panel.first, panel.offsets, 8, np.array([panel.cutoff]))
    return panel, index, table, make_windows(store, judged, spec)

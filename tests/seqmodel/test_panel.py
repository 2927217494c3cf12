"""The panel: every observed value at its place, NaN elsewhere."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel.calendar_features import choose_cycles, make_calendar
from seqmodel.errors import DataError
from seqmodel.features import Preprocessor
from seqmodel.forecasting import arrange_rows
from seqmodel.grid import Grid, to_datetime, to_microseconds
from seqmodel.models.naive import predict_naive
from seqmodel.panel import build_panel
from seqmodel.specs import FeatureSpec, PipelineSpec, SourceSpec
from seqmodel.store.refs import ValidatedTableRef
from seqmodel.store.runs import name_run
from seqmodel.store.store import Store
from seqmodel.store.tables import publish_table
from seqmodel.table.ingesting import ingest_table
from seqmodel.table.quality import Verdict
from seqmodel.table.reading import look_at
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


def build(rows, later=None, cutoff=9, horizon=2, least=3):
    return build_panel(rows, later, SOURCE, cutoff=cutoff, horizon=horizon, least=least)


def of(panel, s, name="target"):
    return panel.values[name][panel.offsets[s] : panel.offsets[s + 1]].tolist()


def nan(*values):
    return pytest.approx([float("nan") if v is None else v for v in values], nan_ok=True)


def test_gap_becomes_nan_and_history_ends_at_the_cutoff():
    panel = build(table(("a", 6, 1.0), ("a", 8, 2.0), ("a", 9, 3.0)))
    assert of(panel, 0) == nan(1, None, 2, 3, None, None)
    assert panel.first.tolist() == [6]


def test_short_or_ended_series_is_padded_to_the_least_history():
    panel = build(table(("a", 9, 1.0), ("b", 2, 2.0)))
    assert of(panel, 0) == nan(None, None, 1, None, None)
    assert of(panel, 1) == nan(2, *[None] * 9)
    assert panel.end == 12
    assert panel.rows == 15


def test_null_target_is_nan():
    assert of(build(table(("a", 9, None)), least=1), 0) == nan(None, None, None)


def test_future_known_rows_are_placed_after_the_cutoff_and_others_ignored():
    later = future(("a", 9, 90.0), ("a", 10, 100.0), ("a", 12, 120.0), ("z", 10, 1.0))
    panel = build(table(("a", 9, 1.0)), later, least=1)
    assert of(panel, 0, "price") == nan(1, 100, None)
    assert of(panel, 0, "rain") == nan(1, None, None)
    assert of(panel, 0) == nan(1, None, None)


def test_rows_after_an_earlier_cutoff_give_their_known_covariates_only():
    panel = build(table(("a", 8, 8.0), ("a", 9, 9.0), ("a", 10, 10.0)), cutoff=8, least=1)
    assert of(panel, 0) == nan(8, None, None)
    assert of(panel, 0, "price") == nan(8, 9, 10)


def test_static_is_the_newest_value():
    panel = build(table(("a", 8, 1.0), ("a", 9, 1.0), ("b", 1, 1.0)))
    assert panel.static["city"].tolist() == ["city of a at 9", "city of b at 1"]


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
def test_row_off_the_grid_is_refused_with_its_series_and_moment(which):
    good, bad = ("a", 9, 1.0), ("a", 10.5, 1.0)
    rows = [good, bad] if which == "history" else [good]
    with pytest.raises(DataError, match=r"'a' at 1970-01-01 10:30.*off the grid"):
        build(table(*rows), future(bad) if which == "future" else None)


def test_text_in_a_past_covariate_is_refused():
    rows = table(("a", 9, 1.0)).set_column(3, "rain", pa.array(["wet"]))
    with pytest.raises(DataError, match="text in covariate 'rain'"):
        build(rows)


def test_no_rows_make_an_empty_panel():
    panel = build(table())
    assert panel.ids == []
    assert panel.rows == 0


@settings(deadline=None)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["001", "1", "a", "é"]), st.integers(-20, 20)),
        st.floats(-9, 9),
        max_size=40,
    ),
    st.integers(-5, 25),
    st.integers(1, 5),
    st.integers(1, 6),
)
def test_every_observed_value_is_found_at_its_place(cells, cutoff, horizon, least):
    panel = build(
        table(*((s, h, cells[s, h]) for s, h in sorted(cells))),
        cutoff=cutoff,
        horizon=horizon,
        least=least,
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
    assert (cutoff + 1 - panel.first >= least).all()


def test_panel_speaks_of_the_moments_of_its_grid():
    panel = build(table(("a", 9, 1.0)), least=1)
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
    calendar = make_calendar(grid.moment(numbers), choose_cycles(grid.step), None)
    encoded = Preprocessor.fit(
        panel, SourceSpec(uri="x", freq=freq, known=("plan",)), FeatureSpec(), panel.cutoff
    ).encode(panel, until=panel.cutoff)
    np.testing.assert_allclose(encoded.known[:, 1:], calendar, atol=1e-6)


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
    panel = load_panel(store, table, spec, least=8)
    index = index_cutoffs(panel.first, panel.offsets, 8, np.array([panel.cutoff]))
    return panel, index, table, make_windows(store, judged, spec)

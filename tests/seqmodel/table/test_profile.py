"""The profile against a slow loop over pandas rows."""

import math
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqmodel.errors import SourceError
from seqmodel.specs import SourceSpec
from seqmodel.table import spread, stream
from seqmodel.table.columns import describe_columns
from seqmodel.table.profile import profile_table

SCHEMA = pa.schema(
    [
        ("series_id", pa.string()),
        ("timestamp", pa.timestamp("us", tz="UTC")),
        ("target", pa.float64()),
        ("Rain", pa.float64()),
        ("rain", pa.string()),
    ]
)
SOURCE = SourceSpec(uri="x", past=("Rain",), known=("rain",))
STARTS = {
    "h": "1969-12-31T20:00",
    "15min": "1969-12-31T23:00",
    "MS": "1969-10-01",
    "B": "1969-12-25",
}


def write(folder, rows, parts=1, schema=SCHEMA):
    cuts = np.linspace(0, len(rows), parts + 1).astype(int)
    for number, (a, b) in enumerate(pairwise(cuts)):
        columns = dict(zip(SCHEMA.names, zip(*rows[a:b], strict=True), strict=False))
        table = pa.table(
            {n: pa.array(columns.get(n, ()), SCHEMA.field(n).type) for n in schema.names}
        )
        pq.write_table(table, folder / f"part-{number:05d}.parquet")
    return folder


def longest_stretch(mine, in_order):
    if not in_order:
        mine = sorted(mine, key=lambda row: (row[1], *rank(row[2])))
    longest = now = 0
    before = None
    for _, _, target, *_ in mine:
        if target is None or not math.isfinite(target):
            now, before = 0, None
            continue
        now = now + 1 if target == before else 1
        before, longest = target, max(longest, now)
    return longest


def rank(target):
    """As DuckDB sorts: numbers, then NaN, then null."""
    nothing = target is None
    return (nothing, not nothing and math.isnan(target), 0.0 if nothing else target)


def share_far(finite):
    if not finite:
        return math.nan
    off = np.abs(np.array(finite) - np.median(finite))
    spread = 1.4826 * np.median(off)
    return float(np.mean(off > 5 * spread)) if spread else 0.0


def loop(rows, freq):
    """Figures of each series, by the slowest way that is plainly right."""
    grid = pd.date_range("1969-09-01", "1970-12-01", freq=freq, tz="UTC")
    number = {}
    for t in {row[1] for row in rows}:
        number[t] = int(np.searchsorted(grid, t, side="right")) - 1
    newest = max(number.values())
    in_order = [row[:2] for row in rows] == sorted(row[:2] for row in rows)
    found = {}
    for name in sorted({row[0] for row in rows}):
        mine = [row for row in rows if row[0] == name]
        times = sorted(row[1] for row in mine)
        steps = sorted({number[t] for t in times})
        targets = [row[2] for row in mine if row[2] is not None]
        finite = [y for y in targets if math.isfinite(y)]
        gaps = [b - a - 1 for a, b in pairwise(steps)]
        span = steps[-1] - steps[0] + 1
        missing = len(mine) - len(targets) + sum(gaps)
        found[name] = {
            "rows": len(mine),
            "missing_timestamps": 0,
            "first": times[0],
            "last": times[-1],
            "duplicates": len(times) - len(set(times)),
            "off_grid": sum(grid[number[t]] != t for t in times),
            "steps": newest - steps[0] + 1,
            "behind": newest - steps[-1],
            "gaps": sum(gaps),
            "longest_gap": max(gaps, default=0),
            "missing_target": missing,
            "missing_share": min(missing / span, 1.0),
            "targets": len(finite),
            "non_finite": len(targets) - len(finite),
            "min": min(finite, default=math.nan),
            "max": max(finite, default=math.nan),
            "mean": np.mean(finite) if finite else math.nan,
            "std": np.std(finite) if finite else math.nan,
            "zeros": sum(y == 0 for y in finite),
            "zero_share": sum(y == 0 for y in finite) / len(finite) if finite else math.nan,
            "flat": longest_stretch(mine, in_order),
            "outliers": share_far(finite),
            "Rain__missing": sum(row[3] is None for row in mine),
            "rain__missing": sum(row[4] is None for row in mine),
        }
    return pd.DataFrame.from_dict(found, orient="index").rename_axis("series_id").reset_index()


def compare(found, wanted):
    assert list(found["series_id"]) == list(wanted["series_id"])
    for name in wanted.columns[1:]:
        for left, right in zip(found[name], wanted[name], strict=True):
            if isinstance(right, float):
                assert left == pytest.approx(right, rel=1e-9, abs=1e-9, nan_ok=True), name
            else:
                assert left == right, name


@st.composite
def tables(draw):
    freq = draw(st.sampled_from(sorted(STARTS)))
    moments = list(pd.date_range(STARTS[freq], periods=12, freq=freq, tz="UTC"))
    moments += [moment + pd.Timedelta(minutes=7) for moment in moments[:4]]
    target = st.one_of(
        st.none(),
        st.sampled_from([0.0, -0.0, math.inf, -math.inf, math.nan]),
        st.floats(-1e6, 1e6),
    )
    row = st.tuples(
        # Ids that look like numbers, SQL, or nothing.
        st.sampled_from(["001", "1", "'; DROP TABLE rows; --", ""]),
        st.sampled_from(moments),
        target,
        st.one_of(st.none(), st.just(1.0)),
        st.one_of(st.none(), st.just("wet")),
    )
    rows = draw(st.lists(row, min_size=1, max_size=40))
    if draw(st.booleans()):
        rows = sorted(rows, key=lambda r: r[:2])
    return freq, rows, draw(st.integers(1, min(3, len(rows))))


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(tables(), st.sampled_from([1, 2, 5, 1000]))
def test_every_figure_is_that_of_a_slow_loop_however_rows_are_cut_into_batches(
    monkeypatch, case, cut
):
    monkeypatch.setattr(stream, "BATCH", cut)
    monkeypatch.setattr(spread, "FEW", cut)
    freq, rows, parts = case
    with tempfile.TemporaryDirectory() as folder:
        found = profile_table(
            write(Path(folder), rows, parts), SOURCE.model_copy(update={"freq": freq})
        )
    compare(found, loop(rows, freq))


def hours(name, *numbers, target=1.0):
    start = pd.Timestamp("2024-01-01", tz="UTC")
    return [(name, start + pd.Timedelta(hours=n), target, 1.0, "dry") for n in numbers]


def test_a_gap_across_two_parts_counts_once(tmp_path):
    found = profile_table(write(tmp_path, hours("a", 0, 1, 4, 5), parts=2), SOURCE)
    assert found[["gaps", "longest_gap", "steps"]].iloc[0].tolist() == [2, 2, 6]


def test_steps_reach_to_the_newest_row_of_any_series(tmp_path):
    found = profile_table(write(tmp_path, hours("a", 0, 1) + hours("b", 2, 9)), SOURCE)
    assert found["steps"].tolist() == [10, 8]
    assert found["behind"].tolist() == [8, 0]
    assert found["missing_share"].tolist() == [0.0, 6 / 8]


def test_rows_out_of_order_are_counted_and_do_not_disturb_the_rest(tmp_path):
    rows = hours("b", 0, 2, 1, 2) + hours("a", 3)
    found = profile_table(write(tmp_path, rows), SOURCE).set_index("series_id")
    assert found["unsorted"].to_dict() == {"a": 1, "b": 1}
    assert found["duplicates"].to_dict() == {"a": 0, "b": 1}
    assert found["gaps"].to_dict() == {"a": 0, "b": 0}


def test_rows_without_id_or_timestamp_are_a_series_and_a_figure(tmp_path):
    rows = [*hours("a", 0, 1), *hours(None, 0, 1), ("c", None, 1.0, 1.0, "dry")]
    found = profile_table(write(tmp_path, rows), SOURCE)
    assert found["series_id"].isna().tolist() == [False, False, True]
    assert found["missing_timestamps"].tolist() == [0, 1, 0]
    assert found["duplicates"].tolist() == [0, 0, 0]
    assert pd.isna(found["first"].iloc[1])


def test_an_empty_table_has_no_series(tmp_path):
    found = profile_table(write(tmp_path, []), SOURCE)
    assert found.empty
    assert str(found["last"].dtype) == "datetime64[us, UTC]"


def test_moments_are_utc_microseconds_and_ids_stay_strings(tmp_path):
    found = profile_table(write(tmp_path, hours("001", 0)), SOURCE)
    assert found["series_id"].tolist() == ["001"]
    assert str(found["first"].dtype) == "datetime64[us, UTC]"


def test_a_folder_named_like_a_pattern_or_a_partition_is_read_as_it_is(tmp_path):
    folder = tmp_path / "rain=1" / "[ab]*"
    folder.mkdir(parents=True)
    found = profile_table(write(folder, hours("a", 0)), SOURCE)
    assert found["rows"].tolist() == [1]


def test_huge_targets_do_not_end_the_profile(tmp_path):
    rows = hours("a", 0, target=1e308) + hours("a", 1, target=-1e308)
    found = profile_table(write(tmp_path, rows), SOURCE)
    assert found["max"].tolist() == [1e308]


@pytest.mark.parametrize("lacking", ["target", "rain"])
def test_a_missing_column_is_named(tmp_path, lacking):
    schema = SCHEMA.remove(SCHEMA.get_field_index(lacking))
    folder = write(tmp_path, hours("a", 0), schema=schema)
    with pytest.raises(SourceError, match=f"no column '{lacking}'"):
        profile_table(folder, SOURCE)
    found = describe_columns(folder, SOURCE).set_index("column")["found"]
    assert found[lacking] == "nothing"


def test_a_folder_without_parts_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"no part-\*\.parquet"):
        profile_table(tmp_path, SOURCE)


def test_a_part_that_is_not_parquet_is_refused(tmp_path):
    (tmp_path / "part-00000.parquet").write_text("no")
    with pytest.raises(SourceError, match="unreadable"):
        describe_columns(tmp_path, SOURCE)


def test_text_where_numbers_should_be_is_refused_in_one_line(tmp_path):
    write(tmp_path, hours("a", 0))
    table = pq.read_table(tmp_path / "part-00000.parquet")
    texts = table.set_column(2, "target", pa.array(["high"]))
    pq.write_table(texts, tmp_path / "part-00000.parquet")
    with pytest.raises(SourceError, match="cannot be profiled") as caught:
        profile_table(tmp_path, SOURCE)
    assert "\n" not in str(caught.value)


def test_one_part_of_another_type_is_seen(tmp_path):
    write(tmp_path, hours("a", 0, 1), parts=2)
    second = tmp_path / "part-00001.parquet"
    table = pq.read_table(second)
    pq.write_table(table.set_column(3, "Rain", table["Rain"].cast(pa.int32())), second)
    found = describe_columns(tmp_path, SOURCE).set_index("column")
    assert found.loc["Rain"].tolist() == ["double", "int32"]

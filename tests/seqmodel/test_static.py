"""Static covariates that change: every moment sees the value that was known then, row by row."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel.panelling import build_panel
from seqmodel.specs import SourceSpec

HOUR = 3_600_000_000
SOURCE = SourceSpec(uri="x", static=("city", "size"))
CUTOFF = 8
CITY = st.sampled_from([None, "a", "b"])
SIZE = st.sampled_from([None, float("nan"), 1.0, 2.0])
ROWS = st.dictionaries(
    st.tuples(st.integers(0, 3), st.integers(0, 11)),
    st.tuples(CITY, SIZE),
    min_size=1,
    max_size=30,
)


def build(rows):
    """Make a panel of (series, hour) -> (city, size)."""
    keys = sorted(rows)
    values = list(zip(*(rows[key] for key in keys), strict=True))
    columns = {
        "series_id": pa.array([f"{s}" for s, _ in keys]),
        "timestamp": pa.array([h * HOUR for _, h in keys], pa.timestamp("us", tz="UTC")),
        "target": pa.array([1.0] * len(keys)),
        "city": pa.array(values[0], pa.string()),
        "size": pa.array(values[1], pa.float64()),
    }
    return build_panel(pa.table(columns), None, SOURCE, cutoff=CUTOFF, horizon=1)


def known(rows, series_id, number):
    """The values of a series' newest row up to a moment, else of its first, else none."""
    hours = sorted(h for s, h in rows if f"{s}" == series_id and h <= CUTOFF)
    before = [h for h in hours if h <= number]
    if not hours:
        return (None, None)
    return rows[int(series_id), before[-1] if before else hours[0]]


def same(a, b):
    missing = [v is None or np.isnan(v) if not isinstance(v, str) else False for v in (a, b)]
    return missing[0] and missing[1] if any(missing) else a == b


@settings(deadline=None)
@given(rows=ROWS)
def test_every_moment_sees_the_newest_value_of_then(rows):
    panel = build(rows)
    for number in range(CUTOFF + 1):
        found = panel.static_at(number)
        for place, series_id in enumerate(panel.ids):
            city, size = known(rows, series_id, number)
            assert found["city"][place] == city
            assert same(found["size"][place], size)


@settings(deadline=None)
@given(rows=ROWS, number=st.integers(0, CUTOFF))
def test_a_series_is_marked_where_a_later_moment_sees_another_value(rows, number):
    panel = build(rows)
    for place, series_id in enumerate(panel.ids):
        then = known(rows, series_id, number)
        others = [known(rows, series_id, later) for later in range(number, CUTOFF + 1)]
        changes = any(not same(a, b) for other in others for a, b in zip(then, other, strict=True))
        assert panel.changes_after(number)[place] == changes


@settings(deadline=None)
@given(rows=ROWS, data=st.data())
def test_some_of_the_series_keep_what_they_were(rows, data):
    panel = build(rows)
    every = np.arange(len(panel.ids))
    chosen = np.array(sorted(data.draw(st.sets(st.sampled_from(every.tolist())))), dtype=np.int64)
    for number in (0, 4, CUTOFF):
        taken, whole = panel.take(chosen).static_at(number), panel.static_at(number)
        for name in SOURCE.static:
            assert all(map(same, taken[name], whole[name][chosen]))


def test_what_never_changes_costs_nothing():
    panel = build({(s, h): ("a", float("nan")) for s in range(2) for h in range(9)})
    assert panel.earlier == {}
    assert panel.static_at(3)["city"] is panel.static["city"]


@pytest.mark.parametrize(("number", "city"), [(0, "a"), (3, "a"), (4, "b"), (5, None), (8, "a")])
def test_a_value_holds_until_the_step_before_the_next(number, city):
    cities = {0: "a", 4: "b", 5: None, 7: "a", 9: "b"}
    panel = build({(0, h): (c, 1.0) for h, c in cities.items()})
    assert panel.static_at(number)["city"].tolist() == [city]

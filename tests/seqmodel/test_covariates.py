"""What is demanded of covariates, and the sentence when it is not met."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel.covariates import demand_kinds, demand_known, refuse_changes, refuse_holes
from seqmodel.errors import DataError
from seqmodel.specs import FeatureSpec, SourceSpec
from tests.seqmodel.small import SOURCE, make_panel, make_table

BOTH = SourceSpec(uri="x", past=("wind",), known=("plan", "shift"), static=("site", "size"))
HORIZON = 6


def make_both(holes=()):
    """Every series with every step, and the categories `shift`; some cells emptied."""
    table = make_table(missing=0)
    shift = np.array(["day", "night"], dtype=object)[np.arange(table.num_rows) % 2]
    columns = {"wind": table["wind"], "plan": table["plan"], "shift": shift}
    for name, row in holes:
        values = np.array(columns[name], dtype=object)
        values[row] = None
        columns[name] = values
    for name, values in columns.items():
        place = table.schema.get_field_index(name)
        column = pa.array(list(values)) if not isinstance(values, pa.ChunkedArray) else values
        table = (
            table.set_column(place, name, column)
            if place >= 0
            else table.append_column(name, column)
        )
    return table


def make_future(panel, *, without=()):
    """Known covariates for every series and step of the horizon but some."""
    steps = [(s, h) for s in range(len(panel.ids)) for h in range(1, HORIZON + 1)]
    kept = [step for step in steps if step not in without]
    moments = panel.grid.moment(panel.cutoff + np.array([h for _, h in kept], dtype=np.int64))
    return pa.table(
        {
            "series_id": [panel.ids[s] for s, _ in kept],
            "timestamp": pa.array(moments, pa.timestamp("us", tz="UTC")),
            "plan": np.arange(float(len(kept))),
            "shift": ["day"] * len(kept),
        }
    )


def build(holes=(), without=None):
    table = make_both(holes)
    panel = make_panel(table, BOTH)
    if without is None:
        return panel
    return make_panel(table, BOTH, future=make_future(panel, without=without))


def test_known_covariates_through_the_horizon_are_enough():
    demand_known(build(without=()), BOTH, FeatureSpec())


def test_holes_of_history_do_not_matter_to_the_horizon():
    demand_known(build([("plan", 3), ("shift", 5), ("wind", 0)], ()), BOTH, FeatureSpec())


@pytest.mark.parametrize("without", [(1, 3), (0, 6), (2, 1)])
def test_a_known_covariate_missing_in_the_horizon_is_named_with_series_and_step(without):
    series, step = without
    with pytest.raises(DataError) as caught:
        demand_known(build(without=(without,)), BOTH, FeatureSpec())
    moment = f"2024-01-11T{step - 1:02}:00:00+00:00"
    where = f"at 1 steps of 1 series (the first '{series:03}' at {moment})"
    assert str(caught.value) == (
        f"found the known covariates 'plan' {where}, 'shift' {where} missing in the horizon, needed"
        " them for every step to forecast; deliver them, or set features.missing_known to mean"
    )


def test_without_any_future_every_known_covariate_is_missing_everywhere():
    with pytest.raises(DataError, match=r"'plan' at 18 steps of 3 series .*'shift' at 18 steps"):
        demand_known(build(), BOTH, FeatureSpec())


@settings(deadline=None, max_examples=25)
@given(st.sets(st.tuples(st.integers(0, 2), st.integers(1, HORIZON)), min_size=1))
def test_the_sentence_counts_what_is_missing(without):
    with pytest.raises(DataError) as caught:
        demand_known(build(without=without), BOTH, FeatureSpec())
    series = len({s for s, _ in without})
    assert f"'plan' at {len(without)} steps of {series} series" in str(caught.value)


def test_by_policy_a_missing_known_covariate_is_let_through():
    demand_known(build(), BOTH, FeatureSpec(missing_known="mean"))


@pytest.mark.parametrize("policy", ["mean", "forward"])
def test_holes_of_history_are_let_through_by_default(policy):
    refuse_holes(build([("wind", 7), ("shift", 9)]), BOTH, FeatureSpec(missing=policy))


@pytest.mark.parametrize("name", ["wind", "plan", "shift"])
def test_a_hole_of_history_is_refused_by_policy_with_series_and_step(name):
    row = 240 + 10  # the second series begins five hours later
    with pytest.raises(DataError) as caught:
        refuse_holes(build([(name, row), (name, row + 1)]), BOTH, FeatureSpec(missing="refuse"))
    assert str(caught.value) == (
        f"found covariate '{name}' missing at 2 steps, the first of series '001' at"
        " 2024-01-01T15:00:00+00:00, needed every step under features.missing refuse; mend the"
        " source or choose mean or forward"
    )


def test_what_is_missing_in_the_horizon_alone_is_no_hole_of_history():
    refuse_holes(build(), BOTH, FeatureSpec(missing="refuse"))


@pytest.mark.parametrize("name", ["site", "size"])
def test_a_static_covariate_that_changes_is_refused_by_policy_with_its_series(name):
    table = make_table()
    ids = table["series_id"].to_pylist()
    values = table[name].to_pylist()
    place = ids.index("002")
    values[place] = "north" if name == "site" else 77.0
    changed = table.set_column(table.schema.get_field_index(name), name, pa.array(values))
    refuse_changes(changed, SOURCE, FeatureSpec())
    with pytest.raises(DataError) as caught:
        refuse_changes(changed, SOURCE, FeatureSpec(static_changes="refuse"))
    assert str(caught.value) == (
        f"found 2 values of static covariate '{name}' in series '002', needed one; declare it past"
        " or known, or set features.static_changes to newest"
    )


def test_a_static_covariate_that_is_missing_at_times_has_not_changed():
    table = make_table()
    some = pc.if_else(pa.array(np.arange(table.num_rows) % 2 == 0), table["site"], None)
    holed = table.set_column(table.schema.get_field_index("site"), "site", some)
    refuse_changes(holed, SOURCE, FeatureSpec(static_changes="refuse"))


def test_by_default_the_newest_value_counts():
    table = make_table()
    size = table["size"].to_numpy().copy()
    size[-1] = 77.0
    panel = make_panel(table.set_column(table.schema.get_field_index("size"), "size", [size]))
    assert panel.static["size"].tolist() == [0, 1, 77]


def test_covariates_of_the_kinds_of_training_are_let_through():
    demand_kinds(build(), BOTH, {"shift", "site"})


@pytest.mark.parametrize(
    ("categorical", "sentence"),
    [
        ({"site"}, "found categories in covariate 'shift', needed numbers as in training;"),
        ({"site", "shift", "wind"}, "found numbers in covariate 'wind', needed categories as in"),
        ({"shift", "site", "size"}, "found numbers in covariate 'size', needed categories as in"),
    ],
)
def test_a_covariate_of_another_kind_is_refused(categorical, sentence):
    with pytest.raises(DataError, match=sentence):
        demand_kinds(build(), BOTH, categorical)

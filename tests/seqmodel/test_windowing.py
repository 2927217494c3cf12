"""The window step on a stored table."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from seqmodel.encoding import encode_panel
from seqmodel.errors import DataError
from seqmodel.features import Preprocessor
from seqmodel.splitting import split_steps
from seqmodel.store.store import Store
from seqmodel.windowing import load_panel, load_windows, make_windows
from tests.seqmodel.rich import make_rich_spec, make_rich_table, read_hours, replace
from tests.seqmodel.small import make_panel, make_spec, make_table, put_table, store_windows

WINDOW = {"lookback": 24, "horizon": 6}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    store, spec = Store(tmp_path_factory.mktemp("root")), make_rich_spec()
    judged = put_table(store, make_rich_table(steps=240), spec)
    ref = make_windows(store, judged, spec)
    panel = load_panel(store, judged.table, spec)
    split = split_steps(int(panel.first.min()), panel.cutoff, spec)
    return store, spec, judged, ref, panel, split, load_windows(store, ref)


def number_targets(panel, index, spec):
    """Grid numbers of every window's targets, N x H."""
    windows = index.all()
    rows = windows.starts[:, None] + spec.window.lookback + np.arange(spec.window.horizon)
    return panel.number_of_row[rows]


def number_history(stored, index):
    """Rows of history that every window has."""
    windows = index.all()
    cutoff = windows.starts + stored.fitted.lookback - 1
    return cutoff - stored.rows.begins[windows.series] + 1


def test_no_training_target_comes_after_the_training_border(made):
    _, spec, _, _, panel, split, stored = made
    assert number_targets(panel, stored.train, spec).max() == split.train


def test_the_holdout_lies_between_training_and_backtest(made):
    _, spec, _, _, panel, split, stored = made
    targets = number_targets(panel, stored.holdout, spec)
    assert targets.min() == split.train + 1
    assert targets.max() == split.holdout == split.cutoffs[0]


def test_a_gap_is_left_out_between_the_parts(tmp_path):
    table, backtest = make_table(), {"cutoffs": 2, "step": 6, "gap": 5}
    spec = make_spec(backtest=backtest)
    stored, panel = store_windows(tmp_path, spec, table), make_panel(table)
    train, holdout = (number_targets(panel, i, spec) for i in (stored.train, stored.holdout))
    assert holdout.min() == train.max() + 1 + 5
    assert holdout.max() == panel.cutoff - 6 - 6 - 5


def test_statistics_come_from_training_rows_only(made):
    _, spec, _, _, panel, split, stored = made
    assert stored.fitted.to_json() == Preprocessor.fit(panel, spec, split.train).to_json()


def test_what_is_mapped_again_is_what_was_made(made):
    _, _, _, _, panel, split, stored = made
    rows = encode_panel(stored.fitted, panel, until=split.train)
    for name, array in rows.arrays().items():
        mapped = stored.rows.arrays()[name]
        assert isinstance(mapped, np.memmap) or not mapped.size
        assert (mapped.dtype, mapped.shape) == (array.dtype, array.shape)
        assert mapped.tobytes() == array.tobytes(), name


@pytest.mark.parametrize("part", ["train", "holdout"])
def test_every_window_has_an_observed_step_before_and_after_its_cutoff(tmp_path, part):
    table = make_table(series=1, steps=400)
    numbers = np.arange(table.num_rows)
    hole = table.filter(pa.array((numbers < 100) | (numbers > 180)))
    spec = make_spec()
    stored = store_windows(tmp_path, spec, hole)
    batch = stored.reader(spec).read(getattr(stored, part).all())
    assert (batch.inputs["past"][:, :, 1].sum(axis=1) > 0).all()
    assert (batch.weights.sum(axis=1) > 0).all()


def test_by_policy_a_window_with_a_missing_target_is_skipped(tmp_path):
    weighed, skipped = (
        make_spec(window={**WINDOW, "missing": policy}) for policy in ("weight", "skip")
    )
    many, few = (store_windows(tmp_path / s.window.missing, s) for s in (weighed, skipped))
    for part in ("train", "holdout"):
        every, whole = getattr(many, part), getattr(few, part)
        full = many.reader(weighed).read(every.all()).weights.all(axis=1)
        assert 0 < len(whole) < len(every)
        assert len(whole) == full.sum()
        windows = every.all()
        np.testing.assert_array_equal(np.sort(whole.all().starts), np.sort(windows.starts[full]))
        assert few.reader(skipped).read(whole.all()).weights.all()


@pytest.mark.parametrize(
    ("window", "least"),
    [
        ({}, 6),
        ({"minimum_history": 1}, 1),
        ({"minimum_history": 13}, 13),
        ({"minimum_history": 500}, 24),
        ({"short": "drop"}, 24),
        ({"short": "drop", "minimum_history": 2}, 24),
    ],
)
def test_a_training_window_has_at_least_so_much_history(tmp_path, window, least):
    spec = make_spec(window={**WINDOW, **window})
    stored = store_windows(tmp_path, spec, make_table(missing=0))
    assert number_history(stored, stored.train).min() == least
    assert spec.window.least_rows == (24 if spec.window.short == "drop" else 1)


def test_with_padding_a_lookback_longer_than_every_series_is_no_hindrance(tmp_path):
    spec = make_spec(window={"lookback": 1000, "horizon": 6})
    stored = store_windows(tmp_path, spec)
    past = stored.reader(spec).read(stored.train.all()).inputs["past"]
    history = number_history(stored, stored.train)
    for window in range(0, len(past), 50):
        assert (past[window, : 1000 - history[window]] == 0).all()
        assert past[window, 1000 - history[window] :].any(axis=1).all()


def test_without_padding_a_lookback_longer_than_every_series_is_refused_in_a_sentence(tmp_path):
    spec = make_spec(window={"lookback": 1000, "horizon": 6, "short": "drop"})
    with pytest.raises(DataError) as caught:
        store_windows(tmp_path, spec)
    assert str(caught.value).startswith(
        "found 240 steps in the longest series, needed a history of 1000 + two horizons of 6"
    )
    assert "\n" not in str(caught.value)


def shorten(table, series_id, count):
    """The table with the newest rows only of one series."""
    mine = pc.equal(table["series_id"], series_id).to_numpy()
    kept = ~mine
    kept[np.flatnonzero(mine)[-count:]] = True
    return table.filter(pa.array(kept))


@pytest.mark.parametrize("short", ["pad", "drop"])
def test_a_series_of_one_row_makes_no_window_and_does_no_harm(tmp_path, short):
    spec = make_spec(window={**WINDOW, "short": short})
    table = make_table()
    stored = store_windows(tmp_path / "short", spec, shorten(table, "002", 1))
    assert set(np.unique(stored.train.series)) == {0, 1}
    assert stored.fitted.ids == ("000", "001")
    two = store_windows(tmp_path / "two", spec, table.filter(pc.less(table["series_id"], "002")))
    assert (len(stored.train), len(stored.holdout)) == (len(two.train), len(two.holdout))


def test_a_series_that_begins_in_the_holdout_is_not_held_out(tmp_path):
    """No scale of it was measured: its loss would drown the others'."""
    spec = make_spec(window={"lookback": 24, "horizon": 3}, train={"holdout": 0.3, "epochs": 1})
    table = shorten(make_table(), "002", 60)
    stored = store_windows(tmp_path, spec, table)
    assert stored.fitted.ids == ("000", "001")
    assert set(np.unique(stored.holdout.series)) == {0, 1}


def test_the_ref_says_what_is_stored(made):
    store, _, _, ref, _, _, stored = made
    assert (ref.train, ref.holdout) == (len(stored.train), len(stored.holdout))
    assert ref.features == stored.fitted.names
    assert store.holds(ref)


def test_the_same_table_makes_the_same_windows(made):
    store, spec, judged, ref, *_ = made
    assert make_windows(store, judged, spec) == ref


def test_a_stride_takes_every_so_many_windows(tmp_path):
    whole, few = (
        store_windows(tmp_path / str(stride), make_spec(window={**WINDOW, "stride": stride}))
        for stride in (1, 6)
    )
    assert len(whole.train) / 6 - 3 <= len(few.train) <= len(whole.train) / 6 + 3
    assert len(few.holdout) == len(whole.holdout)
    assert set(few.train.all().starts) <= set(whole.train.all().starts)


def test_the_shapes_are_those_of_the_batches(made):
    _, spec, _, _, _, _, stored = made
    shapes, batch = stored.shapes(spec), stored.reader(spec).read(stored.train.spread(3)).inputs
    assert (shapes.lookback, shapes.horizon) == (24, 6)
    assert batch["past"].shape == (3, 24, shapes.features)
    assert batch["known"].shape == (3, 6, shapes.known)
    assert batch["past_codes"].shape == (3, 24, len(shapes.past_cardinalities))
    assert batch["known_codes"].shape == (3, 6, shapes.known_codes)
    assert batch["static"].shape == (3, shapes.static)
    assert batch["static_codes"].shape == (3, len(shapes.static_cardinalities))
    every = stored.reader(spec).read(stored.train.all()).inputs
    assert every["past_codes"].max(axis=(0, 1)).tolist() == [c - 1 for c in (4, 4, 3)]
    assert shapes.past_cardinalities == (4, 4, 3)
    assert shapes.static_cardinalities == (3, 3)
    assert (shapes.series, every["series"].max()) == (3, 3)
    assert every["phase"].max() == shapes.cycle - 1


def test_a_table_without_an_observed_target_in_training_is_refused_with_figures(tmp_path):
    table = make_table()
    empty = pa.array([None] * table.num_rows, pa.float64())
    with pytest.raises(DataError, match="no train window of lookback 24 \\+ horizon 6"):
        store_windows(tmp_path, make_spec(), replace(table, "target", empty))


def test_a_table_without_an_observed_target_in_the_holdout_is_refused_with_figures(tmp_path):
    table = make_table()
    hours = read_hours(table)
    late = np.where(hours > hours.max() - 60, np.nan, table["target"].to_numpy())
    with pytest.raises(DataError, match="no holdout window of lookback 24"):
        store_windows(tmp_path, make_spec(), replace(table, "target", late))


def test_a_short_table_is_refused_with_figures(tmp_path):
    with pytest.raises(DataError, match="found 24 steps in the longest series"):
        store_windows(tmp_path, make_spec(), make_table(steps=24))


def test_holes_and_changes_are_refused_where_the_policy_says_so(tmp_path):
    with pytest.raises(DataError, match="covariate 'wind' missing"):
        store_windows(tmp_path, make_spec(features={"missing": "refuse"}))
    table = make_table()
    size = np.arange(float(table.num_rows))
    with pytest.raises(DataError, match="values of static covariate 'size'"):
        store_windows(
            tmp_path, make_spec(features={"static_changes": "refuse"}), replace(table, "size", size)
        )


def test_the_newest_steps_alone_make_the_same_panel_end(made):
    store, spec, judged, _, panel, _, stored = made
    births = dict(zip(stored.fitted.ids, stored.fitted.births, strict=True))
    short = load_panel(store, judged.table, spec, history=30, births=births)
    assert short.cutoff == panel.cutoff
    assert short.first.tolist() == [panel.cutoff - 29] * 3
    for s in range(3):
        a = short.values["target"][short.offsets[s] : short.offsets[s + 1]]
        b = panel.values["target"][panel.offsets[s + 1] - len(a) : panel.offsets[s + 1]]
        np.testing.assert_array_equal(a, b)


def test_a_series_younger_than_the_history_read_begins_where_it_did(tmp_path):
    store, spec = Store(tmp_path), make_spec()
    table = shorten(make_table(missing=0), "001", 10)
    judged, panel = put_table(store, table, spec), make_panel(table)
    births = dict(zip(panel.ids, panel.first.tolist(), strict=True))
    short = load_panel(store, judged.table, spec, history=24, births=births)
    assert (panel.cutoff - short.first + 1).tolist() == [24, 10, 24]


def test_known_covariates_of_the_future_reach_the_panel(tmp_path):
    store, spec = Store(tmp_path), make_spec()
    table = make_table()
    panel = make_panel(table)
    moments = panel.grid.moment(panel.cutoff + 1 + np.arange(6))
    future = pa.table(
        {
            "series_id": ["001"] * 6,
            "timestamp": pa.array(moments, pa.timestamp("us", tz="UTC")),
            "plan": np.arange(6.0),
        }
    )
    found = load_panel(store, put_table(store, table, spec, future).table, spec)
    end = found.offsets[2]
    assert found.values["plan"][end - 6 : end].tolist() == [0, 1, 2, 3, 4, 5]
    assert np.isnan(found.values["plan"][-6:]).all()
    assert np.isnan(found.values["target"][end - 6 : end]).all()

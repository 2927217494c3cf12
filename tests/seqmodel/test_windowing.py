"""The window step on a stored table."""

import numpy as np
import pyarrow as pa
import pytest

from seqmodel.errors import DataError
from seqmodel.features import Preprocessor
from seqmodel.splitting import split_steps
from seqmodel.store.store import Store
from seqmodel.windowing import load_panel, load_windows, make_windows
from tests.seqmodel.small import make_panel, make_spec, make_table, put_table


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    store, spec = Store(tmp_path_factory.mktemp("root")), make_spec()
    judged = put_table(store, make_table(), spec)
    ref = make_windows(store, judged, spec)
    panel = load_panel(store, judged.table, spec, least=24)
    split = split_steps(int(panel.first.min()), panel.cutoff, spec)
    return store, spec, judged, ref, panel, split, load_windows(store, ref)


def number_targets(panel, index, spec):
    """Grid numbers of every window's targets, N x H."""
    rows = index.starts[:, None] + spec.window.lookback + np.arange(spec.window.horizon)
    return panel.number_of_row[rows]


def test_no_training_target_comes_after_the_training_border(made):
    _, spec, _, _, panel, split, stored = made
    targets = number_targets(panel, stored.train, spec)
    assert targets.max() == split.train


def test_the_holdout_lies_between_training_and_backtest(made):
    _, spec, _, _, panel, split, stored = made
    targets = number_targets(panel, stored.holdout, spec)
    assert targets.min() > split.train
    assert targets.max() == split.holdout == split.cutoffs[0]


def test_statistics_come_from_training_rows_only(made):
    _, spec, _, _, panel, split, stored = made
    fresh = Preprocessor.fit(panel, spec.source, spec.features, split.train)
    assert stored.fitted.to_json() == fresh.to_json()
    numbers = panel.number_of_row[: panel.offsets[1]]
    mine = panel.values["target"][: panel.offsets[1]][numbers <= split.train]
    assert stored.fitted.scalers["target"].mean[0] == pytest.approx(np.nanmean(mine), rel=1e-12)


def test_every_window_has_an_observed_step_before_and_after_its_cutoff(tmp_path):
    store, spec = Store(tmp_path), make_spec()
    table = make_table(series=1, steps=400)
    numbers = np.arange(table.num_rows)
    hole = table.filter(pa.array((numbers < 100) | (numbers > 180)))
    ref = make_windows(store, put_table(store, hole, spec), spec)
    stored = load_windows(store, ref)
    reader = stored.reader(spec)
    flags = reader.inputs(stored.train)["past"][:, :, 1]
    _, weights = reader.targets(stored.train)
    assert (flags.sum(axis=1) > 0).all()
    assert (weights.sum(axis=1) > 0).all()


def test_the_ref_says_what_is_stored(made):
    store, _, _, ref, _, _, stored = made
    assert (ref.train, ref.holdout) == (len(stored.train), len(stored.holdout))
    assert ref.features == stored.fitted.names
    assert store.holds(ref)


def test_the_same_table_makes_the_same_windows(made):
    store, spec, judged, ref, *_ = made
    assert make_windows(store, judged, spec) == ref


def test_stored_windows_are_mapped_not_read(made):
    assert isinstance(made[-1].rows.past, np.memmap)


def test_a_stride_takes_every_so_many_windows(made, tmp_path):
    spec = make_spec(window={"lookback": 24, "horizon": 6, "stride": 6})
    ref = make_windows(Store(tmp_path), put_table(Store(tmp_path), make_table(), spec), spec)
    assert made[3].train / 6 - 3 <= ref.train <= made[3].train / 6 + 3
    assert ref.holdout == made[3].holdout


def test_a_table_without_an_observed_target_in_training_is_refused_with_figures(tmp_path):
    store, spec = Store(tmp_path), make_spec()
    table = make_table()
    empty = pa.array([None] * table.num_rows, pa.float64())
    table = table.set_column(table.schema.get_field_index("target"), "target", empty)
    with pytest.raises(DataError, match="no train window of lookback 24 \\+ horizon 6"):
        make_windows(store, put_table(store, table, spec), spec)


def test_a_short_table_is_refused_with_figures(tmp_path):
    store, spec = Store(tmp_path), make_spec()
    with pytest.raises(DataError, match="found 40 steps in the longest series"):
        make_windows(store, put_table(store, make_table(steps=40), spec), spec)


def test_the_newest_steps_alone_make_the_same_panel_end(made):
    store, spec, judged, _, panel, *_ = made
    short = load_panel(store, judged.table, spec, least=24, history=24)
    assert short.cutoff == panel.cutoff
    assert (short.first == panel.cutoff - 23).all()
    for s in range(3):
        a = short.values["target"][short.offsets[s] : short.offsets[s + 1]]
        b = panel.values["target"][panel.offsets[s + 1] - len(a) : panel.offsets[s + 1]]
        np.testing.assert_array_equal(a, b)


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
    found = load_panel(store, put_table(store, table, spec, future).table, spec, least=24)
    end = found.offsets[2]
    assert found.values["plan"][end - 6 : end].tolist() == [0, 1, 2, 3, 4, 5]
    assert np.isnan(found.values["plan"][-6:]).all()
    assert np.isnan(found.values["target"][end - 6 : end]).all()

"""One windowing, against loops that are plainly right."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodel.encoding import encode_panel
from seqmodel.errors import DataError
from seqmodel.features import Preprocessor
from seqmodel.gathering import WindowReader
from seqmodel.normalising import WINDOW_SCALES
from seqmodel.rows import Cut, Rows
from seqmodel.store.arrays import read_arrays, write_arrays
from seqmodel.windows import WindowIndex, Windows, index_cutoffs, index_windows
from tests.seqmodel.small import make_panel, make_rows, make_spec, make_table, store_windows

SCALES = ["none", "seasonal", *WINDOW_SCALES]
LOOKBACK, HORIZON = 8, 4
#: target, observed, one past covariate | three known ones, the first a lag of the target.
CUT = Cut(LOOKBACK, HORIZON, known=3, known_codes=2, season=5, cycle=7, target_columns=(0, 3))


@st.composite
def layouts(draw):
    """First grid numbers and lengths of some series, a window, and borders."""
    count = draw(st.integers(1, 4))
    first = np.array([draw(st.integers(0, 12)) for _ in range(count)])
    lengths = np.array([draw(st.integers(1, 25)) for _ in range(count)])
    lookback = draw(st.integers(1, 6))
    return {
        "first": first,
        "offsets": np.concatenate([[0], np.cumsum(lengths)]),
        "lookback": lookback,
        "horizon": draw(st.integers(1, 4)),
        "after": draw(st.integers(-3, 30)),
        "until": draw(st.integers(0, 40)),
        "stride": draw(st.integers(1, 5)),
        "least": draw(st.none() | st.integers(1, lookback)),
    }


def loop(first, offsets, lookback, horizon, *, after, until, stride, least):
    """Every cutoff of every series, tried one by one."""
    found = []
    for s in range(len(first)):
        for row in range(offsets[s + 1] - offsets[s]):
            cutoff = first[s] + row
            history = row + 1 >= (lookback if least is None else least)
            ends = offsets[s] + row + horizon < offsets[s + 1] and cutoff + horizon <= until
            aligned = (until - horizon - cutoff) % stride == 0
            if history and ends and cutoff >= after and aligned:
                found.append((offsets[s] + row - lookback + 1, s))
    return found


def pairs(windows):
    return list(zip(windows.starts.tolist(), windows.series.tolist(), strict=True))


@settings(deadline=None)
@given(layouts())
def test_the_windows_are_those_of_the_slow_loop(layout):
    index = index_windows(**layout)
    assert pairs(index.all()) == loop(**layout)
    assert len(index) == len(index.all())


@settings(deadline=None)
@given(layouts())
def test_the_number_of_windows_is_known_without_listing_them(layout):
    """Newest less oldest cutoff, over the stride, plus one."""
    first, lookback, horizon = layout["first"], layout["lookback"], layout["horizon"]
    newest = np.minimum(layout["until"], first + np.diff(layout["offsets"]) - 1) - horizon
    newest -= (newest - layout["until"] + horizon) % layout["stride"]
    oldest = np.maximum(layout["after"], first + (layout["least"] or lookback) - 1)
    counts = np.maximum((newest - oldest) // layout["stride"] + 1, 0)
    assert len(index_windows(**layout)) == counts.sum()


@settings(deadline=None)
@given(layouts())
def test_no_window_crosses_a_series_or_a_border(layout):
    windows = index_windows(**layout).all()
    begin, end = layout["offsets"][windows.series], layout["offsets"][windows.series + 1]
    target = windows.starts + layout["lookback"]
    cutoff = layout["first"][windows.series] + target - 1 - begin
    assert (target - begin >= (layout["least"] or layout["lookback"])).all()
    assert (target + layout["horizon"] <= end).all()
    assert (cutoff >= layout["after"]).all()
    assert (cutoff + layout["horizon"] <= layout["until"]).all()


@settings(deadline=None)
@given(length=st.integers(1, 40), lookback=st.integers(1, 9), horizon=st.integers(1, 9))
def test_one_series_has_length_less_window_plus_one_windows(length, lookback, horizon):
    first, offsets = np.array([5]), np.array([0, length])
    index = index_windows(first, offsets, lookback, horizon, after=-99, until=999)
    assert len(index) == max(length - lookback - horizon + 1, 0)


@settings(deadline=None)
@given(layouts())
def test_a_stride_keeps_the_newest_window_of_every_series_that_reaches_the_border(layout):
    wide = index_windows(**{**layout, "stride": 1}).all()
    cutoffs = layout["first"][wide.series] + wide.starts - layout["offsets"][wide.series]
    at_border = cutoffs + layout["lookback"] - 1 == layout["until"] - layout["horizon"]
    kept = set(pairs(index_windows(**layout).all()))
    assert set(pairs(wide.take(np.flatnonzero(at_border)))) <= kept


@settings(deadline=None)
@given(layouts())
def test_training_and_holdout_share_no_target(layout):
    border = layout["after"]
    old = index_windows(**{**layout, "after": -99, "until": border}).all()
    new = index_windows(**layout).all()

    def targets(windows):
        rows = windows.starts[:, None] + layout["lookback"] + np.arange(layout["horizon"])
        return set(rows.ravel())

    assert not targets(old) & targets(new)


@settings(deadline=None)
@given(layouts(), st.data())
def test_windows_that_are_kept_are_those_of_the_filtered_list(layout, data):
    index = index_windows(**layout)
    marks = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(index), max_size=len(index))), dtype=bool
    )
    kept = index.keep(marks)
    assert pairs(kept.all()) == pairs(index.all().take(np.flatnonzero(marks)))
    assert (kept.counts >= 1).all()
    # Marking twice is marking both.
    again = kept.keep(np.ones(len(kept), dtype=bool))
    assert pairs(again.all()) == pairs(kept.all())
    assert len(again.starts) == len(kept.starts)


@settings(deadline=None)
@given(layouts(), st.data())
def test_runs_that_are_chosen_are_the_windows_of_some_series(layout, data):
    index = index_windows(**layout)
    count = len(layout["first"])
    wanted = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    every = index.all()
    chosen = index.choose(wanted[index.series])
    assert pairs(chosen.all()) == pairs(every.take(np.flatnonzero(wanted[every.series])))


@settings(deadline=None)
@given(layouts(), st.integers(1, 40))
def test_an_index_that_is_split_and_joined_is_the_same(layout, most):
    index = index_windows(**layout)
    parts = list(index.split(most))
    joined = WindowIndex.join(parts, index.stride)
    assert pairs(joined.all()) == pairs(index.all())
    assert joined.series.dtype == index.series.dtype == np.int32
    assert all(len(part) < most + part.counts.max(initial=0) for part in parts)
    assert len(WindowIndex.join([], 3)) == 0


@settings(deadline=None)
@given(layouts())
def test_an_index_survives_its_arrays(layout):
    index = index_windows(**layout)
    stored = {f"train_{name}": array for name, array in index.arrays().items()}
    again = WindowIndex.from_arrays({**stored, "other": np.zeros(3)}, "train")
    assert pairs(again.all()) == pairs(index.all())
    assert again.stride == index.stride


@settings(deadline=None)
@given(layouts(), st.data())
def test_windows_taken_are_those_of_the_list(layout, data):
    index = index_windows(**layout)
    if not len(index):
        assert len(index.take(np.zeros(0, dtype=np.int64))) == 0
        return
    positions = np.array(data.draw(st.lists(st.integers(0, len(index) - 1), max_size=9)), np.int64)
    assert pairs(index.take(positions)) == pairs(index.all().take(positions))


def test_the_index_grows_with_the_series_not_with_the_rows():
    short, long = (
        index_windows(np.zeros(1, int), np.array([0, n]), 24, 6, after=0, until=n)
        for n in (100, 10_000_000)
    )
    sizes = [sum(array.nbytes for array in index.arrays().values()) for index in (short, long)]
    assert sizes[0] == sizes[1] < 100


def test_spread_keeps_both_ends_and_no_window_twice():
    index = WindowIndex(np.array([0]), np.array([1000]), np.zeros(1, np.int32), 1)
    windows = index.spread(7)
    assert len(set(windows.starts)) == 7
    assert windows.starts[[0, -1]].tolist() == [0, 999]
    assert len(index.spread(5000)) == 1000


def test_cutoffs_make_one_window_for_each_series_with_history_enough():
    first, offsets = np.array([0, 5]), np.array([0, 20, 35])
    windows = index_cutoffs(first, offsets, 4, np.array([3, 6, 8, 10]), least=4)
    assert windows.starts.tolist() == [0, 3, 5, 20, 7, 22]
    assert windows.series.tolist() == [0, 0, 0, 1, 0, 1]
    padded = index_cutoffs(first, offsets, 4, np.array([3, 5]))
    assert padded.starts.tolist() == [0, 2, 17]  # the last begins in the rows of the series before


# Reading ------------------------------------------------------------------------------------------


def list_windows(rows, least=1, lookback=LOOKBACK, horizon=HORIZON):
    """Every window of some rows, padded ones too."""
    offsets = np.append(rows.begins, len(rows.values))
    return index_windows(
        rows.first, offsets, lookback, horizon, after=-999, until=999, least=least
    ).all()


def read_slowly(rows, cut, start, series):
    """One window without a scale, row by row."""
    begin = rows.begins[series]
    zero = np.zeros(rows.values.shape[1], np.float32)
    steps = range(start, start + cut.lookback)
    future = slice(start + cut.lookback, start + cut.lookback + cut.horizon)
    known, known_codes = rows.values.shape[1] - cut.known, rows.codes.shape[1] - cut.known_codes
    number = rows.first[series] + start + cut.lookback - begin
    return {
        "past": np.array([rows.values[i] if i >= begin else zero for i in steps]),
        "past_codes": np.array(
            [rows.codes[i] if i >= begin else np.zeros_like(rows.codes[0]) for i in steps]
        ),
        "known": rows.values[future, known:],
        "known_codes": rows.codes[future, known_codes:],
        "static": rows.static[series],
        "static_codes": rows.static_codes[series],
        "series": rows.series_codes[series],
        "phase": np.array([number % cut.cycle], np.int32),
        "scale": rows.scale[series],
    }


def to_bytes(batch):
    """Everything in a batch, window by window."""
    whole = {**batch.inputs, "targets": batch.targets, "weights": batch.weights}
    if batch.normaliser is not None:
        for field in dataclasses.fields(batch.normaliser):
            whole[field.name] = getattr(batch.normaliser, field.name)
    return [
        {name: array[n].tobytes() for name, array in whole.items()}
        for n in range(len(batch.targets))
    ]


@settings(deadline=None, max_examples=50)
@given(
    picks=st.lists(st.integers(0, 10_000), min_size=1, max_size=9),
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=4),
)
def test_a_gather_equals_a_loop_over_rows(picks, lengths):
    rows = make_rows((*lengths, 12))
    windows = list_windows(rows)
    windows = windows.take(np.array(picks) % len(windows))
    batch = WindowReader(rows, CUT).read(windows)
    for n, (start, series) in enumerate(pairs(windows)):
        wanted = read_slowly(rows, CUT, start, series)
        assert set(batch.inputs) == set(wanted)
        for name, array in wanted.items():
            np.testing.assert_array_equal(batch.inputs[name][n], array, err_msg=name)
            assert batch.inputs[name].dtype == array.dtype
        future = slice(start + LOOKBACK, start + LOOKBACK + HORIZON)
        np.testing.assert_array_equal(batch.targets[n], rows.values[future, 0])
        np.testing.assert_array_equal(batch.weights[n], rows.values[future, 1])


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("filled", [False, True])
def test_a_window_read_alone_is_the_window_in_a_batch_to_the_bit(scale, filled):
    hole = 0.0 if scale == "none" else np.nan
    rows = make_rows((40, 3, 60, 5), hole=hole, filled=filled)
    reader = WindowReader(rows, dataclasses.replace(CUT, scale=scale))
    windows = list_windows(rows)
    together = to_bytes(reader.read(windows))
    for n in range(len(windows)):
        assert to_bytes(reader.read(windows.take(np.array([n])))) == [together[n]]
    assert to_bytes(reader.read(windows.take(np.arange(len(windows))[::-1]))) == together[::-1]


@pytest.mark.parametrize("scale", SCALES)
def test_what_lies_before_a_series_first_row_is_never_seen(scale):
    """The rows of the series before it, or nothing at all before the first one."""
    hole = 0.0 if scale == "none" else np.nan
    cut = dataclasses.replace(CUT, scale=scale)
    rows = make_rows((30, 6, 40), hole=hole)
    windows = list_windows(rows)
    short = np.flatnonzero((windows.starts < rows.begins[windows.series]) & (windows.series == 1))
    assert len(short) == 2
    seen = WindowReader(rows, cut).read(windows.take(short))
    garbage = dataclasses.replace(rows, values=rows.values.copy(), codes=rows.codes.copy())
    garbage.values[:30], garbage.codes[:30] = np.nan, 99
    assert to_bytes(WindowReader(garbage, cut).read(windows.take(short))) == to_bytes(seen)
    # The same series standing first in the array: its windows begin before position 0.
    alone = dataclasses.replace(
        rows,
        values=rows.values[30:36],
        codes=rows.codes[30:36],
        begins=np.array([-30, 0]),
    )
    first = Windows(windows.starts[short] - 30, windows.series[short])
    assert (first.starts < 0).all()
    assert len(alone.values) < LOOKBACK + HORIZON
    assert to_bytes(WindowReader(alone, cut).read(first)) == to_bytes(seen)
    begins = rows.begins[1] - windows.starts[short]
    for n, begin in enumerate(begins):
        assert not seen.inputs["past"][n, :begin].any()
        assert not seen.inputs["past_codes"][n, :begin].any()
        assert seen.inputs["past"][n, begin:].any()


@pytest.mark.parametrize("scale", SCALES)
def test_a_series_longer_than_its_windows_is_read_as_if_padding_did_not_exist(scale):
    """A full window is the same in a batch of full ones and beside a padded one."""
    hole = 0.0 if scale == "none" else np.nan
    rows = make_rows((40, 3, 60), hole=hole)
    reader = WindowReader(rows, dataclasses.replace(CUT, scale=scale))
    windows, full = list_windows(rows), list_windows(rows, least=None)
    inside = np.flatnonzero(windows.starts >= rows.begins[windows.series])
    assert pairs(windows.take(inside)) == pairs(full)
    beside = to_bytes(reader.read(windows))
    assert [beside[n] for n in inside] == to_bytes(reader.read(full))


@pytest.mark.parametrize("scale", ["standard", "robust", "mean_abs", "min_max", "last"])
def test_padding_does_not_touch_a_windows_own_scale(scale):
    rows = make_rows((30,), hole=np.nan)
    windows = list_windows(rows)
    some = np.flatnonzero(windows.starts == -3)
    padded = WindowReader(rows, dataclasses.replace(CUT, scale=scale)).read(windows.take(some))
    shorter = dataclasses.replace(CUT, lookback=LOOKBACK - 3, scale=scale)
    exact = WindowReader(rows, shorter).read(Windows(np.array([0]), np.zeros(1, np.int32)))
    for name in ("past", "future", "spread"):
        np.testing.assert_allclose(
            getattr(padded.normaliser, name), getattr(exact.normaliser, name), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("scale", SCALES[1:])
def test_what_a_window_scaled_comes_back(scale):
    rows = make_rows((40, 3, 60), hole=np.nan)
    windows = list_windows(rows)
    batch = WindowReader(rows, dataclasses.replace(CUT, scale=scale)).read(windows)
    bare = WindowReader(rows, CUT).read(windows)
    back = batch.inverse(batch.targets[:, :, None].astype(np.float64))[:, :, 0]
    seen = batch.weights > 0
    np.testing.assert_allclose(back[seen], bare.targets[seen], rtol=1e-5, atol=1e-6)
    assert (batch.targets[~seen] == 0).all()
    for array in (batch.targets, *batch.inputs.values()):
        assert np.isfinite(array).all()
    # A lag among the known covariates is scaled as the targets of the same steps are.
    lag = batch.inputs["known"][:, :, 0] * batch.normaliser.spread + batch.normaliser.future
    np.testing.assert_allclose(lag, bare.inputs["known"][:, :, 0], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(batch.inputs["known"][:, :, 1:], bare.inputs["known"][:, :, 1:])
    observed = batch.inputs["past"][:, :, 1] > 0
    past = batch.inputs["past"][:, :, 0] * batch.normaliser.spread + batch.normaliser.past
    np.testing.assert_allclose(
        past[observed], bare.inputs["past"][observed, 0], rtol=1e-5, atol=1e-5
    )
    assert (batch.inputs["past"][~observed, 0] == 0).all()


def test_without_a_scale_of_its_own_a_forecast_stays_as_it_is():
    rows = make_rows()
    scaled = np.random.default_rng(0).normal(size=(2, HORIZON, 3))
    batch = WindowReader(rows, CUT).read(list_windows(rows).take(np.arange(2)))
    assert batch.inverse(scaled) is scaled


@settings(deadline=None, max_examples=50)
@given(gap=st.integers(1, 12), start=st.integers(-7, 27), scale=st.sampled_from(SCALES))
def test_what_was_filled_in_a_gap_still_open_at_the_cutoff_is_taken_out(gap, start, scale):
    rows = make_rows((40,), filled=True)
    cutoff = start + LOOKBACK - 1
    begin = max(cutoff - gap + 1, 0)
    rows.values[begin : cutoff + 1, 1] = 0
    rows.gap[begin : cutoff + 1] = np.arange(1, cutoff - begin + 2)
    missing = dataclasses.replace(rows, values=rows.values.copy(), gap=np.zeros_like(rows.gap))
    missing.values[begin : cutoff + 1, 0] = 0.0 if scale == "none" else np.nan
    cut = dataclasses.replace(CUT, scale=scale)
    window = Windows(np.array([start]), np.zeros(1, np.int32))
    found, wanted = (WindowReader(r, cut).read(window) for r in (rows, missing))
    assert to_bytes(found) == to_bytes(wanted)
    # One step later the gap is over, and what was filled is seen.
    after = WindowReader(rows, cut).read(Windows(window.starts + 1, window.series))
    closed = WindowReader(dataclasses.replace(rows, gap=np.zeros_like(rows.gap)), cut)
    assert to_bytes(after) == to_bytes(closed.read(Windows(window.starts + 1, window.series)))


def test_targets_of_filled_rows_are_what_was_observed():
    rows = make_rows((40,), filled=True)
    batch = WindowReader(rows, CUT).read(list_windows(rows, least=None))
    assert (batch.targets[batch.weights == 0] == 0).all()
    assert batch.targets[batch.weights > 0].all()


def test_counts_are_whole_numbers_in_the_targets_own_unit():
    rows = make_rows((40, 40))
    counts = np.random.default_rng(0).poisson(3, 80)
    rows.values[:, 0] = counts / np.repeat(rows.scale[:, 0], 40) * (rows.values[:, 1] > 0)
    windows = list_windows(rows)
    batch = WindowReader(rows, dataclasses.replace(CUT, in_target_unit=True)).read(windows)
    after = windows.starts[:, None] + LOOKBACK + np.arange(HORIZON)
    np.testing.assert_array_equal(batch.targets, counts[after] * batch.weights)


@settings(deadline=None, max_examples=50)
@given(cycle=st.integers(1, 30))
def test_the_phase_is_the_grid_number_of_the_first_target_in_its_cycle(cycle):
    rows = make_rows((9, 4, 30, 20))
    windows = list_windows(rows, lookback=6, horizon=1)
    short = windows.starts < rows.begins[windows.series]
    assert short.any()
    assert not short.all()
    reader = WindowReader(rows, Cut(6, 1, cycle=cycle))
    phase = reader.read(windows).inputs["phase"][:, 0]
    for n, (start, series) in enumerate(pairs(windows)):
        assert phase[n] == (rows.first[series] + start + 6 - rows.begins[series]) % cycle
    within = np.diff(windows.series) == 0
    assert ((np.diff(phase)[within] - 1) % cycle == 0).all()


def test_inputs_without_a_feature_are_left_out():
    rows = make_rows()
    none = np.zeros((3, 0), np.float32)
    bare = dataclasses.replace(
        rows, codes=rows.codes[:, :0], static=none, static_codes=none.astype(np.int32)
    )
    windows = list_windows(rows).take(np.arange(2))
    found = WindowReader(bare, Cut(4, 2)).read(windows).inputs
    assert set(found) == {"past", "series", "phase", "scale"}
    assert {"known", "known_codes", "past_codes", "static", "static_codes"} <= set(
        WindowReader(rows, CUT).read(windows).inputs
    )


def test_the_gather_copies_no_rows_before_a_batch_asks():
    rows = make_rows()
    reader = WindowReader(rows, CUT)
    assert np.shares_memory(reader._values, rows.values)
    assert np.shares_memory(reader._codes, rows.codes)
    assert not reader._values.flags.writeable


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("filled", [False, True])
@pytest.mark.parametrize("codes", [0, 3])
def test_reading_leaves_mapped_rows_as_they_are(tmp_path, scale, filled, codes):
    """Also arrays without a column, stored and mapped read-only."""
    rows = make_rows((40, 3, 60), hole=np.nan, filled=filled, codes=codes)
    if filled:
        rows.gap[20:23] = [1, 2, 3]
    write_arrays(tmp_path, rows.arrays())
    mapped = Rows.from_arrays(read_arrays(tmp_path))
    assert not mapped.values.flags.writeable
    cut = dataclasses.replace(CUT, scale=scale, known_codes=min(codes, 2))
    windows = list_windows(rows)
    before = {name: array.tobytes() for name, array in rows.arrays().items()}
    batches = [WindowReader(r, cut).read(windows) for r in (mapped, rows)]
    assert to_bytes(batches[0]) == to_bytes(batches[1])
    for array in (batches[1].targets, batches[1].weights, *batches[1].inputs.values()):
        array[:] = 77  # whoever writes into a batch does not write into the rows
    assert {name: array.tobytes() for name, array in rows.arrays().items()} == before


@pytest.mark.parametrize("scale", SCALES)
def test_no_windows_make_an_empty_batch(scale):
    nothing = Windows(np.zeros(0, np.int64), np.zeros(0, np.int32))
    for rows in (make_rows(), make_rows((3,))):
        batch = WindowReader(rows, dataclasses.replace(CUT, scale=scale)).read(nothing)
        assert batch.inputs["past"].shape == (0, LOOKBACK, 6)
        assert batch.targets.shape == (0, HORIZON)


# From a panel -------------------------------------------------------------------------------------


def encode(panel, spec, until):
    fitted = Preprocessor.fit(panel, spec, until)
    return WindowReader(encode_panel(fitted, panel, until=until), fitted.cut(spec))


def test_the_first_target_is_one_step_after_the_cutoff():
    panel, spec = make_panel(), make_spec()
    reader = encode(panel, spec, panel.cutoff)
    cutoff = panel.cutoff - 10
    windows = index_cutoffs(panel.first, panel.offsets, 24, np.array([cutoff]))
    batch = reader.read(windows)
    for s in range(3):
        last = panel.offsets[s] + cutoff - panel.first[s]
        assert windows.starts[s] + 23 == last
        assert panel.number_of_row[last + 1] == cutoff + 1
        assert batch.targets[s, 0] == reader.rows.values[last + 1, 0]
        assert batch.inputs["past"][s, -1, 0] == reader.rows.values[last, 0]


@pytest.mark.parametrize("scale", ["none", "seasonal"])
def test_the_order_of_the_input_rows_does_not_matter(scale):
    table, spec = make_table(), make_spec(scaling={"window": scale})
    shuffled = table.take(pa.array(np.random.default_rng(3).permutation(table.num_rows)))
    ordered = shuffled.sort_by([("series_id", "ascending"), ("timestamp", "ascending")])
    found = []
    for rows in (table, ordered):
        panel = make_panel(rows)
        index = index_windows(
            panel.first, panel.offsets, 24, 6, after=0, until=panel.cutoff, stride=3, least=6
        )
        found.append((to_bytes(encode(panel, spec, panel.cutoff - 20).read(index.all())), index))
    assert found[0][0] == found[1][0]
    assert pairs(found[0][1].all()) == pairs(found[1][1].all())


# Short series from end to end ---------------------------------------------------------------------


def test_a_lookback_longer_than_every_series_is_padded(tmp_path):
    spec = make_spec(window={"lookback": 500, "horizon": 6})
    stored = store_windows(tmp_path, spec, make_table(steps=100))
    windows = stored.train.all()
    assert (windows.starts < stored.rows.begins[windows.series]).all()
    past = stored.reader(spec).read(windows).inputs["past"]
    assert past.shape[1] == 500
    assert not past[:, :400].any()
    assert past[:, -1].any()


def test_a_lookback_longer_than_every_series_is_refused_where_short_ones_are_dropped(tmp_path):
    spec = make_spec(window={"lookback": 500, "horizon": 6, "short": "drop"})
    with pytest.raises(DataError, match=r"needed a history of 500 .*window\.lookback"):
        store_windows(tmp_path, spec, make_table(steps=100))


def test_a_series_of_one_row_gives_no_training_window_and_does_no_harm(tmp_path):
    table = make_table()
    row = table.slice(table.num_rows - 1)
    lone = row.set_column(0, "series_id", pa.array(["999"]))
    spec = make_spec()
    with_it = store_windows(tmp_path / "with", spec, pa.concat_tables([table, lone]))
    without = store_windows(tmp_path / "without", spec, table)
    for name in ("train", "holdout"):
        assert pairs(getattr(with_it, name).all()) == pairs(getattr(without, name).all())
    windows = with_it.train.all()
    found = to_bytes(with_it.reader(spec).read(windows))
    assert found == to_bytes(without.reader(spec).read(windows))
    panel = make_panel(pa.concat_tables([table, lone]))
    one = index_cutoffs(panel.first, panel.offsets, 24, np.array([panel.cutoff]))
    assert one.series.tolist() == [0, 1, 2, 3]
    past = encode(panel, spec, panel.cutoff - 20).read(one).inputs["past"][3]
    assert not past[:-1].any()
    assert past[-1, 1] == 1


def test_a_table_of_one_row_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(DataError, match="found 1 steps in the longest series"):
        store_windows(tmp_path, make_spec(), make_table(series=1).slice(0, 1))


@settings(deadline=None)
@given(
    counts=st.lists(st.sampled_from([1, 1, 2, 3, 50, 1000]), min_size=1, max_size=30),
    stride=st.integers(1, 3),
    data=st.data(),
)
def test_the_windows_at_some_positions_are_those_of_the_whole_list(counts, stride, data):
    counts = np.array(counts)
    starts = np.cumsum(counts * stride) - counts * stride
    index = WindowIndex(starts, counts, np.arange(len(counts), dtype=np.int32), stride)
    listed = [
        (start + i * stride, run)
        for run, (start, count) in enumerate(zip(starts, counts, strict=True))
        for i in range(count)
    ]
    positions = data.draw(st.lists(st.integers(0, len(listed) - 1), max_size=50))
    found = index.take(np.array(positions, dtype=np.int64))
    assert found.starts.tolist() == [listed[p][0] for p in positions]
    assert found.series.tolist() == [listed[p][1] for p in positions]

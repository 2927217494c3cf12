"""What was published beside what came: complete, late, never."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from seqmodel.monitoring import live
from seqmodel.monitoring.live import score_published
from seqmodel.store.histories import read_history
from seqmodel.store.store import Store
from seqmodel.tallying import Tally
from seqmodel.windowing import load_panel
from tests.seqmodel.monitoring.published import SPEC, TABLE, night, publish, put_night
from tests.seqmodel.rich import replace

FLOATS = {pa.float64(), pa.float32()}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def look(store, day, table=TABLE, spec=SPEC):
    return score_published(store, load_panel(store, put_night(store, day, table), spec), spec)


def read(store):
    """History: cutoff's name -> figures of the forecast."""
    found = {}
    for name, rows, notes in read_history(store, SPEC.name, "accuracy"):
        mine = rows.filter(pc.equal(rows["candidate"], "forecast"))
        tally = Tally(
            ("cutoff", "group", "step"), mine.drop_columns(["model_version", "candidate"])
        )
        found[name] = (tally.by().measure().to_pylist()[0], notes["complete"])
    return found


def test_yesterdays_forecast_is_scored_with_todays_actuals(store):
    publish(store, 7, off=0.5)
    scored, notes = look(store, 8)
    assert (len(scored), notes) == (1, [])
    ((figures, complete),) = read(store).values()
    assert complete
    assert figures["mae"] == pytest.approx(0.5)
    assert figures["bias"] == pytest.approx(0.5)
    assert figures["observed"] == figures["expected"] == 18
    assert figures["coverage"] == 0, "half a unit off, and the interval reaches 0.4 to each side"


def test_each_step_and_group_is_kept_beside_the_baseline(store):
    publish(store, 7)
    look(store, 8)
    ((_, rows, _),) = read_history(store, SPEC.name, "accuracy")
    assert set(rows["group"].to_pylist()) == {"small", "medium", "large"}
    assert set(rows["step"].to_pylist()) == set(range(1, 7))
    assert set(rows["candidate"].to_pylist()) == {"forecast", "baseline"}
    assert set(rows["model_version"].to_pylist()) == {"v1"}
    base = rows.filter(pc.equal(rows["candidate"], "baseline"))
    assert pc.sum(base["mae"]).as_py() > 0


def test_what_is_complete_is_not_scored_again_and_what_came_late_is(store):
    publish(store, 7, off=0.5)
    hours = TABLE["timestamp"].cast(pa.int64()).to_numpy()
    after = hours >= night(7).timestamp() * 1e6
    late = TABLE.filter(pa.array(~(after & (np.array(TABLE["series_id"].to_pylist()) == "001"))))
    assert len(look(store, 8, late)[0]) == 1
    ((figures, complete),) = read(store).values()
    assert (figures["observed"], figures["expected"], complete) == (12, 18, False)
    assert len(look(store, 9)[0]) == 1, "the late ones are there"
    ((figures, complete),) = read(store).values()
    assert (figures["observed"], complete) == (18, True)
    assert look(store, 9) == ([], [])


def test_an_actual_that_never_comes_stays_open_and_is_left_after_the_last_night(store):
    target = TABLE["target"].to_numpy().copy()
    hours = TABLE["timestamp"].cast(pa.int64()).to_numpy()
    target[hours == night(7).timestamp() * 1e6] = np.nan
    holed = replace(TABLE, "target", target)
    publish(store, 7)
    spec = SPEC.model_copy(update={"monitor": SPEC.monitor.model_copy(update={"nights": 2})})
    for day in (8, 9):
        assert len(look(store, day, holed, spec)[0]) == 1
    ((figures, complete),) = read(store).values()
    assert (figures["observed"], complete) == (15, False)
    publish(store, 8)
    publish(store, 9)
    assert look(store, 10, holed, spec)[0] == ["cutoff=20240108T230000Z", "cutoff=20240109T230000Z"]


def test_tonights_own_forecast_and_later_ones_are_not_scored(store):
    publish(store, 8)
    assert look(store, 8) == ([], [])


def test_a_forecast_that_is_published_again_is_scored_again(store):
    publish(store, 7)
    look(store, 8)
    publish(store, 7, off=2.0)
    assert len(look(store, 8)[0]) == 1
    assert next(iter(read(store).values()))[0]["mae"] == pytest.approx(2)


@pytest.mark.parametrize("how", ["part", "manifest", "steps"])
def test_a_forecast_that_cannot_be_read_is_a_note_and_the_others_are_scored(store, how):
    key = publish(store, 6)
    publish(store, 7)
    spec = SPEC
    if how == "steps":
        spec = SPEC.model_copy(update={"window": SPEC.window.model_copy(update={"horizon": 5})})
        publish(store, 7, spec=spec)
    else:
        place = "part-*" if how == "part" else "_manifest.json"
        (path,) = store.path(key).glob(place)
        path.write_text("{")
    scored, notes = look(store, 8, spec=spec)
    assert scored == ["cutoff=20240107T230000Z"]
    assert len(notes) == 1
    assert "cutoff=20240106T230000Z is not scored" in notes[0]


def test_a_series_that_has_gone_since_is_left_out(store):
    publish(store, 7)
    gone = TABLE.filter(pc.not_equal(TABLE["series_id"], "001"))
    look(store, 8, gone)
    ((figures, complete),) = read(store).values()
    assert (figures["expected"], complete) == (12, True)


@pytest.mark.parametrize("chunk", [1, 7, 12, 1000])
def test_a_forecast_is_scored_some_series_at_a_time_with_the_same_sums(store, monkeypatch, chunk):
    publish(store, 6, off=0.5)
    publish(store, 7)
    look(store, 8)
    whole = [rows for _, rows, _ in read_history(store, SPEC.name, "accuracy")]
    seen, compare = [], live.compare_forecast

    def count(rows, panel, spec):
        seen.append((rows.num_rows, len(panel.ids), rows.column_names))
        return compare(rows, panel, spec)

    monkeypatch.setattr(live, "CHUNK", chunk)
    monkeypatch.setattr(live, "compare_forecast", count)
    other = Store(store.root / "other")
    publish(other, 6, off=0.5)
    publish(other, 7)
    assert len(look(other, 8)[0]) == 2
    for before, (_, rows, _) in zip(whole, read_history(other, SPEC.name, "accuracy"), strict=True):
        keys = [name for name in rows.column_names if rows[name].type not in FLOATS]
        assert rows.select(keys).equals(before.select(keys))
        for name in set(rows.column_names) - set(keys):
            np.testing.assert_allclose(rows[name], before[name], rtol=1e-12)
    most = max(6, chunk)
    assert all(number <= most and series <= most // 6 for number, series, _ in seen)
    assert sum(number for number, _, _ in seen) == 2 * 18
    assert "model_version" not in seen[0][2]


def test_a_stretch_of_series_that_have_all_gone_is_left_out_too(store, monkeypatch):
    monkeypatch.setattr(live, "CHUNK", 1)
    publish(store, 7)
    look(store, 8, TABLE.filter(pc.not_equal(TABLE["series_id"], "001")))
    ((figures, complete),) = read(store).values()
    assert (figures["expected"], complete) == (12, True)
    renamed = replace(TABLE, "series_id", pc.binary_join_element_wise(TABLE["series_id"], "x", ""))
    publish(store, 7, off=1.0)
    assert look(store, 8, renamed)[1][0].startswith(
        "the forecast cutoff=20240107T230000Z is not scored: found none of its series"
    )

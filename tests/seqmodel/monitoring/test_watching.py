"""What follows from live accuracy and drift, as the spec declares it."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from seqmodel.monitoring.drifting import measure_distribution
from seqmodel.monitoring.watching import count_worse, sum_live, watch
from seqmodel.store.bundles import DISTRIBUTION, model_key, read_model, write_bundle
from seqmodel.store.champion import Champion, swap_champion
from seqmodel.store.histories import write_history
from seqmodel.store.rolling_back import roll_back
from seqmodel.store.store import Store
from seqmodel.windowing import load_panel
from tests.seqmodel.monitoring.published import (
    SPEC,
    TABLE,
    night,
    publish,
    put_night,
    run_of,
)
from tests.seqmodel.rich import replace
from tests.seqmodel.store.stored import Network


def declare(**monitor):
    return SPEC.model_copy(update={"monitor": SPEC.monitor.model_copy(update=monitor)})


@pytest.fixture
def store(tmp_path):
    """v2 serves since day 5, v1 did before; both know what they were trained on."""
    store = Store(tmp_path)
    panel = load_panel(store, put_night(store, 5), SPEC)
    seen = measure_distribution(panel, panel.cutoff)
    figures = dict.fromkeys(("parameters", "epochs", "best_epoch", "holdout", "seconds"), 1)
    for version, previous in (("v1", None), ("v2", "v1")):
        facts = {"version": version, "kind": "gru", "lookback": 24, "as_of": night(5).isoformat()}
        manifest = {**figures, **facts, "spec": SPEC.model_dump(mode="json")}
        write_bundle(
            store, model_key("small", version), Network(), {}, manifest, {DISTRIBUTION: seen}
        )
        new = Champion(version=version, previous=previous, reason="r", promoted_at=night(5))
        swap_champion(store, "small", new, previous)
    return store


def look(store, day, spec=SPEC, table=TABLE, version="v2"):
    model = read_model(store, "small", version) if version else None
    return watch(store, run_of(day), put_night(store, day, table), model, spec)


def test_a_good_forecast_in_a_calm_world_has_no_consequence(store):
    for day in (6, 7):
        publish(store, day, off=0.01, version="v2")
    found = look(store, 8)
    assert (found.action, found.reasons, found.worse) == ("none", (), 0)
    assert found.live["mae"] == pytest.approx(0.01)
    assert found.live["mae"] < found.baseline["mae"]
    assert found.live["coverage"] == 1
    assert store.read_json(found.key)["action"] == "none"


@pytest.mark.parametrize("consequence", ["note", "retrain", "roll_back", "baseline"])
def test_worse_than_the_baseline_for_the_days_declared(store, consequence):
    spec = declare(worse=consequence, drift="note")
    publish(store, 6, version="v2")
    publish(store, 7, off=9.0, version="v2")
    assert look(store, 8, spec).action == "none", "one day is not two"
    publish(store, 8, off=9.0, version="v2")
    found = look(store, 9, spec)
    assert (found.action, found.worse) == (consequence, 2)
    assert "worse than the baseline's on 2 days in a row" in found.reasons[0]


def test_days_of_versions_that_replaced_one_another_night_by_night_add_up(store):
    for day, version in ((6, "v0"), (7, "v1"), (8, "v2")):
        publish(store, day, off=9.0, version=version)
    found = look(store, 9, declare(worse="roll_back"))
    assert (found.worse, found.action) == (3, "roll_back")


@pytest.mark.parametrize("own", [(), (0.0,)], ids=["no day yet", "a better day"])
def test_a_version_that_has_done_nothing_wrong_has_no_days_of_others(store, own):
    for day in (6, 7):
        publish(store, day, off=9.0, version="v1")
    for off in own:
        publish(store, 8, off=off, version="v2")
    assert look(store, 9, declare(worse="roll_back")).worse == 0


@pytest.mark.parametrize("hour", [0, 12], ids=["by the night", "by hand at noon"])
def test_days_before_a_rollback_do_not_count_against_what_serves_since(store, hour):
    for day in (5, 6, 7):
        publish(store, day, off=9.0, version="v1" if day == 5 else "v2")
    look(store, 8)
    roll_back(store, "small", "previous", "too high", night(8) + timedelta(hours=hour))
    publish(store, 8, off=9.0, version="v2" if hour else "v1")
    publish(store, 9, off=9.0, version="v1")
    found = look(store, 10, declare(worse="baseline"), version="v1")
    assert found.worse == (1 if hour else 2)


def test_without_a_previous_version_a_rollback_is_one_to_the_baseline(store):
    new = Champion(version="v2", previous=None, reason="r", promoted_at=night(5))
    swap_champion(store, "small", new, "v2")
    for day in (7, 8):
        publish(store, day, off=9.0, version="v2")
    assert look(store, 9, declare(worse="roll_back")).action == "baseline"


def test_a_better_day_ends_the_count(store):
    for day, off in ((6, 9.0), (7, 9.0), (8, 0.0)):
        publish(store, day, off=off, version="v2")
    look(store, 9)
    assert count_worse(sum_live(store, SPEC, "v2", night(9)), "mase") == 0


@pytest.mark.parametrize("consequence", ["note", "retrain"])
def test_a_target_that_moved_is_drift(store, consequence):
    hours = TABLE["timestamp"].cast(pa.int64()).to_numpy()
    late = hours >= night(7).timestamp() * 1e6
    moved = replace(TABLE, "target", TABLE["target"].to_numpy() + 40 * late)
    found = look(store, 8, declare(drift=consequence, window=36), moved)
    assert found.action == consequence
    assert found.drifted[0].startswith("target: PSI")
    assert look(store, 7, declare(window=36), moved).drifted == ()


def test_a_live_error_far_above_the_promise_is_drift(store):
    rows = pa.table({"candidate": ["challenger"], "version": ["v2"], "mase": [0.01]})
    write_history(store, "small", "scores", run_of(5).run, rows, {})
    for day in (6, 7):
        publish(store, day, off=0.1, version="v2")
    found = look(store, 8, declare(drift="retrain"))
    assert found.promised == {"mase": 0.01}
    assert found.action == "retrain"
    assert "where the backtest promised 0.010" in found.reasons[-1]


def test_the_strongest_consequence_wins(store):
    rows = pa.table({"candidate": ["challenger"], "version": ["v2"], "mase": [0.01]})
    write_history(store, "small", "scores", run_of(5).run, rows, {})
    for day in (7, 8):
        publish(store, day, off=9.0, version="v2")
    found = look(store, 9, declare(worse="roll_back", drift="retrain"))
    assert found.action == "roll_back"
    assert len(found.reasons) == 2


def test_the_baseline_is_watched_too_and_a_bundle_without_a_distribution_is_a_note(store):
    publish(store, 7, off=0.1, version="baseline")
    found = look(store, 8, version=None)
    assert found.live["mae"] == pytest.approx(0.1)
    (store.path("small/models/v1/distribution.json")).unlink()
    manifest = store.read_json("small/models/v1/manifest.json")
    del manifest["files"]["distribution.json"]
    store.write_json("small/models/v1/manifest.json", manifest)
    found = look(store, 8, version="v1")
    assert found.notes == ("version v1 does not say what it was trained on",)


def test_a_night_looked_at_again_finds_the_same(store):
    publish(store, 7, off=0.1, version="v2")
    first, second = look(store, 8), look(store, 8)
    assert second.scored == ()
    assert second.model_copy(update={"scored": first.scored}) == first


def test_a_backfill_does_not_see_what_came_later(store):
    for day in (6, 7, 8):
        publish(store, day, off=9.0, version="v2")
    look(store, 9)
    early = sum_live(store, SPEC, "v2", night(6) + timedelta(hours=1))
    assert np.unique(early.table["cutoff"].to_pylist()).size == 1

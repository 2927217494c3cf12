"""What is old and named by nothing goes; what something names never does."""

import os
from datetime import timedelta

import pyarrow as pa
import pytest

from seqmodel.errors import StoreError
from seqmodel.specs import RegistrySpec
from seqmodel.store.forecasts import forecast_key, publish_forecast
from seqmodel.store.retention import prune_store
from seqmodel.store.store import Store
from tests.seqmodel.store.stored import NIGHT, point, write

DAY = timedelta(days=1)
#: Each night leaves a version, a table, windows and reports.
NIGHTS = 8


def name(letter, night):
    return f"{letter}{night}".ljust(16, "0")


def leave(store, key, age):
    """A folder that nobody has touched for `age` nights."""
    path = store.write_text(f"{key}/file", "x").parent
    moment = (NIGHT - age * DAY).timestamp()
    os.utime(path, (moment, moment))


def publish(store, version, night, table):
    rows = pa.table({"series_id": ["a"], "q0.5": [1.0]})
    key = forecast_key("p", NIGHT - (NIGHTS - night) * DAY)
    publish_forecast(store, key, rows, {"model_version": version, "table": table})
    return key


@pytest.fixture
def store(tmp_path):
    """Night 8 is tonight; v6 serves, v2 served before; v1 made a forecast; v6 went on from v4."""
    store = Store(tmp_path)
    for night in range(1, NIGHTS + 1):
        age = NIGHTS - night
        leave(store, f"p/tables/{name('t', night)}", age)
        leave(store, f"p/windows/{name('w', night)}", age)
        leave(store, f"p/staging/tmp-{night}", age)
        leave(store, f"p/staging/tables/{name('s', night)}", age)
        for room in ("reports", "members"):
            leave(store, f"p/{room}/{NIGHT - age * DAY:%Y%m%dT%H%M%SZ}-abc", age)
        write(
            store, f"v{night}", NIGHT - age * DAY,
            table=name("t", night) + "rest", windows=name("w", night) + "rest",
            start={"parent": "v4" if night == 6 else None},
        )  # fmt: skip
        leave(store, f"p/graphs/v{night}", age)
    point(store, "v6", "v2")
    publish(store, "v1", 5, name("t", 5))
    return store


def prune(store, nights=2, forecast_nights=None, history_nights=None, **options):
    spec = RegistrySpec(
        nights=nights, forecast_nights=forecast_nights, history_nights=history_nights
    )
    return prune_store(store, "p", spec, NIGHT, **options)


def list_names(store, room):
    return {p.name.rstrip("0") for p in store.path(f"p/{room}").iterdir()}


def test_champion_previous_parents_and_what_a_forecast_names_stay(store):
    prune(store)
    assert list_names(store, "models") == {"v1", "v2", "v4", "v6", "v7", "v8"}


def test_the_graphs_of_a_version_go_with_it(store):
    leave(store, "p/graphs/v0", 1)  # its version was removed by hand
    prune(store)
    assert list_names(store, "graphs") == list_names(store, "models")


def test_tables_of_what_stays_stay_and_windows_only_of_the_last_nights(store):
    prune(store)
    assert list_names(store, "tables") == {"t1", "t2", "t4", "t5", "t6", "t7", "t8"}
    assert list_names(store, "windows") == {"w6", "w7", "w8"}


def test_old_reports_and_what_killed_runs_left_go(store):
    gone = prune(store)
    for room in ("reports", "members"):
        assert list_names(store, room) == {
            f"{NIGHT - age * DAY:%Y%m%dT%H%M%SZ}-abc" for age in range(3)
        }
    assert {p.name for p in store.path("p/staging").glob("tmp-*")} == {"tmp-6", "tmp-7", "tmp-8"}
    assert len(list(store.path("p/staging/tables").iterdir())) == 3
    assert not any(store.path(key).exists() for key in gone)


def test_a_forecast_beyond_its_age_goes_and_frees_what_it_named(store):
    assert any("forecasts" in key for key in prune(store, forecast_nights=2))
    assert "v1" not in list_names(store, "models")
    assert "t5" not in list_names(store, "tables")


def test_histories_go_at_an_age_of_their_own(store):
    def leave_histories():
        for age in range(NIGHTS):
            moment = f"{NIGHT - age * DAY:%Y%m%dT%H%M%SZ}"
            store.write_text(f"p/monitoring/scores/{moment}-abc.parquet", "x")
            store.write_text(f"p/monitoring/accuracy/cutoff={moment}.parquet", "x")

    leave_histories()
    assert not any("monitoring" in key for key in prune(store))
    gone = prune(store, nights=None, history_nights=2)
    assert len(gone) == 2 * (NIGHTS - 3)
    for kind in ("scores", "accuracy"):
        assert len(list_names(store, f"monitoring/{kind}")) == 3


def test_without_ages_nothing_goes_and_a_pretended_sweep_takes_nothing(store):
    before = sorted(store.root.rglob("*"))
    assert prune(store, nights=None) == []
    assert prune(store, pretend=True)
    assert sorted(store.root.rglob("*")) == before


def test_a_second_sweep_finds_nothing(store):
    prune(store)
    assert prune(store) == []


def test_a_damaged_version_is_left_for_a_person(store):
    (store.path("p/models/v3") / "model.keras").write_bytes(b"other")
    prune(store)
    assert "v3" in list_names(store, "models")


@pytest.mark.parametrize("place", ["p/champion.json", "forecast"])
def test_nothing_goes_where_nobody_can_say_what_must_stay(store, place):
    if place == "forecast":
        place = f"{publish(store, 'v3', 4, 't')}/_manifest.json"
    store.path(place).write_text("{")
    before = sorted(store.root.rglob("*"))
    with pytest.raises(StoreError, match="damaged"):
        prune(store)
    assert sorted(p for p in store.root.rglob("*") if p.name != ".champion.lock") == [
        p for p in before if p.name != ".champion.lock"
    ]


def test_a_backfill_takes_nothing_that_is_younger_than_its_clock(store):
    spec = RegistrySpec(nights=1)
    assert prune_store(store, "p", spec, NIGHT - 30 * DAY) == []


def test_what_a_killed_run_had_not_renamed_goes_and_locks_stay(store):
    moment = (NIGHT - 5 * DAY).timestamp()
    drafts = ["p/.champion.json.ab12cd_3", "p/forecasts/cutoff=1/._manifest.json.ab12cd_3"]
    locks = ["p/.champion.lock", "p/.forecasts.lock"]
    for key in (*drafts, *locks):
        os.utime(store.write_text(key, "x"), (moment, moment))
    young = store.write_text("p/.champion.json.zz12cd_3", "x")
    os.utime(young, (NIGHT.timestamp(), NIGHT.timestamp()))
    assert set(drafts) <= set(prune(store))
    assert not any(store.path(key).exists() for key in drafts)
    assert all(store.path(key).exists() for key in locks)
    assert young.exists()

"""Tonight goes on from last night where it can, and says why where it cannot."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from seqmodel.forecasting import load_model
from seqmodel.store.bundles import read_manifest
from seqmodel.store.store import Store
from seqmodel.training import train_model
from seqmodel.training.warm_starting import choose_start
from seqmodel.windowing import load_windows, make_windows
from tests.seqmodel.small import ignore_progress, make_spec, make_table, put_table

WARM = {"epochs": 3, "batch_size": 64, "warm_start": True, "scratch_every": 2}
SPEC = make_spec(train=WARM, model={"units": 6, "dropout": 0.0, "embedding": 3})
EARLY, LATE = datetime(2024, 1, 10, tzinfo=UTC), datetime(2024, 1, 11, tzinfo=UTC)


def train(store, table, spec, as_of, parent=None, drift=None):
    windows = make_windows(store, put_table(store, table, spec), spec)
    return train_model(store, windows, spec, as_of, {}, ignore_progress, parent, drift)


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A first night from scratch: the store, and its version."""
    store = Store(tmp_path_factory.mktemp("night"))
    return store, train(store, make_table(series=3), SPEC, EARLY)


def load_second(store, spec=SPEC, series=3):
    judged = put_table(store, make_table(series=series, steps=246), spec)
    return load_windows(store, make_windows(store, judged, spec))


def test_the_first_night_begins_from_scratch(night):
    _, first = night
    assert first.begun == "from scratch: no earlier version serves"


def test_the_second_night_goes_on_from_the_first_and_is_no_worse_on_the_holdout(night):
    store, first = night
    second = train(store, make_table(series=3, steps=246), SPEC, LATE, parent=first)
    assert second.begun == f"from version {first.version}, night 1 since one from scratch"
    assert second.epochs <= SPEC.train.warm_epochs
    start = read_manifest(store, second.key)["start"]
    assert (start["parent"], start["nights"]) == (first.version, 1)
    # Worse than it began it cannot be: the weights begun with are kept then.
    assert second.holdout < 1.1 * first.holdout


def test_every_weight_is_handed_over(night):
    store, first = night
    older, _, _ = load_model(store, first.key)
    begin = choose_start(store, first, load_second(store), SPEC, None).begin
    fresh, _, _ = load_model(store, first.key)
    for weight in fresh.weights:
        weight.assign(np.zeros(weight.shape))
    begin(fresh)
    for old, new in zip(older.weights, fresh.weights, strict=True):
        assert np.array_equal(old, new)


def test_a_new_series_gets_a_row_of_its_own_and_the_others_keep_theirs(night):
    from seqmodel.models.registry import build_model

    store, first = night
    table = make_table(series=4, steps=246)
    # The newcomer sorts before the others, so that every number of a series moves by one.
    names = pa.array([{"003": "000a"}.get(i, i) for i in table["series_id"].to_pylist()])
    table = table.set_column(0, "series_id", names).sort_by(
        [("series_id", "ascending"), ("timestamp", "ascending")]
    )
    judged = put_table(store, table, SPEC)
    stored = load_windows(store, make_windows(store, judged, SPEC))
    assert stored.fitted.ids == ("000", "000a", "001", "002")
    older, _, _ = load_model(store, first.key)
    fresh = build_model(SPEC.model, stored.shapes(SPEC), SPEC.output)
    chance = np.array(fresh.get_layer("embed_series").get_weights()[0])
    choose_start(store, first, stored, SPEC, None).begin(fresh)
    old = older.get_layer("embed_series").get_weights()[0]
    new = fresh.get_layer("embed_series").get_weights()[0]
    assert np.array_equal(new[[0, 1, 3, 4]], old[[0, 1, 2, 3]])
    assert np.array_equal(new[2], chance[2])


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"train": {**WARM, "warm_start": False}}, "train.warm_start is off"),
        ({"model": {"units": 7, "dropout": 0.0, "embedding": 3}}, "model.units is another"),
        ({"features": {"age": True}}, "features.age is another"),
        ({"scaling": {"series": "robust"}}, "scaling.series is another"),
    ],
)
def test_another_spec_begins_from_scratch_and_says_why(night, changes, why):
    store, first = night
    spec = make_spec(**{"train": WARM, "model": SPEC.model, **changes})
    start = choose_start(store, first, load_second(store), spec, None)
    assert start.begin is None
    assert start.why.startswith("from scratch: ")
    assert why in start.why


def test_drift_begins_from_scratch(night):
    store, first = night
    start = choose_start(store, first, load_second(store), SPEC, "levels moved by 9 deviations")
    assert start.why == "from scratch: the data moved: levels moved by 9 deviations"


def test_after_some_nights_a_training_begins_from_scratch(night, monkeypatch):
    store, first = night
    manifest = read_manifest(store, first.key)
    found = {}
    for nights in (0, 1, 2):
        written = {**manifest, "start": {"nights": nights}}
        monkeypatch.setattr(
            "seqmodel.training.warm_starting.read_manifest", lambda *_, w=written: w
        )
        found[nights] = choose_start(store, first, load_second(store), SPEC, None)
    assert [found[n].nights for n in (0, 1, 2)] == [1, 2, 0]
    assert found[2].why == "from scratch: 2 nights went on from one another"

"""Thirty nights in a row: what the gate, the watch and the fall-backs are for, all at once."""

import warnings

import numpy as np
import pytest
from scipy import stats

from seqmodel import forecasting
from seqmodel.loading import load_model
from seqmodel.store.bundles import MODEL, model_key
from seqmodel.store.champion import BASELINE, read_champion
from seqmodel.store.store import Store
from seqmodel.training import warm_starting
from tests.seqmodel.simulation.nights import (
    DAY,
    HISTORY,
    NIGHTS,
    SERIES,
    SPEC,
    compare_next_day,
    count_rows,
    make_world,
    run_night,
)

#: Nights, counted from 0, whose challenger learns from shuffled targets.
BAD = (7, 15, 23)
#: Nights before which a byte of the champion flips, and of the previous version too.
DAMAGED, BOTH_DAMAGED = 11, 19
#: Share of equal pairs of models that may pass for worse.
CHANCE = 0.05
#: Day from which on the world is another.
REGIME = HISTORY + 2


pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore:.*copy keyword:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Nothing is compiled, and a version is loaded once: thirty nights would take minutes of it."""
    import tensorflow as tf

    loaded = {}

    def load(store, key):
        # What was written once stays what it was; its checksums are still looked at each time.
        if key not in loaded:
            loaded[key] = load_model(store, key)
        return loaded[key]

    for module in (forecasting, warm_starting):
        monkeypatch.setattr(module, "load_model", load)
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def damage(store, version):
    """Flip the last byte of a network."""
    path = store.path(f"{model_key(SPEC.name, version)}/{MODEL}")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def test_thirty_nights_of_a_drifting_series(tmp_path):
    store, world = Store(tmp_path), make_world()
    nights, gains = {}, []
    for number in range(NIGHTS):
        pointer = read_champion(store, SPEC.name)
        if number in {DAMAGED, BOTH_DAMAGED}:
            damage(store, pointer.version)
        if number == BOTH_DAMAGED:
            damage(store, pointer.previous)
        night = run_night(store, world, HISTORY + number, bad=number in BAD)
        nights[number] = night
        assert count_rows(store, night.forecast) == SERIES * DAY, "a forecast every night"
        said = " ".join(night.notes)
        if number in BAD:
            assert not night.decision.promoted, night.decision.reason
            assert read_champion(store, SPEC.name) == pointer
            assert night.forecast.model_version == pointer.version
        if number == DAMAGED:
            assert f"version {pointer.version} is damaged" in said
            assert night.forecast.model_version in {pointer.previous, night.challenger.version}
        if number == BOTH_DAMAGED:
            assert f"version {pointer.version} is damaged" in said
            assert f"version {pointer.previous} is damaged" in said
            assert night.forecast.model_version in {BASELINE, night.challenger.version}
        if night.replaced:
            gains.append(compare_next_day(store, world, night))
    worse = [stats.ttest_1samp(gain, 0, alternative="greater").pvalue for gain in gains]
    means = np.array([gain.mean() for gain in gains])
    told = (
        f"{sum(n.decision.promoted for n in nights.values())} promotions in {NIGHTS} nights; error"
        f" on the next day (MASE) less that of what was replaced, {len(means)} pairs: mean"
        f" {means.mean():+.4f}, worst {means.max():+.4f} (p {min(worse):.2f}), better in"
        f" {(means < 0).sum()}"
    )
    # The figure stands in the summary of every run of the suite, of several processes too.
    warnings.warn(told, stacklevel=1)
    assert len(gains) >= NIGHTS // 4, "a gate that keeps everything proves nothing"
    assert means.mean() < 0
    assert min(worse) > CHANCE / len(gains), "no promotion was worse beyond noise"


@pytest.mark.parametrize(
    ("change", "knob", "action"),
    [
        ("level", {"drift": "retrain"}, "retrain"),
        pytest.param(
            "unit", {"drift": "note", "worse": "baseline"}, "baseline", marks=pytest.mark.long
        ),
    ],
)
def test_a_regime_change_has_the_consequence_declared_within_two_nights(
    tmp_path, change, knob, action
):
    store, world = Store(tmp_path), make_world(REGIME, change)
    spec = SPEC.model_copy(update={"monitor": SPEC.monitor.model_copy(update=knob)})
    night = run_night(store, world, REGIME, spec)
    assert night.watched.action == "none", "nobody has seen it yet"
    assert night.forecast.model_version != BASELINE
    found = []
    for day in (REGIME + 1, REGIME + 2):
        night = run_night(store, world, day, spec)
        found.append(night.watched.action)
        if action in found:
            break
    assert action in found
    if action == "retrain":
        assert "from scratch: the data moved: target has drifted" in night.challenger.begun
    else:
        assert "worse than the baseline's on 2 days in a row" in " ".join(night.watched.reasons)
        assert night.forecast.model_version == BASELINE

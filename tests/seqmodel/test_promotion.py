"""The gate, branch by branch, and the pointer it moves."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from seqmodel.promotion import decide, promote_challenger
from seqmodel.specs import PromotionSpec
from seqmodel.store.champion import Champion, read_champion, swap_champion
from seqmodel.store.refs import BacktestRef, ModelRef, RunRef
from seqmodel.store.store import Store

NIGHT = datetime(2024, 5, 1, tzinfo=UTC)


def scores(challenger, baseline=1.0, champion=None, metric="mase"):
    rows = {"challenger": challenger, "baseline": baseline, "champion": champion}
    found = {name: {} if v is None else {metric: v} for name, v in rows.items()}
    if champion is None:
        del found["champion"]
    return found


@pytest.mark.parametrize(
    ("rows", "margin", "promoted", "says"),
    [
        (scores(0.8), 0, True, "the first model, mase 0.800 against the baseline's 1.000"),
        (scores(1.0), 0, False, "not below the baseline's 1.000"),
        (scores(1.2), 0, False, "not below the baseline's 1.000"),
        (scores(1.2, champion=1.5), 0, False, "baseline's"),
        (scores(None), 0, False, "has no mase"),
        (scores(float("nan")), 0, False, "has no mase"),
        (scores(0.8, champion=0.9), 0, True, "against the champion's 0.900"),
        (scores(0.8, champion=0.8), 0, False, "not below 0.800"),
        (scores(0.8, champion=0.7), 0, False, "not below 0.700"),
        (scores(0.86, champion=0.9), 0.05, False, "not below 0.855"),
        (scores(0.85, champion=0.9), 0.05, True, "against the champion's 0.900"),
        (scores(0.8, baseline=None), 0, True, "first model"),
    ],
)
def test_the_gate(rows, margin, promoted, says):
    decision = decide(rows, PromotionSpec(margin=margin))
    assert decision.promoted is promoted
    assert says in decision.reason


@pytest.mark.parametrize(
    ("rows", "margin", "promoted", "says"),
    [
        (scores(0.8, 0.7, metric="accuracy"), 0, True, "0.800 against the baseline's 0.700"),
        (scores(0.7, 0.7, metric="accuracy"), 0, False, "not above the baseline's 0.700"),
        (scores(0.8, 0.5, 0.7, metric="accuracy"), 0, True, "the champion's 0.700"),
        (scores(0.7, 0.5, 0.7, metric="accuracy"), 0, False, "not above 0.700"),
        (scores(0.75, 0.5, 0.7, metric="accuracy"), 0.1, False, "not above 0.770"),
        (scores(0.8, None, metric="accuracy"), 0, True, "first model"),
    ],
)
def test_of_some_metrics_more_is_better(rows, margin, promoted, says):
    decision = decide(rows, PromotionSpec(margin=margin), "accuracy")
    assert decision.promoted is promoted
    assert says in decision.reason


def test_a_champion_that_cannot_be_scored_any_more_gives_way():
    rows = {**scores(0.8), "champion": {}}
    assert decide(rows, PromotionSpec()).promoted


@pytest.mark.parametrize("metric", ["mase", "mae", "rmse", "wql"])
def test_the_metric_of_the_spec_counts(metric):
    rows = scores(0.8, champion=0.9, metric=metric)
    assert metric in decide(rows, PromotionSpec(metric=metric)).reason


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def make_model(store, version, as_of=NIGHT):
    store.write_json(f"p/models/{version}/manifest.json", {})
    return ModelRef(
        key=f"p/models/{version}",
        version=version,
        fingerprint="f",
        kind="gru",
        lookback=3,
        as_of=as_of,
        parameters=1,
        seconds=1,
        epochs=1,
        best_epoch=1,
        holdout=1,
    )


def promote(store, version, rows, as_of=NIGHT):
    model = make_model(store, version, as_of)
    run = RunRef(pipeline="p", run=f"run-{version}", as_of=as_of)
    ref = BacktestRef(key="p/b.json", windows=1, cutoffs=(), scores=rows)
    return promote_challenger(store, run, model, ref, PromotionSpec())


def test_the_first_model_gets_the_pointer(store):
    decision = promote(store, "one", scores(0.8))
    assert (decision.promoted, decision.serves) == (True, "one")
    pointer = read_champion(store, "p")
    assert (pointer.version, pointer.previous, pointer.promoted_at) == ("one", None, NIGHT)
    assert pointer.reason == decision.reason
    written = json.loads(store.path(decision.key).read_text())
    assert written["scores"] == scores(0.8)
    assert written["promoted"] is True


def test_a_better_one_follows_and_names_the_one_before(store):
    promote(store, "one", scores(0.8))
    promote(store, "two", scores(0.7, champion=0.8), NIGHT + timedelta(days=1))
    pointer = read_champion(store, "p")
    assert (pointer.version, pointer.previous) == ("two", "one")


def test_a_worse_one_leaves_the_pointer(store):
    promote(store, "one", scores(0.8))
    before = store.path("p/champion.json").read_bytes()
    decision = promote(store, "two", scores(0.9, champion=0.8), NIGHT + timedelta(days=1))
    assert (decision.promoted, decision.serves) == (False, None)
    assert store.path("p/champion.json").read_bytes() == before


def test_a_second_try_changes_nothing(store):
    first = promote(store, "one", scores(0.8))
    before = store.path("p/champion.json").read_bytes()
    assert promote(store, "one", scores(0.8)) == first
    assert store.path("p/champion.json").read_bytes() == before


def test_a_backfill_never_replaces_the_champion_of_a_later_night(store):
    promote(store, "late", scores(0.8))
    decision = promote(store, "early", scores(0.5, champion=0.8), NIGHT - timedelta(days=9))
    assert (decision.promoted, decision.serves) == (False, "early")
    assert "later night" in decision.reason
    assert read_champion(store, "p").version == "late"


def test_a_pointer_is_only_swapped_from_the_one_expected(store):
    promote(store, "one", scores(0.8))
    make_model(store, "two")
    new = Champion(version="two", previous=None, reason="r", promoted_at=NIGHT)
    with pytest.raises(Exception, match="another run promoted meanwhile"):
        swap_champion(store, "p", new, expected=None)

"""The gate, branch by branch, and the pointer it moves."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from seqmodel import promotion
from seqmodel.errors import StoreError
from seqmodel.promotion import decide, promote_challenger
from seqmodel.specs import PromotionSpec
from seqmodel.store.champion import BASELINE, Champion, read_champion, swap_champion
from seqmodel.store.comparisons import GroupLoss, Paired
from seqmodel.store.refs import BacktestRef, ModelRef, RunRef
from seqmodel.store.rolling_back import roll_back
from seqmodel.store.store import Store

NIGHT = datetime(2024, 5, 1, tzinfo=UTC)


def scores(challenger, baseline=1.0, champion=None, metric="mase"):
    rows = {"challenger": challenger, "baseline": baseline, "champion": champion}
    found = {name: {} if v is None else {metric: v} for name, v in rows.items()}
    if champion is None:
        del found["champion"]
    return found


def given(rows, metric="mase", **more):
    return BacktestRef(key="p/b.json", windows=1, cutoffs=(), scores=rows, metric=metric, **more)


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
    decision = decide(given(rows), PromotionSpec(margin=margin))
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
    decision = decide(given(rows, "accuracy"), PromotionSpec(margin=margin))
    assert decision.promoted is promoted
    assert says in decision.reason


def test_a_champion_that_cannot_be_scored_any_more_gives_way():
    rows = {**scores(0.8), "champion": {}}
    assert decide(given(rows), PromotionSpec()).promoted


@pytest.mark.parametrize("metric", ["mase", "mae", "rmse", "wql"])
def test_the_metric_of_the_spec_counts(metric):
    rows = scores(0.8, champion=0.9, metric=metric)
    assert metric in decide(given(rows), PromotionSpec(metric=metric)).reason


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


def promote(store, version, rows, as_of=NIGHT, spec=PromotionSpec(), **options):  # noqa: B008
    model = make_model(store, version, as_of)
    run = RunRef(pipeline="p", run=f"run-{version}", as_of=as_of)
    ref = given(rows)
    return promote_challenger(store, run, model, ref, spec, **options)


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


def paired(chance, difference=-0.1, pairs=14, over="cutoffs", groups=()):
    return Paired(
        test="diebold_mariano", difference=difference, chance=chance, pairs=pairs, over=over,
        windows=99, groups=groups,
    )  # fmt: skip


GROUP = {"group": "large", "series": 7}


@pytest.mark.parametrize(
    ("champion", "chance", "spec", "promoted", "says"),
    [
        (0.9, 0.01, {}, True, "(p 0.01 over 14 cutoffs)"),
        (0.9, 0.2, {}, False, "may be chance (p 0.2 over 14 cutoffs), needed p at most 0.05"),
        (0.9, 0.2, {"level": 0.25}, True, "promoted"),
        (0.9, 0.2, {"test": "none"}, True, "promoted"),
        (0.9, None, {}, False, "cannot tell a gain from chance"),
        (0.81, 0.01, {"margin": 0.05}, False, "less a margin of 5.0%"),
        (None, 0.3, {}, False, "against the baseline's 1.000 may be chance"),
        (None, 0.2, {}, True, "the first model"),
        (None, 0.2, {"first_level": 0.1}, False, "needed p at most 0.1"),
    ],
)
def test_a_gain_must_be_more_than_chance(champion, chance, spec, promoted, says):
    rival = "baseline" if champion is None else "champion"
    tested = given(scores(0.8, champion=champion), paired={rival: paired(chance)})
    decision = decide(tested, PromotionSpec(**spec))
    assert decision.promoted is promoted
    assert says in decision.reason


def with_figures(**figures):
    """The challenger is better; these figures of all three stand beside it."""
    rows = scores(0.8, champion=0.9)
    for name, values in figures.items():
        for candidate, value in zip(("challenger", "champion", "baseline"), values, strict=True):
            rows[candidate][name] = value
    return rows


@pytest.mark.parametrize(
    ("figures", "promoted", "says"),
    [
        ({"coverage": (0.75, 0.8, 0.8)}, True, "promoted"),
        ({"coverage": (0.6, 0.8, 0.8)}, False, "covers 60% where the champion's covers 80%"),
        ({"coverage": (0.99, 0.8, 0.8)}, False, "covers 99%"),
        ({"coverage": (0.6, 0.65, 0.8)}, True, "promoted"),
        ({"bias": (0.3, 0.0, 0), "mae": (1, 1, 2)}, False, "its bias is +0.3, the champion's +0"),
        ({"bias": (-0.3, 0.2, 0), "mae": (1, 1, 2)}, True, "promoted"),
    ],
)
def test_a_better_score_with_a_worse_interval_or_bias_is_kept(figures, promoted, says):
    tested = given(with_figures(**figures), nominal=0.8, paired={"champion": paired(0.01)})
    decision = decide(tested, PromotionSpec())
    assert decision.promoted is promoted
    assert says in decision.reason


@pytest.mark.parametrize(
    ("loss", "chance", "promoted"), [(1.3, 0.01, False), (1.3, 0.3, True), (1.05, 0.01, True)]
)
def test_a_group_of_series_may_not_get_much_worse(loss, chance, promoted):
    group = GroupLoss(**GROUP, loss=loss, other=1, chance=chance)
    tested = given(scores(0.8, champion=0.9), paired={"champion": paired(0.01, groups=(group,))})
    decision = decide(tested, PromotionSpec())
    assert decision.promoted is promoted
    assert ("the 7 series of group large are 30% worse" in decision.reason) is not promoted


def test_a_champion_that_cannot_be_compared_is_kept():
    tested = given(scores(0.5), obstacle="champion v1 has learned from targets until tonight")
    decision = decide(tested, PromotionSpec())
    assert not decision.promoted
    assert decision.reason.startswith("kept: champion v1 has learned")


def test_a_champion_without_a_score_gives_way_without_proof():
    rows = {**scores(0.8), "champion": {}}
    tested = given(rows, paired={"champion": paired(None, None, 0)})
    assert decide(tested, PromotionSpec()).promoted


def test_a_version_that_was_rolled_back_is_not_promoted_again(store):
    promote(store, "one", scores(0.8))
    promote(store, "two", scores(0.7, champion=0.8), NIGHT + timedelta(days=1))
    roll_back(store, "p", BASELINE, "it failed", NIGHT)
    decision = promote(store, "two", scores(0.7, champion=0.8), NIGHT + timedelta(days=1))
    assert (decision.promoted, decision.serves) == (False, None)
    assert "two won, but it was rolled back before" in decision.reason
    assert read_champion(store, "p").version == BASELINE


def test_a_person_must_agree_where_the_spec_says_so(store):
    spec = PromotionSpec(approval=True)
    held = promote(store, "one", scores(0.8), spec=spec)
    assert (held.promoted, held.serves, held.held) == (False, None, True)
    assert held.reason.startswith("held for approval: the first model")
    assert read_champion(store, "p") is None
    assert promote(store, "one", scores(0.8), spec=spec, agreed=True).promoted
    assert read_champion(store, "p").version == "one"


def test_figures_and_gate_are_written_with_the_decision(store):
    decision = promote(store, "one", scores(0.8))
    written = json.loads(store.path(decision.key).read_text())
    assert {"scores", "paired", "gate", "reason", "nominal", "notes"} <= set(written)
    assert written["gate"]["level"] == 0.05


def test_of_two_promotions_at_once_the_second_is_refused(store, monkeypatch):
    promote(store, "one", scores(0.8))
    real = promotion.read_champion

    def read_then_lose(*args):
        """Another run promotes between the look and the swap."""
        found = real(*args)
        monkeypatch.setattr(promotion, "read_champion", real)
        promote(store, "other", scores(0.7, champion=0.8), NIGHT)
        return found

    monkeypatch.setattr(promotion, "read_champion", read_then_lose)
    with pytest.raises(StoreError, match="another run promoted meanwhile"):
        promote(store, "two", scores(0.7, champion=0.8), NIGHT)
    assert read_champion(store, "p").version == "other"

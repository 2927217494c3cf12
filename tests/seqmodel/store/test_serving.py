"""Who forecasts: the champion, else the one before, else the baseline."""

from datetime import timedelta

import pytest

from seqmodel.specs import PipelineSpec
from seqmodel.store.store import Store
from tests.seqmodel.store.stored import NIGHT, SPEC, damage, elect, point, write


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    write(store, "v1", NIGHT - timedelta(days=1))
    write(store, "v2")
    point(store, "v2", "v1")
    return store


def test_champion_serves_without_notes(store):
    assert elect(store) == ("v2", ())


def test_baseline_serves_before_the_first_promotion(tmp_path):
    assert elect(Store(tmp_path)) == (None, ())


def test_previous_serves_and_says_so_when_the_champion_is_damaged(store):
    damage(store, "v2")
    version, (note,) = elect(store)
    assert version == "v1"
    assert "v2 is damaged" in note


def test_baseline_serves_when_all_are_damaged(store):
    damage(store, "v2")
    store.path("p/models/v1/manifest.json").unlink()
    version, notes = elect(store)
    assert version is None
    assert len(notes) == 2


def test_damaged_pointer_leaves_the_baseline_and_a_note(store):
    store.path("p/champion.json").write_text("{")
    version, (note,) = elect(store)
    assert version is None
    assert "pointer is damaged" in note


def test_version_of_a_later_night_is_passed_over_in_a_backfill(store):
    assert elect(store, as_of=NIGHT - timedelta(hours=1)) == ("v1", ())
    assert elect(store, as_of=NIGHT - timedelta(days=9)) == (None, ())


def changed(**source):
    return PipelineSpec.model_validate(
        {**SPEC.model_dump(), "source": {**SPEC.source.model_dump(), **source}}
    )


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (SPEC.model_copy(update={"window": SPEC.window.model_copy(update={"horizon": 9})}), "hori"),
        (SPEC.model_copy(update={"output": type(SPEC.output)(quantiles=(0.5,))}), "quantiles"),
        (changed(freq="D"), "freq"),
        (changed(target="load"), "target"),
        (changed(past=("rain", "wind")), "past covariates"),
        (changed(past=(), known=("rain",)), "past covariates"),
    ],
    ids=["horizon", "quantiles", "freq", "target", "covariate", "role"],
)
def test_version_made_for_something_else_is_passed_over_with_a_note(store, spec, said):
    version, notes = elect(store, spec)
    assert version is None
    assert all("passed over" in note and said in note for note in notes)
    assert len(notes) == 2


def test_preferred_version_comes_first_and_the_challenger_is_not_its_own_rival(store):
    write(store, "v3")
    assert elect(store, prefer="v3")[0] == "v3"
    assert elect(store, instead_of="v2")[0] == "v1"


def test_version_with_a_spec_of_another_age_is_passed_over(store):
    manifest = store.read_json("p/models/v2/manifest.json")
    manifest["spec"]["gone"] = 1
    store.write_json("p/models/v2/manifest.json", manifest)
    version, (note,) = elect(store)
    assert version == "v1"
    assert "unknown" in note

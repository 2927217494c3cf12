"""A study keeps what was tried: through kills, with more trials, for one table and spec."""

import builtins

import pytest

from seqmodel.choosing import choose_winner
from seqmodel.errors import SpecError, StoreError, TrainingError
from seqmodel.store.store import Store
from seqmodel.studying import Pruned, Study, hold_study, study_key
from tests.seqmodel.small import make_spec

RANGES = {
    "model.units": {"choices": [8, [16, 8], 32]},
    "train.learning_rate": {"low": 0.0001, "high": 0.1, "log": True},
    "window.lookback": {"low": 12, "high": 48, "step": 12},
    "model.dropout": {"low": 0, "high": 1},
}


def make_tuned(**tune):
    return make_spec(tune={"trials": 6, "ranges": RANGES, **tune})


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def draw(store, spec, count, score=1.0):
    """Try some settings with scores of their own."""
    found = []
    for i in range(count):
        study = Study(store, "table", spec)
        trial = study.ask()
        found.append(study.read_values(trial))
        study.finish(trial.number, score + i)
    return found


def test_the_first_setting_is_the_specs_own(store):
    spec = make_tuned()
    (first,) = draw(store, spec, 1)
    assert first == {
        "model.units": 8,
        "train.learning_rate": spec.train.learning_rate,
        "window.lookback": 24,
        "model.dropout": 0.0,
    }


def test_where_a_range_does_not_hold_the_spec_the_first_setting_is_drawn(store):
    ranges = {**RANGES, "window.lookback": {"low": 48, "high": 96, "step": 12}}
    (first,) = draw(store, make_tuned(ranges=ranges), 1)
    assert first["window.lookback"] >= 48


def test_settings_lie_in_their_ranges_and_on_their_steps(store):
    spec = make_tuned(trials=12)
    for values in draw(store, spec, 12):
        assert values["model.units"] in (8, [16, 8], 32)
        assert 0.0001 <= values["train.learning_rate"] <= 0.1
        assert values["window.lookback"] in (12, 24, 36, 48)
        assert isinstance(values["window.lookback"], int)
        assert isinstance(values["model.dropout"], float), "whole borders of a fraction"


def test_the_same_seed_draws_the_same_settings_also_when_taken_up_again(tmp_path):
    spec = make_tuned()
    whole = draw(Store(tmp_path / "a"), spec, 5)
    parts = [*draw(Store(tmp_path / "b"), spec, 3), *draw(Store(tmp_path / "b"), spec, 2, 4.0)]
    assert whole == parts
    other = draw(Store(tmp_path / "c"), make_tuned(seed=1), 5)
    assert other[0] == whole[0]
    assert other[1:] != whole[1:]
    drawn = [str(values) for values in whole]
    assert len(set(drawn)) == len(drawn)


def test_a_setting_whose_process_died_is_tried_again_and_at_last_given_up(store):
    spec = make_tuned(trials=2)
    values, keys = [], set()
    for _ in range(3):
        study = Study(store, "table", spec)
        assert study.settle() == 2
        trial = study.ask()
        values.append(study.read_values(trial))
        keys.add(study.checkpoint_key(trial.number))
    study = Study(store, "table", spec)
    assert study.settle() == 1
    assert values[0] == values[1] == values[2]
    assert len(keys) == 1, "it goes on where it stood"
    (given_up,) = study.list_trials()
    assert given_up.state == "failed"
    assert given_up.reason == "its process died 3 times"
    assert study.read_values(study.ask()) != values[0]


def test_a_trial_is_pruned_when_the_median_of_the_others_is_better(store):
    spec = make_tuned(trials=3)
    study = Study(store, "table", spec)
    for _ in range(2):
        trial = study.ask()
        for epoch in (1, 2, 3):
            study.report(trial, epoch, 0.5)
        study.finish(trial.number, 0.5)
    trial = study.ask()
    study.report(trial, 1, 0.9)  # the rate still rises
    with pytest.raises(Pruned, match=r"score 0\.8 after epoch 2"):
        study.report(trial, 2, 0.8)
    study.prune(trial.number)
    assert study.settle() == 0
    last = study.list_trials()[-1]
    assert (last.state, last.score) == ("pruned", 0.8)


def test_without_a_pruner_every_trial_runs_to_its_end(store):
    study = Study(store, "table", make_tuned(trials=3, pruner=False))
    for score in (0.5, 0.5, 0.9):
        trial = study.ask()
        for epoch in (1, 2, 3):
            study.report(trial, epoch, score)
        study.finish(trial.number, score)
    assert {trial.state for trial in study.list_trials()} == {"finished"}


def test_more_trials_go_on_in_the_same_study_and_other_ranges_in_another():
    one = make_tuned()
    same = [make_tuned(trials=60), make_tuned(deadline=5.0), make_tuned(pruner=False)]
    assert {study_key("t", spec) for spec in same} == {study_key("t", one)}
    others = [make_tuned(seed=1), make_tuned(ranges={"model.units": {"choices": [8]}})]
    others.append(make_spec(train={"epochs": 3}, tune={"ranges": RANGES}))
    assert study_key("t", one) not in {study_key("t", spec) for spec in others}
    assert study_key("other table", one) != study_key("t", one)


def test_the_best_finished_trial_wins_and_is_compared_with_the_spec_as_it_was(store):
    spec = make_tuned()
    study = Study(store, "table", spec)
    for score in (0.5, 0.25, 0.75):
        study.finish(study.ask().number, score)
    pruned = study.ask()
    pruned.report(0.1, 1)
    study.prune(pruned.number)
    found = choose_winner(store, "table", spec)
    assert (found.winner, found.before) == (2, 0.5)
    assert found.trials[3].state == "pruned"
    text = store.path(found.key).read_text()
    assert text.startswith("# small: trial 2 of 4, score 0.25, 0.5 as the spec was.\n")
    assert store.holds(found)


def test_without_a_finished_trial_the_first_reason_is_said(store):
    spec = make_tuned()
    study = Study(store, "table", spec)
    study.fail(study.ask().number, "found this, needed that")
    with pytest.raises(TrainingError, match=r"none of 1 trials finished \(found this"):
        choose_winner(store, "table", spec)


def test_a_study_is_held_by_one_run_at_a_time(store):
    spec = make_tuned()
    with (
        hold_study(store, "table", spec),
        pytest.raises(StoreError, match="end the other run"),
        hold_study(store, "table", spec),
    ):
        pass


def test_without_optuna_the_extra_is_named(store, monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest):
        if name == "optuna":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(SpecError, match=r"install the extra \[tune\]"):
        Study(store, "table", make_tuned())

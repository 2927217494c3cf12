"""The flow that tunes: trials are scored, kept, pruned and taken up; nothing is promoted."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from flows.tune import tune
from seqmodel.errors import ChildDied, SpecError, StoreError, TrainingError
from seqmodel.reporting.night import Night
from seqmodel.reporting.summary import print_summary
from seqmodel.specs import PipelineSpec
from seqmodel.store.store import Store
from seqmodel.store.tables import fingerprint_table
from seqmodel.studying import hold_study
from seqmodel.tuning import set_knobs
from tasks import try_out
from tests.conftest import make_meters, meters_spec

AS_OF = datetime(2024, 2, 8, tzinfo=UTC)
RANGES = {
    "model.units": {"choices": [4, 8]},
    "train.learning_rate": {"low": 0.001, "high": 0.03, "log": True},
    "window.lookback": {"low": 12, "high": 24, "step": 6},
}

pytestmark = pytest.mark.usefixtures("harness")


def make_spec(path, ranges=None, **sections):
    tuned = {"trials": 3, "ranges": RANGES if ranges is None else ranges}
    sections["tune"] = {**tuned, **sections.get("tune", {})}
    return PipelineSpec.model_validate(meters_spec(path, **sections))


def run(spec, root):
    ref = tune(spec=spec, as_of=AS_OF)
    return Night.model_validate_json((root / ref.night).read_text())


def ran(night):
    return [record.step for record in night.steps if record.step.startswith("trial")]


@pytest.fixture(scope="module")
def tuned(harness, tmp_path_factory):
    """A tuning of three trials: the spec, the data root, what the report says."""
    del harness
    folder = tmp_path_factory.mktemp("tuned")
    pq.write_table(make_meters(), folder / "meters.parquet")
    spec = make_spec(folder / "meters.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQMODEL_DATA", str(folder / "root"))
        return spec, folder / "root", run(spec, folder / "root")


@pytest.fixture
def again(tuned, monkeypatch):
    spec, root, _ = tuned
    monkeypatch.setenv("SEQMODEL_DATA", str(root))
    return spec, root


def test_every_trial_is_shown_with_its_knobs_score_and_time(tuned, capsys):
    _, _, night = tuned
    assert [one.number for one in night.tuning] == [1, 2, 3]
    assert {one.state for one in night.tuning} <= {"finished", "pruned"}
    assert all(0 < one.score < 2 for one in night.tuning)
    assert all(one.seconds > 0 for one in night.tuning)
    assert [one.best for one in night.tuning].count(True) == 1
    for knob in RANGES:
        assert all(knob in one.knobs for one in night.tuning)
    print_summary(night)
    out = capsys.readouterr().out
    assert "model.units" in out
    assert "finished, best" in out
    assert night.places["winner"] in out


def test_the_first_trial_is_the_spec_as_it_is(tuned):
    _, _, night = tuned
    assert night.tuning[0].knobs == "model.units 8, train.learning_rate 0.01, window.lookback 24"


def test_the_winner_is_a_spec_to_paste(tuned):
    spec, _, night = tuned
    found = yaml.safe_load(Path(night.places["winner"]).read_text())
    pasted = PipelineSpec.model_validate(found["spec"])
    assert pasted.source == spec.source
    best = next(one for one in night.tuning if one.best)
    assert f"model.units {pasted.model.units}" in best.knobs
    assert f"window.lookback {pasted.window.lookback}" in best.knobs
    knobs = {f"{s}.{k}": v for s, part in found["changed"].items() for k, v in part.items()}
    assert set(knobs) <= set(RANGES)
    assert set_knobs(spec, knobs).model == pasted.model


def test_no_version_is_stored_and_nothing_is_left_behind(tuned):
    _, root, _ = tuned
    pipeline = root / "meters"
    assert not (pipeline / "models").exists()
    assert not (pipeline / "windows").exists()
    assert not (pipeline / "champion.json").exists()
    assert not list((pipeline / "staging").rglob("*.npz"))


def test_a_study_that_is_done_is_not_done_again(tuned, again):
    spec, root = again
    night = run(spec, root)
    assert ran(night) == []
    assert night.tuning == tuned[2].tuning


def read_fingerprint(root):
    (table,) = (root / "meters" / "tables").iterdir()
    return fingerprint_table(table)


@pytest.mark.long
def test_a_killed_tuning_goes_on_with_what_it_had_begun(tuned, again):
    spec, root = again
    more = spec.model_copy(update={"tune": spec.tune.model_copy(update={"trials": 4})})
    with hold_study(Store(root), read_fingerprint(root), more) as study:
        begun = study.ask()  # and then the process was killed
        values = study.read_values(begun)
    night = run(more, root)
    assert ran(night) == ["trial 4"]
    assert [one.knobs for one in night.tuning[:3]] == [one.knobs for one in tuned[2].tuning]
    with hold_study(Store(root), read_fingerprint(root), more) as study:
        last = study.list_trials()[-1]
        states = [trial.state.name for trial in study.study.trials]
    assert last.knobs == values
    assert states.count("FAIL") == 1, "the trial that was running"
    assert "RUNNING" not in states


def test_a_setting_that_the_spec_refuses_fails_its_trial_only(meters_file, data_root, monkeypatch):
    monkeypatch.setattr(try_out, "run_in_child", lambda *_args, **_kwargs: {"score": 0.5})
    ranges = {"model.units": {"choices": [0, 4]}, "model.layers": {"choices": [1]}}
    night = run(make_spec(meters_file, ranges, tune={"trials": 6}), data_root)
    failed = [one for one in night.tuning if one.state == "failed"]
    assert 0 < len(failed) < 6
    assert all("model.units 0" in one.knobs for one in failed)
    assert all("needed a width from 1" in one.reason for one in failed)


def test_forecasts_that_are_not_numbers_fail_their_trial(meters_file, data_root, monkeypatch):
    scores = iter([float("inf"), 0.5])
    monkeypatch.setattr(try_out, "run_in_child", lambda *_args, **_kwargs: {"score": next(scores)})
    night = run(make_spec(meters_file, tune={"trials": 2}), data_root)
    assert [one.state for one in night.tuning] == ["failed", "finished"]


@pytest.mark.usefixtures("data_root")
def test_a_tuning_without_a_finished_trial_says_why(meters_file):
    spec = make_spec(meters_file, {"window.lookback": {"choices": [5000]}}, tune={"trials": 1})
    spec = set_knobs(spec, {"window.short": "drop"})
    with pytest.raises(TrainingError, match=r"none of 1 trials finished.*lookback"):
        tune(spec=spec, as_of=AS_OF)


@pytest.mark.long
def test_a_trial_worse_than_the_others_is_ended(again):
    spec, root = again
    sections = {"tune": spec.tune.model_copy(update={"trials": 3, "seed": 7})}
    longer = spec.train.model_copy(update={"epochs": 40, "patience": 40})
    harder = spec.model_copy(update={**sections, "train": longer})
    with hold_study(Store(root), read_fingerprint(root), harder) as study:
        for _ in range(2):
            trial = study.ask()
            for epoch in range(1, 41):
                trial.report(1e-6, epoch)
            study.finish(trial.number, 1e-6)
    night = run(harder, root)
    assert ran(night) == ["trial 3"]
    assert night.tuning[-1].state == "pruned"
    assert night.tuning[-1].score > 1e-6
    assert not list((root / "meters" / "staging").rglob("*.npz"))


@pytest.mark.usefixtures("data_root")
def test_without_ranges_there_is_nothing_to_tune(meters_file):
    with pytest.raises(SpecError, match=r"found no tune\.ranges"):
        tune(spec=make_spec(meters_file, {}), as_of=AS_OF)


def test_two_runs_do_not_tune_one_study_at_once(again):
    spec, root = again
    with (
        hold_study(Store(root), read_fingerprint(root), spec),
        pytest.raises(StoreError, match="end the other run"),
    ):
        tune(spec=spec, as_of=AS_OF)


@pytest.mark.long
def test_a_setting_whose_process_always_dies_is_one_failed_trial(
    meters_file, data_root, monkeypatch
):
    tries = []

    def die(*_args, **_kwargs):
        tries.append(1)
        if len(tries) <= 3:
            raise ChildDied("found the child dead, needed its answer; it is tried again")
        return {"score": 0.5}

    monkeypatch.setattr(try_out, "run_in_child", die)
    monkeypatch.setattr(try_out.try_out, "retry_delay_seconds", 0)
    night = run(make_spec(meters_file, tune={"trials": 2}), data_root)
    assert [one.state for one in night.tuning] == ["failed", "finished"]
    assert "died 3 times" in night.tuning[0].reason
    assert any("died for good" in note for note in night.notes)
    assert night.tone == "warn"

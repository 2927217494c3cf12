"""The figures that a person follows."""

import math
from uuid import uuid4

import pytest

from seqmodel.specs import PipelineSpec
from tasks import progress
from tasks.progress import describe, follow_training

SPEC = PipelineSpec.model_validate({"name": "demand", "source": {"uri": "x"}})


def figures(epoch=1, step=3, **more):
    return {
        "epoch": epoch,
        "epochs": 4,
        "step": step,
        "steps": 10,
        "loss": 0.12345,
        "holdout": math.nan,
        "windows_per_s": 12345.6,
        **more,
    }


@pytest.fixture
def heard(monkeypatch):
    """Lines of the log, and percentages of the artifact."""
    lines, shown = [], []

    class Log:
        def info(self, text, *values):
            lines.append(text % values)

        warning = info

    monkeypatch.setattr(progress, "get_run_logger", Log)
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: False, raising=False)

    def create(percent, **_):
        shown.append(percent)
        return uuid4()

    monkeypatch.setattr(progress, "create_progress_artifact", create)
    monkeypatch.setattr(
        progress, "update_progress_artifact", lambda _id, percent, **_: shown.append(percent)
    )
    return lines, shown


def test_a_moment_is_one_line():
    assert describe(figures()) == "epoch 1/4 step 3/10 loss 0.1235 12,346 windows/s"
    assert "holdout 0.5000" in describe(figures(holdout=0.5))


def test_the_log_gets_the_first_moment_and_every_epochs_end(heard):
    lines, _ = heard
    with follow_training(SPEC) as tell:
        for epoch in (1, 2):
            for step in (1, 2, 3, 10):
                tell(figures(epoch, step))
    steps = [line.split("loss")[0].strip() for line in lines]
    assert steps[-1] == "training: epoch 2/4 step 10/10"
    assert "training: epoch 1/4 step 10/10" in steps
    assert len(lines) <= 3


def test_the_artifact_starts_at_once_and_ends_at_100_percent(heard):
    _, shown = heard
    with follow_training(SPEC) as tell:
        for epoch in range(1, 5):
            for step in (5, 10):
                tell(figures(epoch, step))
    assert shown[-1] == 100
    assert len(shown) <= 2


def test_an_artifact_that_fails_is_said_once_and_fails_nothing(heard, monkeypatch):
    def fail(*_, **__):
        raise ConnectionError("no server")

    monkeypatch.setattr(progress, "create_progress_artifact", fail)
    monkeypatch.setattr(progress, "ARTIFACT_EVERY", 0.0)
    with follow_training(SPEC) as tell:
        for step in range(1, 11):
            tell(figures(step=step))
    assert sum("artifact is not shown: no server" in line for line in heard[0]) == 1


def test_a_terminal_gets_a_bar(heard, monkeypatch, capsys):
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    with follow_training(SPEC) as tell:
        tell(figures(4, 10))
    assert "loss 0.1235" in capsys.readouterr().err
    assert heard[0] == []

"""What needs no other library: the command line, the figures, equal windows on both sides."""

import numpy as np
import pytest

from seqmodel.windowing import StoredWindows
from tests.benchmarks import peers, peers_accuracy, peers_setup


class Peer:
    """Trains 100 windows a second."""

    def take_turn(self, seconds):
        assert seconds == 2.0
        return 100.0


def test_accuracy_without_a_test_part_is_refused(capsys):
    with pytest.raises(SystemExit):
        peers.parse(["--accuracy", "--train", "train.csv"])
    assert "found --accuracy without --train or --test" in capsys.readouterr().err


def test_figures_are_medians_of_the_turns():
    figures = peers.summarise([(200.0, 100.0), (900.0, 300.0), (400.0, 100.0)])
    assert figures == {"ours_windows_per_s": 400, "peer_windows_per_s": 100, "ratio": 3.0}


def test_what_lies_between_epochs_or_turns_counts_for_nobody(monkeypatch):
    clock = iter([0, 0, 2, 2, 50, 50, 51, 51, 52, 99, 100, 100, 102, 999])
    monkeypatch.setattr(peers.time, "perf_counter", lambda: float(next(clock)))
    turns = peers.Turns(Peer(), turns=1, seconds=2.0, batch_size=10)
    # Epoch 1: 8 steps in 2 s, a turn; epoch 2 from second 50: 4 steps a second.
    for epoch, step in [(1, 1), (1, 9), (2, 1), (2, 5), (2, 9)]:
        if (epoch, step) == (2, 9):
            with pytest.raises(peers.Over):
                turns({"epoch": epoch, "step": step})
        else:
            turns({"epoch": epoch, "step": step})
    assert turns.rates == [(40.0, 100.0), (40.0, 100.0)]


def test_every_window_of_the_series_is_trained_on():
    series = {"a": np.arange(60.0), "b": np.arange(45.0)}
    spec = peers_setup.make_spec(
        window={"lookback": 24, "horizon": 12, "short": "drop"},
        scaling={"series": "none"},
    )
    stored = peers_setup.cut_panel(peers_setup.make_panel(series, 12), spec)
    assert isinstance(stored, StoredWindows)
    # As many as the other side makes of 60 and 45 steps where the whole horizon is there.
    assert len(stored.train) == (60 - 24 - 12 + 1) + (45 - 24 - 12 + 1)
    assert len(stored.holdout) == 2
    newest = stored.reader(spec).read(stored.holdout.all())
    np.testing.assert_array_equal(newest.targets[:, -1], [59.0, 44.0])
    # The target and whether it was observed: the other side has the target alone.
    assert newest.inputs["past"].shape == (2, 24, 2)


def test_reads_ragged_series_in_the_order_of_their_ids(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text('"V1","V2","V3","V4"\n"H2","1","2","3"\n"H10","4","5",""\n')
    found = peers_setup.read_series(path)
    assert {name: one.tolist() for name, one in found.items()} == {"H10": [4, 5], "H2": [1, 2, 3]}
    assert list(found) == ["H10", "H2"]


def test_the_moment_is_that_of_the_first_checkpoint_within_the_goal():
    seconds = np.array([1.0, 2.0, 3.0])
    assert peers_accuracy.find_moment(seconds, [1.2, 0.99, 1.1]) == 2.0
    assert peers_accuracy.find_moment(seconds, [1.2, 1.1, 1.01]) is None


def test_the_recipe_is_a_spec_of_ours():
    spec = peers_accuracy.choose_spec(24, 48)
    assert (spec.window.lookback, spec.model.cycle) == (336, 168)
    assert spec.train.epochs * peers_accuracy.EVERY == peers_accuracy.STEPS


def test_pins_name_no_registry():
    lines = peers_setup.PINS.read_text().splitlines()
    assert all(line.count("==") == 1 and "/" not in line and "@" not in line for line in lines)
    assert {"torch==2.13.0", "neuralforecast==3.3.0"} <= set(lines)

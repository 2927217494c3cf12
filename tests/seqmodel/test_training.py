"""The training loop: it learns, stops in time, keeps the best weights, and refuses nonsense."""

from dataclasses import replace

import numpy as np
import pytest

from seqmodel.encoding import encode_panel
from seqmodel.errors import TrainingError
from seqmodel.gathering import WindowReader
from seqmodel.models.naive import predict_naive
from seqmodel.models.outputs import choose_head
from seqmodel.predicting import predict_windows
from seqmodel.specs import SourceSpec
from seqmodel.training import fit_model, fitting
from seqmodel.windows import index_cutoffs
from tests.seqmodel import rich
from tests.seqmodel.models.cases import KINDS
from tests.seqmodel.small import ignore_progress, make_panel, make_spec, make_table, store_windows

PLAIN = SourceSpec(uri="x", season_length=24)
ONCE = {"epochs": 1, "batch_size": 32, "windows_per_epoch": 32}


@pytest.fixture(autouse=True)
def without_xla(monkeypatch):
    """Compiling takes most of the time of a fit this small; the end-to-end tests keep it."""
    import keras

    compile_model = keras.Model.compile
    monkeypatch.setattr(
        keras.Model, "compile", lambda *a, **k: compile_model(*a, **{**k, "jit_compile": False})
    )


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return store_windows(tmp_path_factory.mktemp("root"), make_spec())


def test_a_network_learns_a_noisy_daily_wave_better_than_yesterdays(tmp_path):
    table = make_table(series=3, steps=500, noise=1.0)
    spec = make_spec(
        PLAIN,
        model={"units": 16, "dropout": 0.0},
        train={"epochs": 6, "batch_size": 32, "learning_rate": 0.01},
    )
    stored = store_windows(tmp_path, spec, table)
    fitted = fit_model(stored, spec, ignore_progress)
    losses = [loss for loss, _ in fitted.history]
    assert losses[-1] < 0.85 * losses[0]
    panel = make_panel(table, PLAIN)
    cutoffs = panel.cutoff - 6 - np.arange(12)[::-1]
    index = index_cutoffs(panel.first, panel.offsets, 24, cutoffs)
    rows = encode_panel(stored.fitted, panel, until=int(cutoffs[0]))
    reader = WindowReader(rows, stored.fitted.cut(spec))
    scaled = predict_windows(fitted.model, choose_head(spec.output), reader, index, 32)
    scaler = stored.fitted.scalers["target"]
    point = stored.fitted.inverse(scaled, scaler, index.series)[:, :, 1]
    naive = predict_naive(panel, index, 24, 6, 24, (0.1, 0.5, 0.9), int(cutoffs[0]))[:, :, 1]
    actual = panel.values["target"][index.starts[:, None] + 24 + np.arange(6)]
    assert np.nanmean(np.abs(actual - point)) < 0.9 * np.nanmean(np.abs(actual - naive))


def script_holdout(monkeypatch, *losses):
    """Let the holdout say what it should; return the weights it was asked about."""
    script, seen = iter(losses), []

    def measure(model, *_):
        seen.append(model.get_weights())
        return next(script)

    monkeypatch.setattr(fitting, "measure_loss", measure)
    return seen


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_the_best_epochs_weights_are_kept_and_patience_ends_the_run(stored, monkeypatch):
    seen = script_holdout(monkeypatch, 0.5, 0.3, 0.4, 0.35, 0.1)
    spec = make_spec(train={**ONCE, "epochs": 5, "patience": 2})
    fitted = fit_model(stored, spec, ignore_progress)
    assert fitted.best_epoch == 2
    assert [holdout for _, holdout in fitted.history] == [0.5, 0.3, 0.4, 0.35]
    assert equal(fitted.model.get_weights(), seen[1])
    assert not equal(fitted.model.get_weights(), seen[3])


def test_patience_begins_anew_with_every_better_epoch(stored, monkeypatch):
    seen = script_holdout(monkeypatch, 0.5, 0.6, 0.4, 0.4, 0.3, 0.9)
    spec = make_spec(train={**ONCE, "epochs": 6, "patience": 2})
    fitted = fit_model(stored, spec, ignore_progress)
    assert len(fitted.history) == 6
    assert fitted.best_epoch == 5
    assert equal(fitted.model.get_weights(), seen[4])


def test_a_loss_that_is_not_a_number_is_refused(stored):
    values = np.array(stored.rows.values)
    values[:, 0] = np.inf
    broken = replace(stored.rows, values=values)
    with pytest.raises(
        TrainingError, match="found a loss of nan in epoch 1, batch 1, with the windows '00"
    ):
        fit_model(replace(stored, rows=broken), make_spec(), ignore_progress)


def test_a_holdout_loss_that_is_not_a_number_is_refused(stored, monkeypatch):
    script_holdout(monkeypatch, 0.5, float("nan"))
    spec = make_spec(train={**ONCE, "epochs": 2})
    with pytest.raises(TrainingError, match="found a holdout loss of nan in epoch 2, needed a num"):
        fit_model(stored, spec, ignore_progress)


def test_the_same_seed_trains_to_the_same_weights_and_another_does_not(stored):
    train, model = {**ONCE, "epochs": 2}, {"units": 8, "dropout": 0.2}
    same, again, other = (
        fit_model(stored, make_spec(model=model, train={**train, "seed": s}), ignore_progress)
        for s in (3, 3, 4)
    )
    for a, b in zip(same.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    np.testing.assert_allclose(same.history, again.history, rtol=1e-3)
    assert abs(same.history[0][0] - other.history[0][0]) > 1e-3


def test_progress_tells_every_epochs_end_in_figures(stored):
    told = []
    fitted = fit_model(stored, make_spec(), told.append)
    ends = [p for p in told if p["step"] == p["steps"]]
    assert [p["epoch"] for p in ends] == [1, 2]
    assert ends[-1]["epochs"] == 2
    assert np.isnan(ends[0]["holdout"])
    assert ends[1]["holdout"] == fitted.history[0][1]
    assert ends[1]["loss"] == pytest.approx(fitted.history[1][0])
    assert ends[1]["windows_per_s"] > 0


@pytest.fixture(scope="module")
def constant(tmp_path_factory):
    """A series that never changes, with every window scale's nothing to divide by."""
    table = make_table(series=1, steps=120, missing=0)
    table = rich.replace(table, "target", np.full(table.num_rows, 5.0))
    return store_windows(tmp_path_factory.mktemp("root"), make_spec(PLAIN), table)


@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_series_trains_to_a_finite_loss(constant, kind):
    spec = make_spec(PLAIN, model={"kind": kind, "units": 4}, train=ONCE)
    fitted = fit_model(constant, spec, ignore_progress)
    assert np.isfinite(fitted.history).all()


def test_a_network_learns_from_every_input_there_is(tmp_path):
    spec = rich.make_rich_spec(
        model={"units": 4, "embedding": 2}, train=ONCE, grid={"fill": "forward"}
    )
    spec = spec.model_copy(update={"scaling": spec.scaling.model_copy(update={"window": "last"})})
    fitted = fit_model(store_windows(tmp_path, spec, rich.make_rich_table()), spec, ignore_progress)
    names = {tensor.name for tensor in fitted.model.inputs}
    read = {"past", "past_codes", "known", "known_codes", "static", "static_codes", "series"}
    assert read <= names
    assert np.isfinite(fitted.history).all()

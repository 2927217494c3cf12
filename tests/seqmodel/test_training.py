"""The training loop: it learns, stops in time, keeps the best weights, and refuses nonsense."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from seqmodel import training
from seqmodel.errors import TrainingError
from seqmodel.features import Preprocessor
from seqmodel.models.naive import predict_naive
from seqmodel.models.registry import MODELS
from seqmodel.specs import SourceSpec
from seqmodel.training import fit_model, measure_loss, predict_windows
from seqmodel.windows import WindowReader, index_cutoffs
from tests.seqmodel.small import ignore_progress, make_panel, make_spec, make_table, store_windows

PLAIN = SourceSpec(uri="x", season_length=24)


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
    rows = stored.fitted.encode(panel, until=int(cutoffs[0]))
    scaled = predict_windows(fitted.model, WindowReader(rows, 24, 6), index, 32)
    point = stored.fitted.scalers["target"].inverse(scaled.astype(float), index.series)[:, :, 1]
    naive = predict_naive(panel, index, 24, 6, 24, (0.1, 0.5, 0.9), int(cutoffs[0]))[:, :, 1]
    actual = panel.values["target"][index.starts[:, None] + 24 + np.arange(6)]
    assert np.nanmean(np.abs(actual - point)) < 0.9 * np.nanmean(np.abs(actual - naive))


def test_the_best_epochs_weights_are_kept_and_patience_ends_the_run(stored, monkeypatch):
    script, seen = iter([0.5, 0.3, 0.4, 0.35, 0.1]), []

    def measure(model, *_):
        seen.append(model.get_weights())
        return next(script)

    monkeypatch.setattr(training, "measure_loss", measure)
    spec = make_spec(train={"epochs": 5, "batch_size": 64, "patience": 2})
    fitted = fit_model(stored, spec, ignore_progress)
    assert fitted.best_epoch == 2
    assert [holdout for _, holdout in fitted.history] == [0.5, 0.3, 0.4, 0.35]
    kept = fitted.model.get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(kept, seen[1], strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(kept, seen[3], strict=True))


def test_a_loss_that_is_not_a_number_is_refused(stored):
    broken = replace(stored.rows, target=np.full_like(stored.rows.target, np.inf))
    with pytest.raises(TrainingError, match="in epoch 1, needed a number"):
        fit_model(replace(stored, rows=broken), make_spec(), ignore_progress)


def test_the_same_seed_trains_to_the_same_weights(stored):
    runs = [fit_model(stored, make_spec(), ignore_progress) for _ in range(2)]
    for a, b in zip(*(run.model.get_weights() for run in runs), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    np.testing.assert_allclose(runs[0].history, runs[1].history, rtol=1e-3)


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


def test_the_holdout_loss_is_the_pinball_loss_of_observed_targets(stored):
    spec = make_spec()
    reader = stored.reader(spec)

    class Still:
        def predict_on_batch(self, batch):
            return np.tile(np.array([-1, 0, 1], np.float32), (len(batch["past"]), 6, 1))

    targets, weights = reader.targets(stored.holdout)
    total = 0.0
    for level, q in zip((0.1, 0.5, 0.9), (-1, 0, 1), strict=True):
        error = targets - q
        total += (np.where(error >= 0, level * error, (level - 1) * error) * weights).sum()
    expected = total / 3 / weights.sum()
    found = measure_loss(Still(), reader, stored.holdout, spec)
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", MODELS)
def test_a_constant_series_trains_to_a_finite_loss(tmp_path, kind):
    table = make_table(series=1, steps=120, missing=0)
    same = pa.array(np.full(table.num_rows, 5.0))
    table = table.set_column(table.schema.get_field_index("target"), "target", same)
    train = {"epochs": 1, "batch_size": 32, "windows_per_epoch": 32}
    spec = make_spec(PLAIN, model={"kind": kind, "units": 4}, train=train)
    fitted = fit_model(store_windows(tmp_path, spec, table), spec, ignore_progress)
    assert np.isfinite(fitted.history).all()


def test_a_preprocessor_of_the_bundle_has_the_networks_sizes(stored):
    spec = make_spec()
    shapes = training.measure_shapes(stored, spec)
    assert isinstance(stored.fitted, Preprocessor)
    assert shapes.features == len(stored.fitted.names)
    assert shapes.known == len(stored.fitted.known_names)
    assert (shapes.reals, shapes.cardinalities) == (1, (3,))

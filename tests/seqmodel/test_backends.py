"""Training, storing and forecasting, under whichever backend Keras runs.

`make test-backends` runs this file and the networks' tests under JAX and PyTorch too.
"""

import json
from datetime import UTC, datetime

import keras
import numpy as np
import pytest

from seqmodel.forecasting import forecast_table, load_model
from seqmodel.models.registry import MODELS
from seqmodel.predicting import choose_inputs
from seqmodel.store.forecasts import read_forecast
from seqmodel.store.store import Store
from seqmodel.training import fit_model, train_model
from seqmodel.windowing import cut_windows, make_windows
from tests.seqmodel.bundle import put_bundle
from tests.seqmodel.small import ignore_progress, make_panel, make_spec, make_table, put_table

AS_OF = datetime(2024, 3, 1, tzinfo=UTC)


def fit(spec, seed=0):
    spec = spec.model_copy(update={"train": spec.train.model_copy(update={"seed": seed})})
    return fit_model(cut_windows(make_panel(make_table()), spec), spec, ignore_progress)


@pytest.mark.long  # here; make test-backends runs it
def test_training_lowers_the_loss_and_the_same_seed_gives_the_same_losses():
    spec = make_spec(train={"epochs": 3, "batch_size": 64, "learning_rate": 0.01})
    first, second, other = fit(spec), fit(spec), fit(spec, seed=1)
    losses = [loss for loss, _ in first.history]
    assert losses[-1] < losses[0]
    np.testing.assert_allclose(first.history, second.history, rtol=1e-5)
    assert other.history != first.history


def test_a_version_is_trained_stored_and_forecasts_in_order(tmp_path):
    store, table, spec = Store(tmp_path), make_table(missing=0), make_spec()
    spec = spec.model_copy(
        update={"features": spec.features.model_copy(update={"missing_known": "mean"})}
    )
    judged = put_table(store, table, spec)
    windows = make_windows(store, judged, spec)
    model = train_model(store, windows, spec, AS_OF, {}, ignore_progress)
    rows = read_forecast(store.path(forecast_table(store, judged.table, model, spec).key))
    quantiles = np.stack([rows[f"q{q}"].to_numpy() for q in (0.1, 0.5, 0.9)])
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles, axis=0) >= 0).all()
    manifest = json.loads((store.path(model.key) / "manifest.json").read_text())
    assert manifest["epochs"] == len(model.history)


@pytest.mark.parametrize("kind", MODELS)
def test_a_stored_network_says_what_it_said_before(tmp_path, kind):
    folder, stored, spec, model = put_bundle(tmp_path, kind)
    batch = stored.reader(spec).read(stored.holdout.spread(5))
    loaded, _, _ = load_model(Store(tmp_path), folder.relative_to(tmp_path).as_posix())
    # Not predict: compiling takes most of the time of a network this small.
    before, after = (
        keras.ops.convert_to_numpy(m(choose_inputs(m, batch), training=False))
        for m in (model, loaded)
    )
    np.testing.assert_allclose(before, after, rtol=1e-6, atol=1e-6)

"""An ensemble fitted in one process and one put together from stored members are the same."""

import shutil
from datetime import UTC, datetime

import numpy as np
import pytest

from seqmodel.errors import StoreError
from seqmodel.forecasting import forecast_table, load_model, load_predictor
from seqmodel.graphing import make_graph
from seqmodel.specs import list_members
from seqmodel.store.bundles import MEMBERS, find_member, read_manifest
from seqmodel.store.forecasts import read_forecast
from seqmodel.store.store import Store
from seqmodel.training import fit_ensemble, train_model
from seqmodel.training.assembling import assemble_models
from seqmodel.windowing import load_panel, make_windows
from tests.seqmodel.small import ignore_progress, make_panel, make_spec, make_table, put_table

AS_OF = datetime(2024, 3, 1, tzinfo=UTC)
MODEL = {
    "kind": "ensemble",
    "units": 4,
    "dropout": 0.0,
    "combine": "weights",
    "members": [
        {"model": {"kind": "gru"}, "output": {"kind": "point"}},
        {"model": {"kind": "lstm"}, "window": {"lookback": 12}},
        {"baseline": "seasonal_naive"},
        {"baseline": "drift"},
    ],
}
SPEC = make_spec(
    model=MODEL, train={"epochs": 1, "batch_size": 64}, features={"missing_known": "mean"}
)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("root"))
    judged = put_table(store, make_table(), SPEC)
    networks = [
        train_model(
            store, make_windows(store, judged, m.spec), m.spec, AS_OF, {}, ignore_progress,
            folder=MEMBERS,
        )
        for m in list_members(SPEC)
        if not m.baseline
    ]  # fmt: skip
    whole = assemble_models(store, judged.table, SPEC, AS_OF, networks, {"table": "t"})
    return store, judged.table, networks, whole


NETWORK = ("manifest.json", "model.keras", "preprocessor.json", "distribution.json")


def test_one_manifest_has_the_checksums_of_all_members(stored):
    store, _, _, whole = stored
    files = set(read_manifest(store, whole.key)["files"])
    assert files == {
        "calibration.json", "ensemble.json",
        *(f"member-{n}/{name}" for n in (1, 2) for name in NETWORK),
        "member-3/baseline.json", "member-4/baseline.json",
    }  # fmt: skip


def test_the_version_says_what_its_members_are(stored):
    _, _, networks, whole = stored
    assert (whole.kind, whole.lookback) == ("ensemble", 24)
    assert whole.parameters == sum(n.parameters for n in networks)
    assert "1 gru (weight " in whole.begun
    assert "3 seasonal_naive (weight " in whole.begun
    assert np.isfinite(whole.holdout)


def test_a_forecast_reads_the_newest_rows_only_and_equals_that_of_all(stored):
    store, table, _, whole = stored
    rows = read_forecast(store.path(forecast_table(store, table, whole, SPEC).key))
    panel = load_panel(store, table, SPEC)
    cutoffs = np.array([panel.cutoff])
    _, quantiles = load_predictor(store, whole.key).predict(panel, cutoffs, 1)
    for i, level in enumerate((0.1, 0.5, 0.9)):
        np.testing.assert_array_equal(rows[f"q{level}"].to_numpy(), quantiles[:, :, i].ravel())


def test_its_networks_each_become_a_graph_that_forecasts_the_same(stored):
    store, table, _, whole = stored
    graph = make_graph(store, whole)
    folder = store.path(graph.key)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")}
    assert files == {"manifest.json", "member-1/model.onnx", "member-2/model.onnx"}
    panel = load_panel(store, table, SPEC)
    asked = panel, np.array([panel.cutoff]), 1
    quick = load_predictor(store, whole.key, graph).predict(*asked)[1]
    slow = load_predictor(store, whole.key).predict(*asked)[1]
    np.testing.assert_allclose(quick, slow, rtol=1e-4, atol=1e-4)


def test_what_is_fitted_without_a_store_says_the_same(stored):
    store, table, _, whole = stored
    panel = load_panel(store, table, SPEC)
    fitted = fit_ensemble(panel, SPEC, ignore_progress)
    cutoffs = np.arange(panel.cutoff - 9, panel.cutoff + 1)
    ours = fitted.predict(panel, cutoffs, 1)[1]
    theirs = load_predictor(store, whole.key).predict(panel, cutoffs, 1)[1]
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_a_changed_byte_of_a_member_is_noticed(stored, tmp_path):
    store, _, _, whole = stored
    copy = Store(tmp_path)
    place = copy.path(whole.key)
    shutil.copytree(store.path(whole.key), place)
    assert read_manifest(copy, whole.key)
    path = place / "member-4" / "baseline.json"
    path.write_text(path.read_text().replace("drift", "naive"))
    with pytest.raises(StoreError, match=r"member-4/baseline\.json missing or changed"):
        load_predictor(copy, whole.key)


def test_an_ensemble_is_no_network_but_its_members_are(stored):
    store, _, networks, whole = stored
    with pytest.raises(StoreError, match=r"found an ensemble at .*name one of its members"):
        load_model(store, whole.key)
    assert find_member(store, whole, 1).version == networks[0].version
    assert find_member(store, whole, 3) is None
    assert find_member(store, networks[0], 1) is None


def test_one_network_is_fitted_as_it_is():
    spec = make_spec(train={"epochs": 1, "batch_size": 64}, model={"units": 4})
    assert fit_ensemble(make_panel(), spec, ignore_progress).levels == (0.1, 0.5, 0.9)

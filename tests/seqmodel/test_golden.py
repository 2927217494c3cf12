"""A bundle that an earlier release wrote is still read, and still says what it said."""

import json
import shutil
from datetime import UTC, datetime

import numpy as np
import pyarrow.parquet as pq
import pytest

from seqmodel.errors import StoreError
from seqmodel.forecasting import forecast_table, load_model
from seqmodel.specs import PipelineSpec
from seqmodel.store.bundles import FORMAT, model_key, read_manifest, read_model
from seqmodel.store.forecasts import read_forecast
from seqmodel.store.store import Store
from tests.conftest import ROOT
from tests.seqmodel.bundle import SPOILT, make_lambda, put_bundle
from tests.seqmodel.small import put_table

GOLDEN = ROOT / "tests" / "seqmodel" / "golden"
LARGEST = 200_000  # bytes


@pytest.fixture
def golden(tmp_path):
    """The bundle below a data root."""
    store = Store(tmp_path)
    version = json.loads((GOLDEN / "bundle" / "manifest.json").read_text())["version"]
    key = model_key("small", version)
    shutil.copytree(GOLDEN / "bundle", store.path(key))
    return store, key, version


def test_the_golden_bundle_is_small():
    assert sum(path.stat().st_size for path in GOLDEN.rglob("*") if path.is_file()) < LARGEST


def test_the_golden_bundle_is_of_the_format_that_this_release_reads(golden):
    store, key, _ = golden
    assert read_manifest(store, key)["format"] == FORMAT, "build it anew, and say so in CHANGELOG"


def test_the_golden_bundle_forecasts_what_it_forecast(golden):
    store, key, version = golden
    spec = PipelineSpec.model_validate(read_manifest(store, key)["spec"])
    history, future = (pq.read_table(GOLDEN / f"{n}.parquet") for n in ("history", "future"))
    judged = put_table(store, history, spec, future)
    ref = forecast_table(store, judged.table, read_model(store, "small", version), spec)
    rows = read_forecast(store.path(ref.key))
    expected = json.loads((GOLDEN / "expected.json").read_text())
    assert rows["series_id"].to_pylist() == expected["series_id"]
    stamps = [datetime.fromisoformat(moment) for moment in expected["timestamp"]]
    assert [moment.astimezone(UTC) for moment in rows["timestamp"].to_pylist()] == stamps
    for name in ("q0.1", "q0.5", "q0.9"):
        np.testing.assert_allclose(rows[name].to_numpy(), expected[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("way", SPOILT)
def test_no_bundle_is_loaded_that_has(golden, way):
    store, key, _ = golden
    spoil, says = SPOILT[way]
    spoil(store.path(key))
    with pytest.raises(StoreError, match=says) as refused:
        load_model(store, key)
    sentence = str(refused.value)
    assert "needed" in sentence
    assert "\n" not in sentence


def test_a_network_with_code_inside_is_not_loaded(tmp_path):
    folder, *_ = put_bundle(tmp_path, model=make_lambda())
    with pytest.raises(StoreError, match="not loadable"):
        load_model(Store(tmp_path), folder.relative_to(tmp_path).as_posix())

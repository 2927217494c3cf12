"""Versions in a real MLflow registry: a tracking server on loopback, and a SQLite file."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from datetime import timedelta
from pathlib import Path

import pytest

from seqmodel.errors import StoreError
from seqmodel.store.mlflow_registry import export_version
from seqmodel.store.rolling_back import roll_back
from seqmodel.store.store import Store
from tests.seqmodel.store.stored import NIGHT, damage, point, write

mlflow = pytest.importorskip("mlflow", reason="needs the extra [mlflow]")

# A server takes half a minute to start, a first database as long: make test-long runs them.
pytestmark = pytest.mark.long


def answers(address):
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=1) as answer:  # noqa: S310
            return answer.status == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A tracking server of its own, with its own store of artifacts."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    words = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    words += ["--artifacts-destination", str(folder / "artifacts")]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words],
            cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            end = time.monotonic() + 120
            while not answers(address):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < end, (folder / "log").read_text()
                time.sleep(0.5)
            yield address
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(params=["server", "file"])
def address(request, tmp_path):
    if request.param == "file":
        return f"sqlite:///{tmp_path}/mlflow.db"
    return request.getfixturevalue("server")


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "root")
    more = {"table": "t1", "code": "c", "history": [[0.5, 0.6], [0.4, 0.5]]}
    write(store, "v1", NIGHT - timedelta(days=1), **more)
    write(store, "v2", NIGHT, **more, start={"parent": "v1"})
    point(store, "v1")
    return store


def open_client(address):
    return mlflow.MlflowClient(tracking_uri=address, registry_uri=address)


def test_versions_get_files_figures_and_aliases_that_follow_the_pointer(store, address, tmp_path):
    assert export_version(store, "p", "v1", address, {"mase": 0.7}) == "1"
    client = open_client(address)
    assert client.get_model_version_by_alias("p", "champion").tags["seqmodel.version"] == "v1"

    point(store, "v2", "v1", "v1")
    assert export_version(store, "p", "v2", address) == "2"
    champion = client.get_model_version_by_alias("p", "champion")
    assert champion.tags["seqmodel.version"] == "v2"
    assert champion.tags["seqmodel.parent"] == "v1"
    assert client.get_model_version_by_alias("p", "previous").tags["seqmodel.version"] == "v1"

    run = client.get_run(client.get_model_version("p", "1").run_id)
    assert run.data.metrics["backtest.mase"] == 0.7
    assert run.data.metrics["holdout_loss"] == 0.5
    assert run.data.params["window.horizon"] == "3"
    place = client.download_artifacts(run.info.run_id, "bundle", str(tmp_path))
    for path in store.path("p/models/v1").iterdir():
        assert Path(place, path.name).read_bytes() == path.read_bytes(), path.name

    assert export_version(store, "p", "v2", address) == "2", "once, however often it is asked for"
    roll_back(store, "p", "baseline", "it failed", NIGHT)
    export_version(store, "p", "v2", address)
    assert set(client.get_registered_model("p").aliases) == set()
    client.delete_registered_model("p")


def test_a_damaged_version_is_not_exported(store, address):
    damage(store, "v1")
    with pytest.raises(StoreError, match="missing or changed"):
        export_version(store, "p", "v1", address)


def test_a_server_that_is_down_is_one_sentence_and_soon_said(store):
    begun = time.monotonic()
    with pytest.raises(StoreError, match="found the MLflow registry"):
        export_version(store, "p", "v1", "http://127.0.0.1:9")
    assert time.monotonic() - begun < 60

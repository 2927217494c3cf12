"""Secrets come from the environment and go nowhere: planted ones are looked for everywhere."""

from __future__ import annotations

import base64
import os
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.parse import quote_plus

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from moto.server import ThreadedMotoServer
from pydantic import ValidationError

from seqmodel.specs import PipelineSpec
from tests.conftest import ROOT
from tests.faults.night import Ground, make_spec, write_source

#: Where a person would put each, and a word that stands nowhere else.
SECRETS = {
    "PGPASSWORD": "hush/Postgres+7Qz9",
    "AWS_SECRET_ACCESS_KEY": "hush/Bucket+7Qz9",
    "AWS_SESSION_TOKEN": "hush/Session+7Qz9",
    "PREFECT_API_KEY": "hush-Prefect-7Qz9",
    "SEQMODEL_ALARM_WEBHOOK": "http://127.0.0.1:9/hush/Hook-7Qz9",
}
#: Stands in the spec, so that it must be found: else nothing was looked at.
KNOWN = "somebody-in-the-spec"


def list_forms(secret: str) -> list[bytes]:
    """The secret as it is, in base64, and as a URL has it."""
    plain = secret.encode()
    return [plain, base64.b64encode(plain).rstrip(b"="), quote_plus(secret).encode()]


def read_all(folder: Path):
    """Yield a name and the bytes of everything below a folder, unpacked."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        yield str(path), data
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield from ((f"{path}!{name}", archive.read(name)) for name in archive.namelist())
        if path.suffix == ".parquet":
            table = pq.read_table(path, partitioning=None)
            text = [n for n in table.column_names if pa.types.is_string(table[n].type)]
            yield f"{path}!", str([*table.select(text).to_pylist(), table.schema]).encode()
        if data.startswith(b"SQLite format 3\0"):
            with sqlite3.connect(path) as database:
                yield f"{path}!", "\n".join(database.iterdump()).encode()


def find_secrets(places, secrets):
    return [
        (name, where)
        for where, data in places
        for name, secret in secrets.items()
        if any(form in data for form in list_forms(secret))
    ]


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    """A source behind the API of S3."""
    for name in [n for n in os.environ if n.startswith(("AWS_", "PG"))]:
        monkeypatch.delenv(name)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    client = boto3.client("s3", region_name="us-east-1", endpoint_url=endpoint, **keys)
    client.create_bucket(Bucket="night")
    for path in write_source(tmp_path / "source").glob("*.parquet"):
        client.upload_file(str(path), "night", f"in/{path.name}")
    yield {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "AKIAVISIBLE",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    server.stop()


@pytest.mark.faults
@pytest.mark.tensorflow
@pytest.mark.timeout(1200)
@pytest.mark.fault("secrets in the environment", tries=len(SECRETS) * 3)
def test_no_secret_of_the_environment_is_left_anywhere(tmp_path, bucket):
    loud = {**bucket, **SECRETS, "PREFECT_LOGGING_LEVEL": "DEBUG"}
    sink = f"postgresql+psycopg://{KNOWN}@127.0.0.1:9/out"
    ground = Ground(tmp_path / "ground", Path("s3://night"), sections={"forecast": {"sink": sink}})
    spec = {**make_spec(Path("x")), "forecast": {"minimum": 0, "sink": sink}}
    spec["source"]["uri"] = "s3://night/in/*.parquet"
    deployment = {"deployments": [{"name": "nightly", "parameters": {"spec": spec}}]}
    (ground.folder / "own.yaml").write_text(yaml.safe_dump(deployment))

    failed = ground.run(environment=loud)
    assert failed.code == 1, failed.out[-3000:]
    assert "published but not in table" in failed.said[-1]
    done = ground.run("--forecast.sink", f"sqlite:///{tmp_path}/out.db", environment=loud)
    assert done.code == 0, done.out[-3000:]
    # A key that the source refuses: here the error is about the secret itself.
    refused = ground.run("--source.uri", "s3://nowhere/in/*.parquet", environment=loud)
    assert refused.code == 3, refused.out[-3000:]

    said = [(f"run {n}", end.out.encode()) for n, end in enumerate((failed, done, refused))]
    places = [*said, *read_all(ground.root), *read_all(ground.home)]
    known = find_secrets(places, {"user": KNOWN})
    # What is in the spec is found where a secret would be: else nothing was looked at.
    for place in ("manifest.json", "prefect.db!"):
        assert any(place in where for _, where in known), place
    assert any(".html" in where for where, _ in places)
    assert b"published but not in table" in dict(places)[f"{ground.home / 'prefect.db'}!"]
    assert find_secrets(places, SECRETS) == []


SPOILT = {
    "forecast.sink": [
        "postgresql+psycopg://me:hush-7Qz9@127.0.0.1/out",
        "postgresql+psycopg://127.0.0.1/out?user=me&password=hush-7Qz9",
        "postgresql+psycopg://127.0.0.1/out?user=me&sslpassword=hush-7Qz9",
        "delta+s3://key:hush-7Qz9@bucket/lake",
    ],
    "registry.mlflow": ["http://me:hush-7Qz9@host:5000"],
    "source.uri": [
        "s3://key:hush-7Qz9@bucket/in",
        "s3://key:hush/7Qz9@bucket/in",
        "https://host/in.parquet?X-Amz-Credential=me&X-Amz-Signature=hush-7Qz9",
        "https://host/in.parquet?sv=2024&sig=hush-7Qz9",
        "abfs://c@account/in.parquet?sas_token=hush-7Qz9",
        "https://host/in.parquet?access_token=hush-7Qz9",
    ],
}
URLS = [(knob, url) for knob, urls in SPOILT.items() for url in urls]


@pytest.mark.fault("a secret in the spec")
@pytest.mark.parametrize(("knob", "url"), URLS)
def test_a_url_with_a_secret_is_refused_and_not_repeated(knob, url):
    section, _, name = knob.partition(".")
    values = {"name": "p", "source": {"uri": "x"}}
    values[section] = {**values.get(section, {}), name: url}
    with pytest.raises(ValidationError, match="environment") as refused:
        PipelineSpec.model_validate(values)
    assert "hush" not in str(refused.value), "Prefect shows this sentence, and keeps it"


@pytest.mark.parametrize(
    "url",
    [
        "s3://b/a?sig=1.parquet",
        "https://host/x.parquet?version=3",
        "in/a:b@c.parquet",
        "http://h:80/a@b",
    ],
)
def test_a_url_without_a_secret_is_none(url):
    assert PipelineSpec.model_validate({"name": "p", "source": {"uri": url}}).source.uri == url


@pytest.mark.fault("a secret in the spec")
@pytest.mark.parametrize("knob", ["forecast.sink", "source.uri"])
def test_the_real_command_line_ends_with_2_and_leaves_no_trace_of_it(knob, tmp_path):
    uri = [] if knob == "source.uri" else ["--source.uri", "x.parquet"]
    done = subprocess.run(
        [sys.executable, "-m", "flows.nightly", "--name", "p", *uri, f"--{knob}", SPOILT[knob][0],
         "--data-root", str(tmp_path / "root")],
        cwd=ROOT,
        env={**os.environ, "PREFECT_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "hush" not in done.stdout + done.stderr
    assert find_secrets(read_all(tmp_path), {"it": "hush-7Qz9"}) == []

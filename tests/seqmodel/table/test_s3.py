"""A source in a bucket is read as one on disk, against a real S3 API on loopback."""

import os
import socket

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from seqmodel.errors import SourceError
from seqmodel.specs import SourceSpec
from seqmodel.table.reading import list_files, look_at, observe_schema, open_file, read_batches

MOMENT = pa.timestamp("us", tz="UTC")


def as_bytes(start=0, n=2, **columns):
    table = pa.table(
        {
            "series_id": pa.array(["a"] * n),
            "timestamp": pa.array(range(start, start + n), MOMENT),
            "target": pa.array([1.0] * n),
            **columns,
        }
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


@pytest.fixture(scope="module")
def endpoint():
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint, monkeypatch):
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    client = boto3.client("s3", region_name="us-east-1")
    client.create_bucket(Bucket="meters")
    yield lambda key, body: client.put_object(Bucket="meters", Key=key, Body=body)
    found = client.list_objects_v2(Bucket="meters").get("Contents", [])
    for item in found:
        client.delete_object(Bucket="meters", Key=item["Key"])
    client.delete_bucket(Bucket="meters")


def test_folder_glob_and_key_name_the_same_objects_and_hidden_ones_are_passed_over(bucket):
    for key in ("y/2024/a.parquet", "y/2025/b.parquet", "y/_tmp/c.parquet", "y/2024/README"):
        bucket(key, as_bytes())
    wanted = ["s3://meters/y/2024/a.parquet", "s3://meters/y/2025/b.parquet"]
    for uri in ("s3://meters/y", "s3://meters/y/", "s3://meters", "s3://meters/y/**/*.parquet"):
        assert list_files(uri) == wanted
    assert list_files("s3://meters/y/202[45]/?.parquet") == wanted
    assert list_files("s3://meters/y/20*") == wanted
    assert list_files(wanted[1]) == wanted[1:]


def test_star_stays_within_its_folder(bucket):
    bucket("y/2024/a.parquet", as_bytes())
    with pytest.raises(SourceError, match="no file that matches"):
        list_files("s3://meters/*/a.parquet")


def test_key_with_percent_and_question_mark_is_taken_as_it_stands(bucket):
    bucket("a%20b?#.parquet", as_bytes())
    assert look_at(SourceSpec(uri="s3://meters/a%20b?#.parquet")).files[0].rows == 2


def test_unchanged_bucket_has_the_same_fingerprint_and_a_new_object_another(bucket):
    bucket("a.parquet", as_bytes())
    source = SourceSpec(uri="s3://meters")
    first = look_at(source)
    assert look_at(source) == first
    assert first.files[0].size == len(as_bytes())
    bucket("a.parquet", as_bytes(start=5))
    changed = look_at(source)
    bucket("b.parquet", as_bytes(start=7))
    assert len({first.fingerprint, changed.fingerprint, look_at(source).fingerprint}) == 3


def test_hive_keys_of_a_bucket_come_as_text(bucket):
    for store in ("001", "K%C3%B6ln", "__HIVE_DEFAULT_PARTITION__"):
        bucket(f"sales/store={store}/part-0.parquet", as_bytes())
    source = SourceSpec(uri="s3://meters/sales", series_id="store")
    files = [stamp.uri for stamp in look_at(source).files]
    assert observe_schema(files, source).field("store").type == pa.string()
    stores = [next(read_batches(uri))["store"].to_pylist() for uri in files]
    assert stores == [["001"] * 2, ["Köln"] * 2, [None] * 2]


def test_large_object_comes_in_batches_in_order(bucket):
    bucket("a.parquet", as_bytes(n=300_000))
    batches = list(read_batches("s3://meters/a.parquet"))
    assert len(batches) > 1
    moments = pa.Table.from_batches(batches)["timestamp"].cast(pa.int64()).to_numpy()
    assert moments.tolist() == list(range(300_000))


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("s3://nowhere/a.parquet", "no bucket 'nowhere'"),
        ("s3://nowhere", "no bucket"),
        ("s3://nowhere/*.parquet", "no bucket"),
        ("s3://meters/b.parquet", "no file at"),
        ("s3://meters/b/*.parquet", "no file at"),
        ("s3://meters/text.parquet", "unreadable as Parquet"),
    ],
)
def test_what_is_not_there_is_refused_in_one_sentence(bucket, uri, said):
    bucket("text.parquet", b"series_id,timestamp\n" * 9)
    with pytest.raises(SourceError, match=said) as caught:
        look_at(SourceSpec(uri=uri))
    sentence = str(caught.value)
    assert uri in sentence
    assert sentence.startswith("found ")
    assert ", needed " in sentence
    assert "; " in sentence
    assert "\n" not in sentence


@pytest.mark.usefixtures("bucket")
def test_object_that_vanishes_after_listing_is_refused():
    with pytest.raises(SourceError, match="gone since"):
        open_file("s3://meters/a.parquet")


@pytest.mark.usefixtures("bucket")
def test_endpoint_that_does_not_answer_is_refused(monkeypatch):
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(SourceError, match=r"no answer from s3://meters/a\.parquet"):
            look_at(SourceSpec(uri="s3://meters/a.parquet"))


def test_denied_object_is_refused_as_such():
    from seqmodel.table.sources import find_place

    place = find_place("memory://a.parquet")
    text = "When reading: AWS Error ACCESS_DENIED during HeadObject operation: No response body."
    with pytest.raises(SourceError, match="needed the permission") as caught, place.explaining():
        raise OSError(text)
    assert "credentials in the environment" in str(caught.value)


def test_credentials_in_the_url_are_refused_and_not_repeated():
    with pytest.raises(SourceError, match="in the environment") as caught:
        list_files("s3://key:secret@meters/a.parquet")
    assert "secret" not in str(caught.value)

"""No name that a user brings leads out of the data root, and nobody else may write there."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from seqmodel.errors import StoreError
from seqmodel.specs import PipelineSpec
from seqmodel.store.bundles import MODEL, read_manifest
from seqmodel.store.fingerprints import digest_bytes
from seqmodel.store.runs import name_run
from seqmodel.store.store import Store
from seqmodel.store.tables import publish_table
from seqmodel.table.ingesting import ingest_table
from seqmodel.table.reading import look_at
from tests.seqmodel.bundle import edit_manifest, put_bundle

AS_OF = datetime(2024, 1, 3, tzinfo=UTC)
CLIMBING = ["../x", "a/b", "..", ".", "/etc/passwd", "a\x00b", "x" * 300, "~", "a\\b", "%2e%2e"]


@pytest.mark.fault("a path that climbs out")
@pytest.mark.parametrize("name", [*CLIMBING, "a\n", "", "-a", "A", "A b"])
def test_a_pipeline_is_not_called_like_a_path(name):
    with pytest.raises(ValidationError):
        PipelineSpec.model_validate({"name": name, "source": {"uri": "x"}})


@pytest.mark.fault("a path that climbs out")
@given(st.text(st.sampled_from("./\\a\x00~"), max_size=12))
def test_a_key_is_refused_or_lies_below_the_root(key):
    store = Store(Path("/nowhere/root"))
    try:
        path = store.path(key)
    except StoreError:
        return
    assert "\x00" not in str(path)
    assert os.path.normpath(path).startswith("/nowhere/root/")


def ingest(folder, names):
    hours = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=h) for h in range(4)]
    table = pa.table(
        {
            "series_id": [name for name in names for _ in hours],
            "timestamp": pa.array(hours * len(names), pa.timestamp("us", tz="UTC")),
            "target": [1.0] * (4 * len(names)),
        }
    )
    pq.write_table(table, folder / "source.parquet")
    source = {"uri": str(folder / "source.parquet")}
    spec = PipelineSpec.model_validate({"name": "p", "source": source})
    store, found = Store(folder / "root"), look_at(spec.source)
    ref = ingest_table(store, name_run(spec, AS_OF, found), AS_OF, found, spec)
    publish_table(store, ref)
    return store, ref


@pytest.mark.fault("a path that climbs out")
def test_series_called_like_paths_stay_names(tmp_path):
    store, ref = ingest(tmp_path, CLIMBING)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["root", "source.parquet"]
    paths = [str(p.relative_to(store.root)) for p in store.root.rglob("*")]
    assert not [p for p in paths if "passwd" in p or ".." in p or "x" * 300 in p]
    part = next(store.find(ref.key).glob("part-*"))
    assert set(pq.read_table(part)["series_id"].to_pylist()) == set(CLIMBING)


@pytest.mark.fault("files open to everybody")
def test_what_is_stored_is_writable_by_its_owner_alone_even_under_umask_0(tmp_path):
    before = os.umask(0)
    try:
        store, _ = ingest(tmp_path, ["a"])
        store.write_json("p/champion.json", {})
        with store.workshop("p") as shop:
            (shop / "one").mkdir()
            (shop / "one" / "file").write_text("x")
            store.publish(shop / "one", "p/tables/one")
        with store.workshop("p") as shop:
            (shop / "draft").write_text("x")
            store.move_file(shop / "draft", "p/quarantine/one.parquet")
        with store.lock("p/.champion.lock"):
            pass
    finally:
        os.umask(before)
    found = list(store.root.rglob("*"))
    assert {"champion.json", "file", "one.parquet", ".champion.lock"} <= {p.name for p in found}
    others = stat.S_IWOTH | stat.S_IWGRP
    assert not [p for p in found if p.stat().st_mode & others]


@pytest.mark.fault("a path that climbs out")
@pytest.mark.parametrize("name", ["../../secret", "/etc/hostname", "a/../../../x", "..", ""])
def test_a_manifest_that_names_a_file_elsewhere_reads_nothing_there(name, tmp_path):
    bundle, *_ = put_bundle(tmp_path / "root")
    for place in (bundle.parent.parent, bundle.parent, bundle):
        (place / "secret").write_bytes(b"secret")
    digest = digest_bytes(b"secret")
    edit_manifest(bundle, lambda m: m["files"].update({name: digest}))
    with pytest.raises(StoreError, match="needed names of files inside the bundle"):
        read_manifest(Store(tmp_path / "root"), bundle.relative_to(tmp_path / "root").as_posix())


@pytest.mark.fault("a path that climbs out")
@pytest.mark.parametrize("whole", [False, True])
def test_a_link_inside_a_bundle_is_not_followed(whole, tmp_path):
    bundle, *_ = put_bundle(tmp_path / "root")
    elsewhere = tmp_path / "elsewhere"
    if whole:  # a folder of the bundle, as the member of an ensemble is
        elsewhere.mkdir()
        (elsewhere / "secret").write_bytes(b"secret")
        (bundle / "member-1").symlink_to(elsewhere)
        digest = digest_bytes(b"secret")
        edit_manifest(bundle, lambda m: m["files"].update({"member-1/secret": digest}))
    else:
        (bundle / MODEL).rename(elsewhere)
        (bundle / MODEL).symlink_to(elsewhere)
    with pytest.raises(StoreError, match="needed names of files inside the bundle"):
        read_manifest(Store(tmp_path / "root"), bundle.relative_to(tmp_path / "root").as_posix())

"""Forecasts, published by a manifest: readers trust only what it names."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from seqmodel.errors import StoreError
from seqmodel.store.fingerprints import digest_bytes, digest_file
from seqmodel.store.store import Store
from seqmodel.store.tables import write_table

MANIFEST = "_manifest.json"


def format_moment(moment: datetime) -> str:
    """Return a moment as ISO basic in UTC, e.g. `20131101T000000Z`."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def forecast_key(pipeline: str, cutoff: datetime) -> str:
    """Return the key of the forecast made at `cutoff`."""
    return f"{pipeline}/forecasts/cutoff={format_moment(cutoff)}"


def publish_forecast(
    store: Store, key: str, rows: pa.Table, figures: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Publish forecast rows: parts first, under names of their own content, the manifest last.

    A reader sees the old manifest and the old parts, or the new ones, never a mixture. Parts that
    the new manifest does not name are removed after it is in place.

    Args:
        store: the data root.
        key: folder of the cutoff.
        rows: all rows.
        figures: `cutoff`, `model_version`, ...; `rows` and `files` are added.

    Returns:
        sha256 of the manifest, and the manifest.
    """
    folder, pipeline = store.path(key), key.split("/", 1)[0]
    # Two live copies of a run would take each other's parts for strays.
    with store.lock(f"{pipeline}/.forecasts.lock"), store.workshop(pipeline) as shop:
        draft = shop / "part.parquet"
        write_table(draft, rows)
        digest = digest_file(draft)
        name = f"part-00000-{digest[:8]}.parquet"
        store.move_file(draft, f"{key}/{name}")
        manifest = {**figures, "rows": rows.num_rows, "files": {name: digest}}
        text = json.dumps(manifest, indent=2) + "\n"
        store.write_text(f"{key}/{MANIFEST}", text)
        for stray in folder.glob("part-*.parquet"):
            if stray.name not in manifest["files"]:
                stray.unlink()
    return digest_bytes(text.encode()), manifest


def read_forecast(folder: Path | str) -> pa.Table:
    """Read a published forecast, checked against its manifest.

    Args:
        folder: `<data root>/<pipeline>/forecasts/cutoff=<moment>`.

    Raises:
        StoreError: if there is no manifest, or a file is not the one it names.
    """
    folder = Path(folder)
    manifest = _read_bytes(folder)
    while True:
        try:
            return _read_parts(folder, manifest)
        except StoreError:
            # The cutoff may have been published again between manifest and parts.
            before, manifest = manifest, _read_bytes(folder)
            if before == manifest:
                raise


def _read_bytes(folder: Path) -> bytes:
    path = folder / MANIFEST
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise StoreError(
            f"found no {path}, needed a published forecast; run the pipeline first"
        ) from None


def _read_parts(folder: Path, manifest: bytes) -> pa.Table:
    try:
        files = json.loads(manifest)["files"].items()
    except (ValueError, TypeError, KeyError, AttributeError):
        raise StoreError(
            f"found {folder / MANIFEST} damaged, needed the names and checksums of its files;"
            " publish the cutoff again"
        ) from None
    parts = []
    for name, digest in files:
        path = folder / name
        data = path.read_bytes() if path.is_file() else b""
        if digest_bytes(data) != digest:
            raise StoreError(
                f"found {path} missing or changed, needed the file its manifest names; publish the"
                " cutoff again"
            )
        parts.append(pq.read_table(pa.BufferReader(data)))
    return pa.concat_tables(parts)

"""Forecasts, published by a manifest: readers trust only what it names.

staging/forecasts/cutoff=.../part-00003-<sha256>.parquet     a shard that is done; others may not be
forecasts/cutoff=.../part-00003-<sha256>.parquet             moved there once all are
forecasts/cutoff=.../_manifest.json                          replaced last, at once
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seqmodel.errors import StoreError
from seqmodel.store.fingerprints import digest_bytes, digest_file
from seqmodel.store.folders import make_folder
from seqmodel.store.store import Store, flush_folder
from seqmodel.store.tables import ROW_GROUP

MANIFEST = "_manifest.json"
#: Columns that repeat themselves; forecasts never do, to look for repetitions is lost time.
REPEATED = ("series_id", "cutoff", "timestamp", "step", "label", "model_version")


def format_moment(moment: datetime) -> str:
    """Return a moment as ISO basic in UTC, e.g. `20131101T000000Z`."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def forecast_key(pipeline: str, cutoff: datetime) -> str:
    """Return the key of the forecast made at `cutoff`."""
    return f"{pipeline}/forecasts/cutoff={format_moment(cutoff)}"


def stage_part(
    store: Store, key: str, number: int, schema: pa.Schema, tables: Iterable[pa.Table]
) -> tuple[str, str]:
    """Write the rows of one shard where nobody reads yet, under a name of their own content.

    Args:
        store: the data root.
        key: folder of the cutoff.
        number: of the shard.
        schema: of the rows.
        tables: rows, in order, taken one after the other.

    Returns:
        Key that the file will have once published, and its sha256.

    Raises:
        StoreError: if the disk is full or closed; whatever else fails in writing may pass.
    """
    with store.workshop(key.split("/", 1)[0]) as shop:
        draft = shop / "part.parquet"
        names = [name for name in schema.names if name in REPEATED]
        # Nobody looks for rows by a quantile either: it has no statistics.
        how = {"compression": "zstd", "use_dictionary": names, "write_statistics": names}
        with pq.ParquetWriter(draft, schema, **how) as writer:
            for table in tables:
                writer.write_table(table, row_group_size=ROW_GROUP)
        digest = digest_file(draft)
        name = f"{key}/part-{number:05d}-{digest[:8]}.parquet"
        store.stage_file(draft, name)
    return name, digest


def read_fence(store: Store, key: str) -> str:
    """Return what is published at a cutoff now, as a digest; empty where nothing is.

    Whoever has read it before making a forecast publishes only if it is still the same.
    """
    path = store.path(f"{key}/{MANIFEST}")
    return digest_bytes(path.read_bytes()) if path.is_file() else ""


def publish_parts(
    store: Store,
    key: str,
    parts: Mapping[str, str],
    figures: dict[str, Any],
    fence: str | None = None,
) -> tuple[str, dict[str, Any]]:
    """Publish staged parts together: moved into place first, the manifest last.

    A reader sees the old manifest and the old parts, or the new ones, never a mixture. Parts that
    the new manifest does not name are removed after it is in place. To publish the same again
    changes nothing.

    Args:
        store: the data root.
        key: folder of the cutoff.
        parts: key of each part -> sha256.
        figures: `cutoff`, `model_version`, `rows`, ...; `files` is added.
        fence: what `read_fence` said before; by default whatever is there is replaced.

    Returns:
        sha256 of the manifest, and the manifest.

    Raises:
        StoreError: if another run has published the cutoff meanwhile, if a part is gone or
            changed, or if the data root takes no more.
    """
    # Two live copies of a run would take each other's parts for strays.
    with _lock(store, key):
        return _publish(store, key, parts, figures, fence)


def drop_parts(store: Store, names: Iterable[str]) -> None:
    """Remove staged parts that will not be published."""
    for name in names:
        store.staged_path(name).unlink(missing_ok=True)


def _lock(store: Store, key: str) -> AbstractContextManager[None]:
    return store.lock(f"{key.split('/', 1)[0]}/.forecasts.lock")


def _publish(
    store: Store, key: str, parts: Mapping[str, str], figures: dict[str, Any], fence: str | None
) -> tuple[str, dict[str, Any]]:
    manifest = {**figures, "files": {name.rsplit("/", 1)[1]: d for name, d in parts.items()}}
    text = json.dumps(manifest, indent=2) + "\n"
    digest = digest_bytes(text.encode())
    if fence is not None and read_fence(store, key) not in {fence, digest}:
        drop_parts(store, parts)
        raise StoreError(
            f"found {store.path(key)} published by another run meanwhile, needed it as it was when"
            " this one began; that run's forecast stands, run again to replace it"
        )
    try:
        for name, wanted in parts.items():
            _settle(store, name, wanted)
        folder = store.path(key)
        flush_folder(folder)
        store.write_text(f"{key}/{MANIFEST}", text)
        _sweep(folder)
    except OSError as error:
        _withdraw(store, key, parts)
        raise store.refuse(error) from error
    except StoreError:
        _withdraw(store, key, parts)
        raise
    return digest, manifest


def _withdraw(store: Store, key: str, parts: Iterable[str]) -> None:
    """Remove parts whose publication failed; what was published stays."""
    drop_parts(store, parts)
    _sweep(store.path(key))


def _sweep(folder: Path) -> None:
    """Remove parts that the manifest in place does not name."""
    path = folder / MANIFEST
    try:
        named = json.loads(path.read_bytes())["files"] if path.is_file() else {}
    except (ValueError, TypeError, KeyError):
        return  # damaged: what it named is for a person to see
    for part in folder.glob("part-*.parquet"):
        if part.name not in named:
            part.unlink()


def _settle(store: Store, name: str, wanted: str) -> None:
    """Move a staged part into place; one that is there already stays."""
    place, staged = store.path(name), store.staged_path(name)
    if place.is_file() and digest_file(place) == wanted:
        staged.unlink(missing_ok=True)
        return
    if not staged.is_file() or digest_file(staged) != wanted:
        raise StoreError(
            f"found {staged} missing or changed since its shard was forecast, needed the file with"
            f" sha256 {wanted[:8]}...; run again"
        )
    make_folder(place.parent)
    staged.replace(place)


def publish_forecast(
    store: Store, key: str, rows: pa.Table, figures: dict[str, Any], fence: str | None = None
) -> tuple[str, dict[str, Any]]:
    """Publish forecast rows as one part, as `publish_parts` does.

    Args:
        store: the data root.
        key: folder of the cutoff.
        rows: all rows.
        figures: `cutoff`, `model_version`, ...; `rows` and `files` are added.
        fence: what `read_fence` said before; by default whatever is there is replaced.

    Returns:
        sha256 of the manifest, and the manifest.
    """
    with _lock(store, key):
        name, digest = stage_part(store, key, 0, rows.schema, [rows])
        figures = {**figures, "rows": rows.num_rows}
        return _publish(store, key, {name: digest}, figures, fence)


def read_forecast(folder: Path | str) -> pa.Table:
    """Read a published forecast, checked against its manifest.

    Args:
        folder: `<data root>/<pipeline>/forecasts/cutoff=<moment>`.

    Raises:
        StoreError: if there is no manifest, or a file is not the one it names.
    """
    return _read_checked(Path(folder), None)


def list_parts(folder: Path | str) -> list[str]:
    """Return the paths of a published forecast's files, for readers of Parquet of any kind.

    Names follow content, so that these paths are the whole forecast, or some are gone because the
    cutoff was published again; then ask anew. `read_forecast` does, and checks every byte.

    Args:
        folder: `<data root>/<pipeline>/forecasts/cutoff=<moment>`.

    Raises:
        StoreError: if there is no manifest, or it is damaged.
    """
    folder = Path(folder)
    return [str(folder / name) for name, _ in _list_files(folder, _read_bytes(folder))]


def read_first(folder: Path | str) -> pa.Table:
    """Read the first part of a published forecast alone, as `read_forecast` does."""
    return _read_checked(Path(folder), 1)


def read_figures(folder: Path | str) -> dict[str, Any]:
    """Return what the manifest of a published forecast says of it."""
    folder = Path(folder)
    manifest = _read_bytes(folder)
    _list_files(folder, manifest)
    return dict(json.loads(manifest))


def read_chunks(folder: Path | str, columns: list[str], most: int) -> Iterator[pa.Table]:
    """Yield the rows of a published forecast some series at a time, each part checked before.

    Args:
        folder: `<data root>/<pipeline>/forecasts/cutoff=<moment>`.
        columns: wanted, `series_id` among them; those that a part lacks are left out.
        most: rows at once, more where a series has more.

    Raises:
        StoreError: as `read_forecast`; also if the cutoff is published again meanwhile.
    """
    folder, rest = Path(folder), None
    for data in _check_files(folder, _read_bytes(folder), None):
        part = pq.ParquetFile(pa.BufferReader(data))
        known = [name for name in columns if name in part.schema_arrow.names]
        for batch in part.iter_batches(most, columns=known, use_threads=False):
            new = pa.Table.from_batches([batch]).select(known)
            rows = new if rest is None else pa.concat_tables([rest, new])
            ids = rows["series_id"]
            last = pc.index(ids, ids[-1]).as_py()  # the last series may go on in the next batch
            if last:
                yield rows.slice(0, last)
            rest = rows.slice(last)
    if rest is not None:
        yield rest


def _read_checked(folder: Path, most: int | None) -> pa.Table:
    manifest = _read_bytes(folder)
    while True:
        try:
            return pa.concat_tables(list(_read_parts(folder, manifest, most)))
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


def _list_files(folder: Path, manifest: bytes) -> list[tuple[str, str]]:
    try:
        return list(json.loads(manifest)["files"].items())
    except (ValueError, TypeError, KeyError, AttributeError):
        raise StoreError(
            f"found {folder / MANIFEST} damaged, needed the names and checksums of its files;"
            " publish the cutoff again"
        ) from None


def _read_parts(folder: Path, manifest: bytes, most: int | None) -> Iterator[pa.Table]:
    for data in _check_files(folder, manifest, most):
        yield pq.read_table(pa.BufferReader(data))


def _check_files(folder: Path, manifest: bytes, most: int | None) -> Iterator[bytes]:
    for name, digest in _list_files(folder, manifest)[:most]:
        path = folder / name
        data = path.read_bytes() if path.is_file() else b""
        if digest_bytes(data) != digest:
            raise StoreError(
                f"found {path} missing or changed, needed the file its manifest names; publish the"
                " cutoff again"
            )
        yield data

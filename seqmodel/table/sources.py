"""Where source files lie: on disk, or behind a URL such as s3://bucket/folder.

Credentials, region and endpoint come from the environment only (AWS_ACCESS_KEY_ID, AWS_PROFILE,
AWS_REGION, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS, ...).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import final
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from pyarrow import fs

from seqmodel.errors import SourceError

PATIENCE = 60
URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
#: What the libraries below say, each in its own words.
REFUSED = re.compile(r"ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE|PERMISSION|Forbidden|Unauthor")
GONE = re.compile(r"NO_SUCH_KEY|NO_SUCH_BUCKET|RESOURCE_NOT_FOUND|does not exist")
UNREACHED = re.compile(r"AWS Error|curl|[Cc]onnect|[Tt]imed? ?out|UNAVAILABLE|[Ee]ndpoint")


@final
@dataclass(frozen=True)
class Place:
    """A path on a file system.

    Attributes:
        system: the file system.
        path: the path as that names it.
        scheme: what a URI has before the path, such as `s3://`; nothing on disk.
    """

    system: fs.FileSystem
    path: str
    scheme: str = ""

    @property
    def on_disk(self) -> bool:
        """Whether this machine's own file system holds it."""
        return isinstance(self.system, fs.LocalFileSystem)

    def name(self, path: str) -> str:
        """Return the URI of another path on the same file system."""
        return self.scheme + path

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Turn what goes wrong within into one sentence.

        Raises:
            SourceError: for a missing permission, path or connection; others pass.
        """
        try:
            yield
        except (OSError, pa.ArrowException, RuntimeError, ValueError) as error:
            explained = self._explain(error)
            if explained is None:
                raise
            raise explained from None

    def _explain(self, error: Exception) -> SourceError | None:
        uri, said = self.name(self.path), str(error)
        if isinstance(error, PermissionError) or (not self.on_disk and REFUSED.search(said)):
            what = "change its mode" if self.on_disk else "check the credentials in the environment"
            return SourceError(
                f"found {uri} not readable, needed the permission to read it; {what}"
            )
        if self.on_disk and Path(self.path).is_symlink() and not Path(self.path).exists():
            return SourceError(
                f"found {uri} to be a link that leads nowhere, needed a file; restore what it"
                " points at or remove the link"
            )
        if isinstance(error, FileNotFoundError) or (not self.on_disk and GONE.search(said)):
            return SourceError(
                f"found {uri} gone since the source was listed, needed it to stay while it is read;"
                " run again"
            )
        cut_off = isinstance(error, ConnectionError | TimeoutError) or UNREACHED.search(said)
        if not self.on_disk and cut_off:
            return SourceError(
                f"found no answer from {uri} ({shorten(error)}), needed a connection to it; check"
                " the network and the endpoint in the environment"
            )
        return None


def find_place(uri: str | Path) -> Place:
    """Return where `uri` points: pyarrow's own file systems first, then those of fsspec.

    Raises:
        SourceError: if nothing installed reads such URLs.
    """
    match = None if isinstance(uri, Path) else URL.fullmatch(uri)
    if match is None:
        return Place(fs.LocalFileSystem(), str(Path(uri)))
    scheme, rest = match[1].lower(), match[2]
    if ":" in rest.split("/", 1)[0].rpartition("@")[0]:
        raise SourceError(
            "found credentials in source.uri, needed them in the environment, where no log shows"
            " them; take them out of the URL"
        )
    if scheme == "file":
        return Place(fs.LocalFileSystem(), str(Path(unquote(urlsplit(str(uri)).path))))
    try:
        if scheme in {"s3", "s3a"}:
            # The path is taken as it stands: a key may hold %, ? and #.
            return Place(_connect_s3(rest.split("/", 1)[0]), rest.strip("/"), "s3://")
        if scheme in {"gs", "gcs"}:
            return Place(_connect_gcs(), rest.strip("/"), "gs://")
        return _connect_other(str(uri), scheme)
    except (OSError, pa.ArrowException, ImportError, ValueError) as error:
        raise SourceError(
            f"found no way to read {uri} ({shorten(error)}), needed a file system that pyarrow or"
            " fsspec can reach; correct source.uri, install its package or check the environment"
        ) from None


def _connect_s3(bucket: str) -> fs.FileSystem:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not endpoint and not region:
        region = fs.resolve_s3_region(bucket)
    return _open_s3(endpoint, region or "us-east-1")


@cache
def _open_s3(endpoint: str | None, region: str) -> fs.FileSystem:
    scheme, _, host = (endpoint or "").rpartition("://")
    return fs.S3FileSystem(
        endpoint_override=host.rstrip("/") or None,
        scheme=scheme or "https",
        region=region,
        connect_timeout=10,
        request_timeout=PATIENCE,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=3),
    )


@cache
def _connect_gcs() -> fs.FileSystem:
    return fs.GcsFileSystem(retry_time_limit=timedelta(seconds=PATIENCE))


def _connect_other(uri: str, scheme: str) -> Place:
    try:
        system, path = fs.FileSystem.from_uri(uri)
    except (pa.ArrowException, OSError):
        from fsspec.core import url_to_fs  # it has no types

        inner, path = url_to_fs(uri)
        system = fs.PyFileSystem(fs.FSSpecHandler(inner))
    # Some file systems of fsspec take the whole URL for the path.
    return Place(system, path, "" if URL.fullmatch(path) else f"{scheme}://")


def shorten(error: Exception) -> str:
    """Return the first line of what an error says."""
    return (str(error).splitlines() or [type(error).__name__])[0][:120].rstrip(".")

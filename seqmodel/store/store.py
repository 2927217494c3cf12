"""The data root: write-once folders, made elsewhere and moved into place by one rename."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, final

from filelock import FileLock, Timeout

from seqmodel.errors import SeqmodelError, StoreError
from seqmodel.store.folders import make_folder
from seqmodel.store.ref import Ref

#: The environment's word for the data root: what differs per machine.
ROOT_VARIABLE = "SEQMODEL_DATA"
DEFAULT_ROOT = "data"
STAGING = "staging"
LOCK_SECONDS = 30.0
#: What the system says where there is no room, or none left for this user.
FULL = {errno.ENOSPC, errno.EDQUOT}
#: The same in the words of libraries that lose the number: HDF5 and DuckDB, then numpy.
SHORT_WRITE = re.compile(r"No space left on device|quota exceeded|\d+ requested and \d+ written")
#: What it says where nobody may write.
CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM}


@final
class Store:
    """One data root.

    Args:
        root: folder that holds a folder for each pipeline; made when first written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @classmethod
    def from_environment(cls) -> Store:
        """Open the root that `SEQMODEL_DATA` names, `data` in the working folder without it."""
        return cls(Path(os.environ.get(ROOT_VARIABLE) or DEFAULT_ROOT))

    def path(self, key: str) -> Path:
        """Return where `key` lies.

        Raises:
            StoreError: if the key is absolute, climbs out of the root, or is no path at all.
        """
        pure = PurePosixPath(key)
        if pure.is_absolute() or ".." in pure.parts or not pure.parts or "\0" in key:
            raise StoreError(
                f"found key {key!r}, needed a relative path below the data root; use a Ref made by"
                " this store"
            )
        return self.root.joinpath(*pure.parts)

    def find(self, key: str) -> Path:
        """Return where `key` lies: in its published place, or still in staging.

        A table is staged until it has been judged, so that nothing below `tables/` was ever
        refused.

        Raises:
            StoreError: if it is in neither.
        """
        published = self.path(key)
        for place in (published, self.staged_path(key)):
            if place.exists():
                return place
        raise StoreError(f"found nothing at {published}, needed it for this step; run again")

    def staged_path(self, key: str) -> Path:
        """Return where `key` lies before it is published."""
        pipeline, _, rest = key.partition("/")
        return self.path(f"{pipeline}/{STAGING}/{rest}")

    def holds(self, ref: Ref) -> bool:
        """Whether everything that `ref` names is still there, or what was made of it."""
        became = ref.became()
        if became is not None and self.path(became).exists():
            return True
        return all(self.path(k).exists() or self.staged_path(k).exists() for k in ref.needs())

    @contextmanager
    def workshop(self, pipeline: str) -> Iterator[Path]:
        """Give a fresh folder on the root's own filesystem, removed afterwards.

        Raises:
            StoreError: if there is no room in it, or no right to write there.
        """
        parent = self.path(f"{pipeline}/{STAGING}")
        try:
            make_folder(parent)
            folder = Path(tempfile.mkdtemp(prefix="tmp-", dir=parent))
        except OSError as error:
            raise self.refuse(error) from error
        try:
            with self.explaining():
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Turn what goes wrong in writing below the root into one sentence.

        Raises:
            StoreError: for a full, read-only or closed root; whatever else is wrong passes.
        """
        try:
            yield
        except SeqmodelError:
            raise
        except Exception as error:
            if not (self._is_closed(error) or _is_full(error)):
                raise
            raise self.refuse(error) from error

    def _is_closed(self, error: Exception) -> bool:
        """Whether the root refuses; a source may be closed too, which is another matter."""
        if not isinstance(error, OSError) or error.errno not in CLOSED:
            return False
        return error.errno == errno.EROFS or str(error.filename).startswith(f"{self.root}{os.sep}")

    @contextmanager
    def lock(self, key: str, patience: float = LOCK_SECONDS) -> Iterator[None]:
        """Hold the lock `key` for a `with` block; the system frees it when its holder dies.

        Args:
            key: of the lock's file.
            patience: time to wait for another holder (seconds).

        Raises:
            StoreError: if another one holds it all that time.
        """
        path = self.path(key)
        try:
            make_folder(path.parent)
            lock = FileLock(path, timeout=patience, mode=0o644)
            lock.acquire()
        except Timeout:
            raise StoreError(
                f"found {path} held for {patience:.0f} s, needed it free; end the other run"
            ) from None
        except OSError as error:
            raise self.refuse(error) from error
        try:
            yield
        finally:
            lock.release()

    def stage(self, folder: Path, key: str) -> None:
        """Move a finished folder to the staged place of `key`; an equal one may be there."""
        _move(folder, self.staged_path(key))

    def publish(self, folder: Path, key: str) -> None:
        """Move a finished folder to `key`, at once and for good.

        Keys of folders carry a fingerprint of what is in them, so one that is there already holds
        the same, and `folder` is dropped.
        """
        _move(folder, self.path(key))

    def move_file(self, draft: Path, key: str) -> Path:
        """Move a finished file to `key`, atomically and flushed to disk before."""
        path = self.path(key)
        make_folder(path.parent)
        draft.chmod(0o644)
        flush_file(draft)
        draft.replace(path)
        flush_folder(path.parent)
        return path

    def stage_file(self, draft: Path, key: str) -> Path:
        """Move a finished file to the staged place of `key`, as `move_file` does."""
        staged = self.staged_path(key).relative_to(self.root).as_posix()
        return self.move_file(draft, staged)

    def write_json(self, key: str, value: Any) -> Path:
        """Write a value as indented JSON, atomically."""
        text = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False)
        return self.write_text(key, text + "\n")

    def write_text(self, key: str, text: str) -> Path:
        """Write a text file, atomically: a reader sees the old one or the new one."""
        path = self.path(key)
        try:
            make_folder(path.parent)
            replace_file(path, text.encode())
        except OSError as error:
            raise self.refuse(error) from error
        return path

    def read_json(self, key: str) -> Any:
        """Read a JSON file.

        Raises:
            StoreError: if it is missing or not JSON.
        """
        path = self.path(key)
        try:
            return json.loads(path.read_bytes())
        except FileNotFoundError:
            raise StoreError(f"found no {path}, needed it for this step; run again") from None
        except ValueError:
            raise StoreError(
                f"found {path} damaged, needed JSON; remove it and run again"
            ) from None

    def refuse(self, error: Exception) -> StoreError:
        """Return what is said when the root cannot be written to."""
        if _is_full(error):
            return StoreError(
                f"found the disk of the data root {self.root} full, needed room to write; free some"
                " or name another root by --data-root, and run again"
            )
        reason = getattr(error, "strerror", None) or error
        return StoreError(
            f"found the data root {self.root} not writable ({reason}), needed to"
            " write there; change its permissions or name another by --data-root"
        )


def _is_full(error: Exception) -> bool:
    return getattr(error, "errno", None) in FULL or bool(SHORT_WRITE.search(str(error)))


def replace_file(path: Path, data: bytes) -> None:
    """Put `data` at `path` by writing beside it and renaming, flushed to disk before."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def flush_file(path: Path) -> None:
    """Make the content of a file survive a power cut."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Make renames inside `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _move(folder: Path, place: Path) -> None:
    for path in folder.rglob("*"):
        # Whatever the umask of the run: everybody may read, its owner alone may write.
        path.chmod(0o755 if path.is_dir() else 0o644)
        if path.is_file():
            flush_file(path)
    flush_folder(folder)
    folder.chmod(0o755)  # a temporary folder is closed to everybody else
    make_folder(place.parent)
    try:
        folder.rename(place)
    except OSError:
        if not place.is_dir():
            raise
        shutil.rmtree(folder)
    flush_folder(place.parent)

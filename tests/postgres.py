"""A real PostgreSQL for tests, from whatever the system's packages have put on this machine.

initdb in a folder of its own -> a server on a free port of 127.0.0.1 -> URL -> stopped, removed
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

#: Where Debian's packages put the programs, a folder for each release.
PACKAGES = Path("/usr/lib/postgresql")
#: PostgreSQL refuses to run as root: then it runs as the first of these that there is.
USERS = ("postgres", "nobody")
OWNER = "seqmodel"


def find_programs() -> Path | None:
    """Return the folder of `initdb` and `pg_ctl`, of the newest release; None without any."""
    releases = [
        folder for folder in PACKAGES.glob("*/bin") if re.fullmatch(r"[\d.]+", folder.parent.name)
    ]
    releases.sort(key=lambda folder: float(folder.parent.name))
    on_path = shutil.which("pg_ctl")
    found = [*releases[-1:], *([Path(on_path).parent] if on_path else [])]
    return next((folder for folder in found if (folder / "initdb").exists()), None)


needs_postgres = pytest.mark.skipif(
    find_programs() is None,
    reason="found no PostgreSQL, needed initdb and pg_ctl; apt-get install postgresql",
)


@contextmanager
def postgres_cluster(folder: Path | None = None) -> Iterator[str]:
    """Run a PostgreSQL cluster of its own for as long as the block lasts.

    Args:
        folder: where its files go, reachable by the user it runs as; by default a temporary one
            that is removed afterwards.

    Yields:
        `postgresql://seqmodel@127.0.0.1:PORT/postgres`: its owner may do anything there, without a
        password. Put a driver in front: `url.replace("postgresql", "postgresql+psycopg", 1)`.
    """
    programs = find_programs()
    if programs is None:
        pytest.skip(needs_postgres.kwargs["reason"])
    # The path of its socket must be short.
    place = Path(folder or tempfile.mkdtemp(prefix="seqmodel-postgres-", dir="/tmp"))
    who = _choose_user(place)
    data, log, port = place / "data", place / "log", _find_port()

    def run(program: str, *words: str) -> None:
        done = subprocess.run(
            [str(programs / program), *words],
            cwd=place,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            user=who,
            # The server outlives pg_ctl: a pipe would stay open as long as it runs.
            stdout=(place / "said").open("w"),
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            told = (place / "said").read_text() + (log.read_text() if log.exists() else "")
            raise RuntimeError(f"found {program} refused, needed a cluster: {told[-2000:]}")

    try:
        run("initdb", "-D", str(data), "-U", OWNER, "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-c listen_addresses=127.0.0.1 -p {port} -k {place} -c fsync=off"
        run("pg_ctl", "-D", str(data), "-l", str(log), "-o", options, "-w", "-t", "60", "start")
        try:
            yield f"postgresql://{OWNER}@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)


def _choose_user(place: Path) -> str | None:
    """Return who the server runs as, after giving the folder to them; None for ourselves."""
    if os.geteuid():
        return None
    known = {user.pw_name for user in pwd.getpwall()}
    who = next(name for name in USERS if name in known)
    shutil.chown(place, who)
    return who


def _find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

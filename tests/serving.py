"""`make serve` for tests: everything up on free ports, below a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

from tests.conftest import ROOT

# As a shell starts what runs in its background: with Ctrl-C ignored.
IGNORED = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN);"
#: Seconds for which a server may say that it is busy: Prefect's own client asks again as well.
BUSY_TRIES = 30
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


class Served(NamedTuple):
    """What is up.

    Attributes:
        home: folder of everything, with the log of all parts in `log`.
        address: of the server.
        environment: of a command that talks to it.
    """

    home: Path
    address: str
    environment: dict[str, str]

    @property
    def api(self) -> str:
        return f"{self.address}/api"

    def read_log(self) -> str:
        return (self.home / "log").read_text()


@contextmanager
def serving(home: Path, **more: str) -> Iterator[Served]:
    """Run `python -m flows.serve` for as long as the block lasts, and stop it by Ctrl-C.

    Args:
        home: an empty folder.
        more: further variables of the environment.
    """
    port = find_port()
    environment = {
        **os.environ,
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_API_PORT": str(port),
        "SEQMODEL_DATA": str(home / "root"),
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        **more,
    }
    log = (home / "log").open("w")
    process = subprocess.Popen(
        [
            *[sys.executable, "-c", f"{IGNORED} os.execv(sys.executable, sys.argv[1:])"],
            *[sys.executable, "-m", "flows.serve"],
        ],
        cwd=ROOT,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    served = Served(home, f"http://127.0.0.1:{port}", environment)
    try:
        wait_for(lambda: "the UI is at" in served.read_log() or process.poll() is not None, 400)
        assert process.poll() is None, served.read_log()[-3000:]
        client = {"PREFECT_API_URL": served.api}
        if secret := environment.get("PREFECT_SERVER_API_AUTH_STRING"):
            client["PREFECT_API_AUTH_STRING"] = secret
        yield served._replace(environment={**environment, **client})
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(60)
        log.close()
    assert code == 0, served.read_log()[-3000:]


def find_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(url: str, body: dict[str, Any] | None = None, **headers: str) -> Any:
    """Post to the API and return its answer; a server whose SQLite is busy is asked again."""
    data = json.dumps(body or {}).encode()
    content = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(url, data, content)  # noqa: S310 - loopback, http
    for left in range(BUSY_TRIES, -1, -1):
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE or not left:
                raise
        time.sleep(1)
    raise AssertionError


def answers(url: str) -> bool:
    """Tell whether there is a server."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - loopback, http
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def wait_for(what: Callable[[], Any], seconds: float) -> Any:
    """Ask again and again until there is an answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.5)
    raise AssertionError(f"nothing after {seconds} s")


def run_deployment(served: Served, name: str, parameters: dict[str, Any], seconds: float) -> Any:
    """Start a run of a deployment, wait for its end, and return the run."""
    words = ["-m", "prefect", "deployment", "run", name, "--params", json.dumps(parameters)]
    done = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env=served.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    secret = served.environment.get("PREFECT_SERVER_API_AUTH_STRING")
    return wait_for(lambda: find_ended(served, secret), seconds)


def find_ended(served: Served, secret: str | None = None) -> Any:
    """Return the newest run that a person asked for, if it has ended."""
    from base64 import b64encode

    headers = {"Authorization": f"Basic {b64encode(secret.encode()).decode()}"} if secret else {}
    newest = {"sort": "EXPECTED_START_TIME_DESC"}
    runs = ask(f"{served.api}/flow_runs/filter", newest, **headers)
    mine = [run for run in runs if not run["auto_scheduled"]]
    return mine[0] if mine and mine[0]["state_type"] in ENDED else None

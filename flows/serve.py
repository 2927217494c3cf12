"""Everything up on this machine: server, work pool, deployments, automations, worker, reports.

make serve          (Ctrl-C stops the worker first, then the server)
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from types import FrameType

from prefect.settings import get_current_settings

POOL = "seqmodel"
HOST = "127.0.0.1"
#: Time the server may take to answer: its first start migrates the database (seconds).
START_SECONDS = 300.0
STOP_SECONDS = 20.0
PREFECT = [sys.executable, "-m", "prefect"]
LEFTOVERS = [sys.executable, "-m", "flows.leftovers"]
#: Server, reports, worker.
PARTS = 3
#: Between two heartbeats of a run (seconds): four of them missed, and the run is taken for dead.
HEARTBEAT = "30"


def main() -> int:
    """Start everything, wait until it is told to stop or a part ends by itself.

    Returns:
        0 when told to stop, 1 when a part ended by itself.
    """
    api = get_current_settings().server.api
    address = f"http://{HOST}:{api.port}"
    environment = plan_environment(address)
    port = str(api.port)
    if _answers(f"{address}/api/health"):
        _say(f"found a server at {address} already, needed the port free; stop it first")
        return 1
    # A shell starts what runs in its background with Ctrl-C ignored, and the parts inherit that.
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    parts: list[subprocess.Popen[bytes]] = []
    try:
        server = ["server", "start", "--host", HOST, "--port", port]
        parts.append(_start([*PREFECT, *server], environment))
        _await_health(f"{address}/api/health", parts[0])
        _run(
            [*PREFECT, "work-pool", "create", POOL, "--type", "process", "--overwrite"], environment
        )
        _run([*PREFECT, "--no-prompt", "deploy", "--all"], environment)
        _run([sys.executable, "-m", "flows.automations"], environment)
        _run(LEFTOVERS, environment)
        parts.append(_start([sys.executable, "-m", "flows.pages"], environment))
        parts.append(_start([*PREFECT, "worker", "start", "--pool", POOL], environment))
        _say(f"the UI is at {address}/v2")
        _say(f"to use it from another terminal: export PREFECT_API_URL={address}/api")
        _say("start a run: prefect deployment run nightly/nightly")
        _say("the last forecast, its scores, its picture: there click Runs, a run, Artifacts")
        while parts[0].poll() is None and parts[-1].poll() is None:
            time.sleep(0.5)
        _say("found the server or the worker ended by itself, needed both; see the lines above")
    except KeyboardInterrupt:
        return 0
    except (subprocess.CalledProcessError, TimeoutError) as error:
        _say(str(error))
    finally:
        if len(parts) == PARTS:
            _stop(parts.pop())
            # With the worker its runs have ended; the server has still to be told.
            with suppress(subprocess.TimeoutExpired):  # the server must be stopped all the same
                subprocess.run(LEFTOVERS, env=environment, check=False, timeout=STOP_SECONDS)  # noqa: S603 - our own words  # nosec B603
        for part in reversed(parts):
            _stop(part)
    return 1


def plan_environment(address: str) -> dict[str, str]:
    """Return the environment of all parts; what the caller's says goes before.

    Args:
        address: of the server.
    """
    own = {
        # Links of the command line open the page that people see.
        "PREFECT_UI_URL": f"{address}/v2",
        # No page of another site may ask this server.
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": address,
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": HEARTBEAT,
        # Runs of more than 90 days ago leave the server's database; by default it grows for ever.
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    }
    api = get_current_settings().server.api
    pages = os.environ.get("SEQMODEL_REPORTS_PORT") or str(_find_port(api.port + 1))
    own |= {"SEQMODEL_REPORTS_PORT": pages, "SEQMODEL_REPORTS_URL": f"http://{HOST}:{pages}"}
    if api.auth_string:
        # The one secret guards the server, and opens it to its own worker.
        own["PREFECT_API_AUTH_STRING"] = api.auth_string.get_secret_value()
    return {**own, **os.environ, "PREFECT_API_URL": f"{address}/api"}


def _find_port(wanted: int) -> int:
    """Return the port wanted, another free one where it is taken."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("found no free port, needed one for the reports; set SEQMODEL_REPORTS_PORT")


def _start(words: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    # In a group of its own: Ctrl-C reaches this process only, which stops the parts in order.
    return subprocess.Popen(words, env=environment, start_new_session=True)  # noqa: S603 - our own words  # nosec B603


def _run(words: list[str], environment: dict[str, str]) -> None:
    subprocess.run(words, env=environment, check=True, stdin=subprocess.DEVNULL)  # noqa: S603 - our own words  # nosec B603


def _stop(part: subprocess.Popen[bytes]) -> None:
    if part.poll() is None:
        part.send_signal(signal.SIGINT)
        try:
            part.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(part.pid, signal.SIGKILL)
            part.wait()


def _await_health(url: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        if _answers(url):
            return
        time.sleep(0.5)
    raise TimeoutError(
        f"found no answer at {url} after {START_SECONDS:.0f} s, needed the server up; look at the"
        " lines above"
    )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - loopback, http  # nosec B310
            return bool(answer.status == 200)  # noqa: PLR2004 - OK
    except (urllib.error.URLError, OSError):
        return False


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(line: str) -> None:
    sys.stdout.write(f"seqmodel: {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

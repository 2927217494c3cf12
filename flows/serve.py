"""Everything up on this machine: server, work pool, deployments, worker.

make serve          (Ctrl-C stops the worker first, then the server)
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from types import FrameType

from prefect.settings import get_current_settings

POOL = "seqmodel"
HOST = "127.0.0.1"
#: Time the server may take to answer: its first start migrates the database (seconds).
START_SECONDS = 180.0
STOP_SECONDS = 20.0
PREFECT = [sys.executable, "-m", "prefect"]


def main() -> int:
    """Start everything, wait until it is told to stop or a part ends by itself.

    Returns:
        0 when told to stop, 1 when the server or the worker ended by itself.
    """
    port = get_current_settings().server.api.port
    address = f"http://{HOST}:{port}"
    environment = {
        **os.environ,
        "PREFECT_API_URL": f"{address}/api",
        # Links of the command line open the page that people see.
        "PREFECT_UI_URL": f"{address}/v2",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": address,
    }
    if _answers(f"{address}/api/health"):
        _say(f"found a server at {address} already, needed the port free; stop it first")
        return 1
    # A shell starts what runs in its background with Ctrl-C ignored, and the parts inherit that.
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    parts: list[subprocess.Popen[bytes]] = []
    try:
        parts.append(_start(["server", "start", "--host", HOST, "--port", str(port)], environment))
        _await_health(f"{address}/api/health", parts[0])
        _run(["work-pool", "create", POOL, "--type", "process", "--overwrite"], environment)
        _run(["--no-prompt", "deploy", "--all"], environment)
        parts.append(_start(["worker", "start", "--pool", POOL], environment))
        _say(f"the UI is at {address}/v2")
        _say(f"to use it from another terminal: export PREFECT_API_URL={address}/api")
        _say("start a run: prefect deployment run nightly/nightly")
        while all(part.poll() is None for part in parts):
            time.sleep(0.5)
        _say("found the server or the worker ended by itself, needed both; see the lines above")
    except KeyboardInterrupt:
        return 0
    except (subprocess.CalledProcessError, TimeoutError) as error:
        _say(str(error))
    finally:
        for part in reversed(parts):
            _stop(part)
    return 1


def _start(words: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    # In a group of its own: Ctrl-C reaches this process only, which stops the parts in order.
    return subprocess.Popen([*PREFECT, *words], env=environment, start_new_session=True)  # noqa: S603 - our own words


def _run(words: list[str], environment: dict[str, str]) -> None:
    subprocess.run([*PREFECT, *words], env=environment, check=True, stdin=subprocess.DEVNULL)  # noqa: S603 - our own words


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
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - loopback, http
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

"""The reports over HTTP: reports and nothing else, and only with the secret where there is one."""

import threading
import urllib.error
import urllib.request
from http.server import ThreadingHTTPServer

import pytest

from flows.pages import Pages


@pytest.fixture
def address(data_root, monkeypatch):
    """A server of its own over a data root with one report and things that are none."""
    for key in ("demand/reports/20240101T000000Z-1a2b/report.html", "demand/champion.json"):
        path = data_root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("<p>a report")
    (data_root.parent / "secret.html").write_text("not for you")
    monkeypatch.setattr(Pages, "secret", None)
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def get(url, **headers):
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - loopback, http
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, ""


def test_a_report_comes_with_rules_that_let_nothing_out(address):
    status, headers, body = get(f"{address}/demand/reports/20240101T000000Z-1a2b/report.html")
    assert (status, body) == (200, "<p>a report")
    assert "default-src 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/demand/champion.json",
        "/demand/reports/",
        "/demand/reports/20990101T000000Z-1a2b/report.html",
        "/../secret.html",
        "/demand/reports/../../../secret.html",
        "/%2e%2e/secret.html",
        "/demand/reports/20240101T000000Z-1a2b/night.json",
    ],
)
def test_nothing_else_is_served(address, path):
    assert get(address + path)[0] == 404


def test_the_secret_of_the_server_guards_the_reports_too(address, monkeypatch):
    monkeypatch.setattr(Pages, "secret", "admin:hush")
    url = f"{address}/demand/reports/20240101T000000Z-1a2b/report.html"
    assert get(url)[0] == 401
    assert get(url, Authorization="Basic YWRtaW46d3Jvbmc=")[0] == 401
    assert get(url, Authorization="Basic YWRtaW46aHVzaA==")[0] == 200

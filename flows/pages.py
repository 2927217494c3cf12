"""The reports of all runs over HTTP, so that the UI can link to them; nothing else is served.

python -m flows.pages        (127.0.0.1, one port above the server's)
"""

from __future__ import annotations

import hmac
import os
import re
import sys
from base64 import b64encode
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar, final

from prefect.settings import get_current_settings

from seqmodel.store.store import Store

#: Others are let in only where the environment says so, as in a container.
HOST = "127.0.0.1"
#: The one kind of page there is: /<pipeline>/reports/<run>/report.html
PAGE = re.compile(r"/([a-z0-9][a-z0-9-]{0,62}/reports/[A-Za-z0-9][A-Za-z0-9-]*/report\.html)")
#: A report needs its own styles and nothing from anywhere.
RULES = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"


@final
class Pages(BaseHTTPRequestHandler):
    """Answers with a report, or with 404."""

    #: `user:password` of the server, where it has one; it opens the reports too.
    secret: ClassVar[str | None] = None

    def do_GET(self) -> None:
        """Answer with the page that the path names."""
        if not self._may_enter():
            self.send_response(HTTPStatus.UNAUTHORIZED)
            self.send_header("WWW-Authenticate", 'Basic realm="seqmodel"')
            self.end_headers()
            return
        known = PAGE.fullmatch(self.path.partition("?")[0])
        path = Store.from_environment().path(known[1]) if known else None
        if path is None or not path.is_file():
            self.send_error(HTTPStatus.NOT_FOUND, "found no such report")
            return
        body = path.read_bytes()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", RULES)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")  # a report can be drawn again
        self.end_headers()
        self.wfile.write(body)

    def _may_enter(self) -> bool:
        if self.secret is None:
            return True
        wanted = b"Basic " + b64encode(self.secret.encode())
        given = self.headers.get("Authorization", "").encode("utf-8", "replace")
        return hmac.compare_digest(given, wanted)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing: the server's log is enough."""


def main() -> int:
    """Serve until told to stop."""
    api = get_current_settings().server.api
    secret = api.auth_string.get_secret_value() if api.auth_string else None
    Pages.secret = secret
    port = int(os.environ.get("SEQMODEL_REPORTS_PORT") or api.port + 1)
    host = os.environ.get("SEQMODEL_REPORTS_HOST") or HOST
    with ThreadingHTTPServer((host, port), Pages) as server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())

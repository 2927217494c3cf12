"""A real browser before a real `make serve`: Debian's chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.serving import Served, serving

SCREENSHOTS = Path(__file__).parent / "screenshots"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
#: The one thing outside that Prefect's own pages ask for, on every load, whatever the settings.
KNOWN_OUTSIDE = "amplitude.com"
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


class Seen(NamedTuple):
    """A page, and what it asked for and complained about.

    Attributes:
        page: of Playwright.
        outside: hosts beyond this machine that were asked for; each was blocked.
        errors: of its console.
    """

    page: Any
    outside: list[str]
    errors: list[str]

    def keep(self, name: str) -> None:
        """Keep a screenshot."""
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


@pytest.fixture(scope="session")
def served(tmp_path_factory) -> Iterator[Served]:
    """Everything up, over an empty data root."""
    with serving(tmp_path_factory.mktemp("ui")) as found:
        yield found


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, or a clear line why not."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="found no playwright, needed it; make test-ui installs it"
    )
    if CHROMIUM is None:
        pytest.skip("found no chromium, needed one; apt-get install chromium")
    with sync_api.sync_playwright() as driver:
        # Root has no sandbox; nothing from outside is ever loaded.
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def look(browser) -> Iterator[Callable[..., Seen]]:
    """Open pages of a width and a colour scheme; whatever they ask of the world is blocked."""
    opened = []

    def begin(size: dict[str, int] = DESK, scheme: str = "light") -> Seen:
        context = browser.new_context(viewport=size, color_scheme=scheme)
        opened.append(context)
        seen = Seen(context.new_page(), [], [])

        def route(asked: Any) -> None:
            parts = urlsplit(asked.request.url)
            if parts.scheme in {"data", "blob", "file"} or parts.hostname == "127.0.0.1":
                asked.continue_()
            else:
                seen.outside.append(parts.hostname or asked.request.url)
                asked.abort()

        context.route("**/*", route)
        seen.page.on("console", lambda m: seen.errors.append(m.text) if m.type == "error" else None)
        seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
        seen.page.set_default_timeout(90_000)
        return seen

    yield begin
    for context in opened:
        context.close()

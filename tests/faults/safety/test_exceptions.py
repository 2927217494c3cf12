"""Security rules are switched off nowhere without a reason, and servers stay on this machine."""

from __future__ import annotations

import io
import re
import tokenize

import pytest

from flows import serve
from tests.conftest import ROOT
from tests.faults.safety.sources import ROOMS

SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
EXCEPTION = re.compile(r"noqa:[^#]*\bS\d{3}\b|nosec\b")
#: A reason is some words, not a dash.
REASON = re.compile(r" - \w[^#]*[a-z]{3}")


def list_comments(path):
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


@pytest.mark.fault("a security rule switched off")
def test_every_exception_from_a_security_rule_says_why():
    found = [
        (f"{path.relative_to(ROOT)}:{line}", said)
        for path in SOURCES
        for line, said in list_comments(path)
        if EXCEPTION.search(said)
    ]
    assert len(found) > 5, "the exceptions are written in another way now"
    assert not [one for one in found if not REASON.search(one[1])]
    # A rule of bandit is passed over by number: a bare `nosec` would pass over all of them.
    assert not [one for one in found if re.search(r"nosec(?! B\d{3})", one[1])]


@pytest.mark.fault("a security rule switched off")
def test_every_rule_that_holds_nowhere_says_why():
    text = (ROOT / "pyproject.toml").read_text()
    skipped = re.findall(r"^skips = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert len(skipped) == 1
    lines = skipped[0].splitlines()
    assert lines
    assert not [line for line in lines if not re.fullmatch(r'    "B\d{3}", # \w.{20,}', line)]


@pytest.mark.fault("a server open to the network")
def test_no_server_listens_beyond_loopback():
    others = [ROOT / name for name in ("Makefile", "prefect.yaml", "pyproject.toml")]
    for path in [*SOURCES, *others]:
        assert "0.0.0.0" not in path.read_text(), path  # noqa: S104 - what is looked for
    assert serve.HOST == "127.0.0.1"

"""What a run shows in Prefect's UI: stable keys, one page that has all, nothing that fails it."""

import logging
import re

import pytest
from httpx import ConnectError

from seqmodel.reporting.night import Night, StepRecord
from tasks import showing
from tests.seqmodel.reporting.test_html import AS_OF, build_night

KEY = "p/reports/r/report.html"
ALL = ("forecast", "verdict", "decision", "pictures", "scores", "test", "live", "drift", "ledger")
MAKERS = ("create_markdown_artifact", "create_table_artifact", "create_link_artifact")


@pytest.fixture
def shown(monkeypatch) -> dict[str, dict]:
    """Artifacts by key, as the server gets them."""
    found: dict[str, dict] = {}
    for maker in MAKERS:
        monkeypatch.setattr(showing, maker, lambda key, **rest: found.update({key: rest}))
    monkeypatch.setattr(showing, "get_run_logger", lambda: logging.getLogger("seqmodel"))
    monkeypatch.delenv(showing.REPORTS_VARIABLE, raising=False)
    return found


def test_each_artifact_has_the_same_key_every_night_and_a_description(shown):
    night = build_night(pipeline="p")
    showing.show_night(night, KEY)
    assert set(shown) == {f"p-{name}" for name in ALL}
    assert all(one["description"] for one in shown.values())


def test_one_artifact_has_verdict_scores_pictures_and_places(shown):
    night = build_night(pipeline="p")
    showing.show_night(night, KEY)
    page = shown["p-forecast"]["markdown"]
    assert page.startswith(f"# {night.verdict}")
    assert page.count("](data:image/png;base64,") == len(night.forecast_fans)
    assert "| metric | challenger | champion | baseline |" in page
    assert all(f"`{path}`" in page for path in night.places.values())
    assert len(page) < 250_000


def test_a_server_that_does_not_answer_is_asked_once(shown, monkeypatch):
    asked = []

    def wait_in_vain(key, **_):
        asked.append(key)
        raise ConnectError("All connection attempts failed")

    for maker in MAKERS:
        monkeypatch.setattr(showing, maker, wait_in_vain)
    showing.show_night(build_night(pipeline="p"), KEY)
    assert asked == ["p-forecast"]
    assert not shown


def test_its_card_has_the_gist_verdict_scores_and_one_picture(shown, monkeypatch):
    monkeypatch.setenv(showing.REPORTS_VARIABLE, "http://127.0.0.1:4201")
    night = build_night(pipeline="p")
    showing.show_night(night, KEY)
    card = shown["p-forecast"]["description"]
    assert card.startswith(night.verdict)
    assert card.count("](data:image/png;base64,") == 1
    assert re.search(r"\n\nMASE [\d.]+, baseline [\d.]+\n\n", card)
    assert card.endswith(f"[Open the whole report](http://127.0.0.1:4201/{KEY})")
    assert len(card) < 60_000


def test_the_report_is_linked_where_somebody_serves_it(shown, monkeypatch):
    monkeypatch.setenv(showing.REPORTS_VARIABLE, "http://127.0.0.1:4201/")
    showing.show_night(build_night(pipeline="p"), KEY)
    assert shown["p-report"]["link"] == f"http://127.0.0.1:4201/{KEY}"
    assert f"(http://127.0.0.1:4201/{KEY})" in shown["p-forecast"]["markdown"]


def test_rules_taken_from_the_cache_are_shown_by_the_run_that_took_them(shown):
    for outcome, there in (("ran", False), ("from cache", True)):
        step = StepRecord(step="validate", seconds=0, outcome=outcome)
        showing.show_night(build_night(pipeline="p", steps=(step,)), KEY)
        assert ("p-quality" in shown) is there


def test_a_night_without_anything_shows_its_verdict(shown):
    night = Night(pipeline="p", run="r", as_of=AS_OF, verdict="Nothing ran.", tone="warn")
    showing.show_night(night, KEY)
    assert set(shown) == {"p-forecast", "p-verdict"}


@pytest.mark.parametrize("broken", [*MAKERS, "list_pictures", "list_fans"])
def test_one_that_fails_is_said_and_fails_neither_the_others_nor_the_run(
    shown, monkeypatch, caplog, broken
):
    def fail(*_, **__):
        raise RuntimeError("no picture tonight")

    monkeypatch.setattr(showing, broken, fail)
    monkeypatch.setenv(showing.REPORTS_VARIABLE, "http://127.0.0.1:4201")
    showing.show_night(build_night(pipeline="p"), KEY)
    assert "is not shown: no picture tonight" in caplog.text
    assert shown

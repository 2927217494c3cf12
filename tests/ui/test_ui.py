"""What a person meets: the form, the run, its artifacts, three clicks to the forecast, the report.

Each test begins where a person does, at an address that `make serve` prints.
"""

import re

import pytest

from tests.serving import ask, find_ended, wait_for
from tests.ui.conftest import DESK, KNOWN_OUTSIDE, PHONE

pytestmark = [pytest.mark.ui, pytest.mark.timeout(900)]

PIPELINE = "departures"
EPOCHS = "2"  # the deployment says 16
NAME = f"{PIPELINE} nightly 2013-12-01 00:00"


def find_deployment(served):
    (one,) = (d for d in ask(f"{served.api}/deployments/filter") if d["name"] == "nightly")
    return f"{served.address}/v2/deployments/deployment/{one['id']}"


@pytest.fixture(scope="session")
def night(served, browser):
    """A night that was begun in the form of its deployment, with another number of epochs."""
    page = browser.new_page(viewport=DESK)
    page.set_default_timeout(90_000)
    page.goto(find_deployment(served))
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Custom run").click()
    epochs = page.get_by_label("Epochs (Optional)", exact=True)
    epochs.scroll_into_view_if_needed()
    assert epochs.input_value() == "16"
    epochs.fill(EPOCHS)
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url(re.compile(r"/runs/|/deployments/deployment/[^/]+(\?|$)"))
    page.close()
    run = wait_for(lambda: find_ended(served), 400)
    assert run["state_type"] == "COMPLETED", served.read_log()[-3000:]
    return run


def test_the_form_describes_its_knobs_with_units_and_keeps_their_bounds(served, look):
    seen = look()
    page = seen.page
    page.goto(f"{find_deployment(served)}/run")
    epochs = page.get_by_label("Epochs (Optional)", exact=True)
    epochs.scroll_into_view_if_needed()
    assert page.get_by_text("passes at most (epochs)").is_visible()
    assert page.get_by_text("(hours); a later one is about the time it began").count() == 1
    epochs.fill("0")
    page.get_by_role("button", name="Submit").click()
    wait_for(
        lambda: epochs.evaluate("one => !one.validity.valid && one === document.activeElement"), 20
    )
    assert "greater than or equal to 1" in epochs.evaluate("one => one.validationMessage")
    seen.keep("form-refused")


def test_a_night_begun_in_the_form_has_the_changed_knob_and_a_name_that_says_when(night):
    assert night["parameters"]["spec"]["train"]["epochs"] == int(EPOCHS)
    assert night["name"] == NAME


def test_its_page_shows_the_graph_and_every_step(served, night, look):
    seen = look()
    page = seen.page
    page.goto(f"{served.address}/v2/runs/flow-run/{night['id']}")
    page.get_by_role("heading", name=NAME).or_(page.get_by_text(NAME)).first.wait_for()
    page.locator("canvas").first.wait_for()
    page.get_by_role("tab", name="Task Runs").click()
    for step in ("ingest", "validate", "train", "backtest", "promote", "forecast", "report"):
        page.get_by_text(re.compile(rf"^{step}(-\w+)?$")).first.wait_for()
    seen.keep("run")


@pytest.mark.usefixtures("night")
def test_the_forecast_its_scores_and_its_picture_are_three_clicks_away(served, look):
    seen = look()
    page = seen.page
    page.goto(re.search(r"the UI is at (\S+)", served.read_log())[1])
    page.get_by_role("link", name="Runs", exact=True).click()
    page.get_by_role("link", name=NAME).click()
    page.get_by_role("tab", name="Artifacts").click()
    card = page.get_by_role("link").filter(has_text=f"{PIPELINE}-forecast")
    card.get_by_text("series forecast from 2013-11-30 23:00 UTC").wait_for()
    assert card.get_by_text(re.compile(r"^MASE [\d.]+, baseline [\d.]+$")).count() == 1
    see_pictures(card, 1)
    seen.keep("three-clicks")


@pytest.mark.usefixtures("night")
def test_one_page_has_all_of_the_forecast_and_links_to_the_report(served, look):
    seen = look()
    page = seen.page
    found = {a["key"]: a["id"] for a in ask(f"{served.api}/artifacts/filter")}
    page.goto(f"{served.address}/v2/artifacts/artifact/{found[f'{PIPELINE}-forecast']}")
    shown = page.get_by_test_id("markdown-display")
    shown.get_by_role("heading", name="Forecast", exact=True).wait_for()
    seen.keep("forecast")
    shown.get_by_text("MASE", exact=True).first.wait_for()
    see_pictures(shown, 3)
    link = shown.get_by_role("link", name="Open the whole report")
    assert link.get_attribute("href").startswith("http://127.0.0.1:")


def see_pictures(place, count):
    """Pictures are drawn, not only named, and say in words what they show."""
    pictures = place.get_by_role("img")
    pictures.first.wait_for()
    assert pictures.count() == count
    for picture in pictures.all():
        wait_for(lambda one=picture: one.evaluate("one => one.naturalWidth > 0"), 20)
        assert picture.get_attribute("alt")


@pytest.mark.usefixtures("night")
@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("quality", "table-display"),
        ("ledger", "table-display"),
        ("scores", "table-display"),
        ("decision", "markdown-display"),
        ("pictures", "markdown-display"),
        ("training", "progress-display"),
    ],
)
def test_each_artifact_shows_its_content(served, look, key, kind):
    found = {a["key"]: a["id"] for a in ask(f"{served.api}/artifacts/filter")}
    seen = look()
    seen.page.goto(f"{served.address}/v2/artifacts/artifact/{found[f'{PIPELINE}-{key}']}")
    seen.page.get_by_test_id(kind).first.wait_for()
    seen.keep(f"artifact-{key}")


def test_the_automations_and_schedules_are_listed(served, look):
    seen = look()
    seen.page.goto(f"{served.address}/v2/automations")
    seen.page.get_by_text("seqmodel: no success for 26 hours").first.wait_for()
    seen.keep("automations")
    seen.page.goto(f"{served.address}/v2/deployments")
    seen.page.get_by_text("At 04:30 AM").first.wait_for()
    seen.keep("deployments")


@pytest.mark.usefixtures("night")
def test_the_ui_asks_nothing_of_the_world_but_one_known_host_and_works_without(served, look):
    seen = look()
    places = ("dashboard", "runs", "deployments", "artifacts", "automations", "events")
    for place in places:
        seen.page.goto(f"{served.address}/v2/{place}")
        seen.page.get_by_role("link", name="Deployments").first.wait_for()
        seen.page.wait_for_timeout(1500)
    others = {host for host in seen.outside if not host.endswith(KNOWN_OUTSIDE)}
    assert not others
    assert seen.outside, "Prefect's pages no longer call anybody: say so in the README"


@pytest.mark.usefixtures("night")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_report_renders_without_errors_or_requests(served, look, size, scheme, request):
    found = {a["key"]: a for a in ask(f"{served.api}/artifacts/filter")}
    link = found[f"{PIPELINE}-report"]["data"].partition("(")[2].rstrip(")")
    seen = look(size, scheme)
    asked = []
    seen.page.on("request", lambda one: asked.append(one.url))
    seen.page.goto(link)
    assert seen.page.locator(".verdict").is_visible()
    assert [url for url in asked if not url.startswith("data:")] == [link]
    assert (seen.errors, seen.outside) == ([], [])
    wide = seen.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, "nothing is wider than the screen"
    assert seen.page.evaluate(CONTRAST) == []
    seen.keep(f"report-{request.node.callspec.id}")


#: Texts whose contrast to what is behind them is below 4.5, by the formula of WCAG 2.
CONTRAST = """() => {
  const parts = c => c.match(/[\\d.]+/g).map(Number);
  const light = c => parts(c).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = e => { for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor;
    if (!(parts(c)[3] === 0)) return c; } return 'rgb(255, 255, 255)'; };
  const bad = [];
  for (const e of document.querySelectorAll('p, h1, h2, h3, th, td, small, caption, figcaption,'
      + ' dt, dd, li, code, summary, .tone, pre')) {
    if (!e.textContent.trim() || !e.offsetParent) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push(e.tagName + ': ' + e.textContent.trim().slice(0, 40) + ' ' + ratio);
  }
  return bad; }"""

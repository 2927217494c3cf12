"""Facts about the self-contained HTML report."""

import itertools
import math
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from seqmodel.reporting.html import render_html
from seqmodel.reporting.night import (
    Compared,
    Drifted,
    Fan,
    FileLedger,
    LiveNight,
    Night,
    Promise,
    StepRecord,
)
from seqmodel.store.comparisons import GroupLoss
from seqmodel.store.ledgers import Ledger
from seqmodel.table.quality import ExampleRow, RuleResult, Verdict

AS_OF = datetime(2013, 12, 5, tzinfo=UTC)
HOSTILE = '<script>alert("x")</script>'
VOID = {"meta", "link", "br", "hr", "img", "path", "use"}


class Page(HTMLParser):
    """Every element with its attributes, and the text of each heading."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.headings, self.open, self.texts = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch(r"h\d", tag):
            self.headings.append([tag, ""])

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if self.open and re.fullmatch(r"h\d", self.open[-1]):
            self.headings[-1][1] += data

    def find(self, *tags):
        return [attrs for tag, attrs in self.elements if tag in tags]

    @property
    def text(self):
        return " ".join("".join(self.texts).split())


def build_fan(series, label, *, actual=True):
    at = [AS_OF - timedelta(hours=96 - i) for i in range(120)]
    wave = [20 + 10 * math.sin(i / 24 * math.tau) + len(series) % 3 for i in range(24)]
    return Fan(
        series_id=series, label=label, score=0.61 if actual else None, history_at=at[:96],
        history=[*wave, *wave, *wave, *wave[:23], None], forecast_at=at[96:],
        quantiles={q: [v + 8 * (float(q) - 0.5) for v in wave] for q in ("0.1", "0.5", "0.9")},
        actual=[v + math.cos(i * 5) * 3 for i, v in enumerate(wave)] if actual else (),
        baseline=[v * 0.9 for v in wave] if actual else (),
    )  # fmt: skip


def build_rules():
    return Verdict(
        table="20131205",
        rules=(
            RuleResult(rule="no_nulls", says="No target is null.", severity="critical",
                       outcome="passed", found="0 of 17,950 rows"),
            RuleResult(rule="fresh", says="Each series ends at most 48 h before as_of.",
                       severity="warning", outcome="failed", found="2 series are stale",
                       bad=2, total=60, examples=(HOSTILE, "EWR UA")),
            RuleResult(rule="flat", says="No series is constant.", severity="info",
                       outcome="not evaluated", found="the rule could not be computed"),
        ),
    )  # fmt: skip


def build_night(**changes):
    """A night on which a challenger was promoted."""
    row = {
        "series_id": HOSTILE, "cutoff": AS_OF, "timestamp": AS_OF + timedelta(hours=1), "step": 1,
        "q0.1": 1.2, "q0.5": 2.5, "q0.9": 4.25, "model_version": "20131205T000000Z-1a2b3c4d",
    }  # fmt: skip
    night = {
        "pipeline": "departures",
        "run": "as_of=20131205T000000Z",
        "as_of": AS_OF,
        "verdict": "A better model was promoted, and 60 series are forecast for the next 24 hours.",
        "tone": "good",
        "ledger": Ledger(read=18000, kept=17950, quarantined=30, duplicates=12, after_as_of=8),
        "files": [
            FileLedger(file="departures-2013-11.parquet", ledger=Ledger(
                read=16000, kept=15965, quarantined=25, duplicates=10, after_as_of=0)),
            FileLedger(file="departures-2013-12.parquet", ledger=Ledger(
                read=2000, kept=1985, quarantined=5, duplicates=2, after_as_of=8)),
        ],
        "quality": build_rules(),
        "scores": {
            "challenger": {"mase": 0.7353, "mae": 3.21, "rmse": 5.02, "smape": 18.3, "wql": 0.112,
                           "coverage_80": 0.803},
            "champion": {"mase": 0.7812, "mae": 3.44, "rmse": 5.31, "smape": 19.2, "wql": 0.121,
                         "coverage_80": 0.741},
            "baseline": {"mase": 1.012, "mae": 4.45, "rmse": 4.9, "smape": 24.6, "wql": 0.171,
                         "coverage_80": 0.846},
        },
        "labels": {"challenger": "gru 20131205T000000Z-1a2b3c4d",
                   "champion": "gru 20131128T000000Z-99aa88bb",
                   "baseline": "seasonal naive, 168 h"},
        "by_step": {
            name: [base + 1.2 * (1 - math.exp(-i / 6)) + 0.2 * math.sin(i) for i in range(24)]
            for name, base in (("challenger", 2.3), ("champion", 2.6), ("baseline", 3.6))
        },
        "compared": [
            Compared(rival="champion", test="diebold_mariano", difference=-0.046, chance=0.012,
                     pairs=14, over="cutoffs", windows=840, groups=(
                         GroupLoss(group="small", series=20, loss=0.71, other=0.75, chance=0.9),)),
            Compared(rival="baseline", test="diebold_mariano", difference=None, chance=None,
                     pairs=1, over="windows", windows=1),
        ],
        "nominal": 0.8,
        "live": [
            LiveNight(cutoff=AS_OF - timedelta(days=9 - i), version="v1" if i < 5 else "v2",
                      skill=None if i == 2 else 0.2 + 0.02 * math.sin(i), coverage=0.75 + 0.01 * i,
                      share=1)
            for i in range(9)
        ],
        "live_metric": "mase",
        "promises": [Promise(metric="mase", live=0.741, baseline=0.998, promised=None),
                     Promise(metric="coverage", live=0.79, baseline=0.85, promised=0.81)],
        "drift": [Drifted(column="target", rows=5760, psi=0.04, ks=0.05, unseen=None, drifted=""),
                  Drifted(column=HOSTILE, rows=90, psi=0.61, ks=0.41, unseen=0.2,
                          drifted="PSI 0.61, KS 0.41")],
        "consequence": "roll_back",
        "decision": "MASE is 5.9 % lower than the champion's; at least 1 % was needed.",
        "promoted": True,
        "cutoffs": [AS_OF - timedelta(days=i) for i in (3, 2, 1)],
        "history": [(0.9 * 0.8**i + 0.2, 0.8 * 0.8**i + 0.25 + 0.002 * i * i) for i in range(12)],
        "best_epoch": 8,
        "backtest_fans": [build_fan("JFK B6", "best"), build_fan("EWR UAL", "median"),
                          build_fan(HOSTILE, "worst")],
        "forecast_fans": [build_fan("JFK B6", "largest", actual=False),
                          build_fan("LGA DL0", "median", actual=False)],
        "forecast_head": [row, {**row, "step": 2, "timestamp": AS_OF + timedelta(hours=2)}],
        "steps": [
            StepRecord(step="ingest", seconds=1.9, outcome="from cache"),
            StepRecord(step="validate", seconds=3.2, outcome="ran"),
            StepRecord(step="train", seconds=41.7, outcome="ran"),
            StepRecord(step="monitor", seconds=0.04, outcome="failed"),
        ],
        "places": {"forecast": "/srv/data/departures/forecasts/cutoff=20131205T000000Z",
                   "report": "/srv/data/departures/reports/as_of=20131205T000000Z/report.html"},
        "notes": ["3 series are too short for a window and get the baseline."],
    }  # fmt: skip
    return Night(**{**night, **changes})


def build_plain(**changes):
    """The same night without pictures, which take time to draw."""
    bare = {"live": (), "backtest_fans": (), "forecast_fans": (), "by_step": {}, "history": ()}
    return build_night(**{**bare, **changes})


def build_minimal():
    return Night(pipeline="p", run="r", as_of=AS_OF, verdict="Nothing ran.", tone="warn")


@pytest.fixture(scope="module")
def text():
    return render_html(build_night())


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_the_page_needs_nothing_from_anywhere(text, page):
    assert "http" not in text
    assert "@import" not in text
    assert not page.find("script", "iframe", "img", "object")
    for attrs in (attrs for _, attrs in page.elements):
        for value in (attrs.get("src"), attrs.get("href")):
            assert value is None or value.startswith(("#", "data:"))
    assert all(u.startswith("#") for u in re.findall(r"url\(([^)]*)\)", text))


def test_every_element_is_closed(page):
    assert page.open == []


def test_whatever_the_data_say_is_escaped(text):
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_every_field_of_a_hostile_night_is_escaped():
    fan = build_fan(HOSTILE, HOSTILE)
    rule = (
        build_rules().rules[0].model_copy(update=dict.fromkeys(("rule", "says", "found"), HOSTILE))
    )
    night = build_night(
        pipeline=HOSTILE, run=HOSTILE, verdict=HOSTILE, decision=HOSTILE, notes=[HOSTILE],
        labels={"challenger": HOSTILE}, by_step={HOSTILE: [1.0]}, places={HOSTILE: HOSTILE},
        scores={HOSTILE: {HOSTILE: 1.0}}, backtest_fans=[fan], forecast_fans=[fan],
        forecast_head=[{HOSTILE: HOSTILE}], quality=Verdict(table=HOSTILE, rules=(rule,)),
        steps=[StepRecord(step=HOSTILE, seconds=1, outcome="ran")],
        files=[FileLedger(file=HOSTILE, ledger=build_night().ledger)],
    )  # fmt: skip
    assert "<script" not in render_html(night)


def test_every_picture_has_words(page):
    pictures = page.find("svg", "img")
    assert len(pictures) == 9
    assert all(attrs.get("aria-label") or attrs.get("alt") for attrs in pictures)


def test_tables_have_captions_and_scopes(page):
    assert len(page.find("caption")) == len(page.find("table")) == 9
    assert all(attrs.get("scope") in {"row", "col"} for attrs in page.find("th"))


def test_headings_come_in_order_and_none_is_empty(page):
    levels = [int(tag[1]) for tag, _ in page.headings]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert all(words.strip() for _, words in page.headings)


def test_ids_are_unique(page):
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_it_suits_phones_and_dark_rooms(text, page):
    assert page.find("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.find(
        "meta"
    )
    assert "prefers-color-scheme: dark" in text


def test_verdict_decision_and_reason_come_before_the_first_table(text):
    words = text[text.index("<body>") : text.index("<table")]
    words = " ".join(re.sub(r"<[^>]*>", "", words).split())
    assert "✓ Good: A better model was promoted" in words
    assert "champion replaced" in words
    assert "MASE is 5.9 % lower than the champion&#39;s" in words


def test_skill_is_shown_for_errors_only_and_worse_is_a_word(text):
    row = text[text.index(">RMSE<") :]
    assert "-2.4 % (worse)" in row[: row.index("</tr>")]
    row = text[text.index(">coverage 80<") :]
    assert "%" not in row[: row.index("</tr>")]


def test_the_ledger_is_a_sum_that_adds_up(page):
    total = "read 18,000 = kept 17,950 + quarantined 30 + duplicates 12 + after as_of 8"
    assert total in page.text
    row = "departures-2013-11.parquet" + "16,000" + "15,965" + "25" + "10" + "0"
    assert row in page.text.replace(" ", "")


def test_a_ledger_that_does_not_add_up_says_so():
    ledger = Ledger(read=10, kept=8, quarantined=0, duplicates=0, after_as_of=0)
    files = [FileLedger(file="a", ledger=ledger)]
    words = Page(render_html(build_plain(ledger=ledger, files=files))).text
    assert "DOES NOT ADD UP, +2 rows" in words
    assert "✗ does not add up" in words


def test_outcomes_are_words_and_what_needs_a_person_comes_first(page):
    words = page.text
    assert "✗ failed" in words
    assert "? not evaluated" in words
    assert "✓ passed" in words
    assert words.index("? not evaluated") < words.index("✓ passed")
    assert "2 of 60 break it" in words


def test_rules_that_passed_are_folded_away_and_counted(text):
    before, folded = text.split("<details><summary>✓ 1 rule passed</summary>")
    assert "✗ failed" in before
    assert "✓ passed" not in before
    assert "✗ failed" not in folded.split("</details>")[0]


def test_many_files_are_folded_away():
    files = [FileLedger(file=f"part-{i}", ledger=build_night().ledger) for i in range(400)]
    assert "400 files" in Page(render_html(build_plain(files=files))).text


def test_the_same_night_gives_the_same_page(text):
    assert render_html(build_night()) == text


def test_a_page_stays_small(text):
    assert len(text) < 400_000


def test_a_minimal_night_has_only_its_first_heading():
    page = Page(render_html(build_minimal()))
    assert [tag for tag, _ in page.headings] == ["h1"]
    assert "! Attention: Nothing ran." in page.text
    assert not page.find("table", "section", "dl", "svg")


@pytest.mark.parametrize(
    ("part", "heading"),
    [
        ("compared", "Paired test"),
        ("promises", "Against the promise"),
        ("drift", "Drift"),
        ("scores", "Scores"),
        ("by_step", "Error by step"),
        ("history", "Training"),
        ("backtest_fans", "Backtest"),
        ("quality", "Rules"),
        ("steps", "Steps"),
        ("places", "Where the files are"),
        ("notes", "Notes"),
    ],
)
def test_a_missing_part_leaves_no_heading(page, part, heading):
    empty = Night.model_fields[part].default
    without = [words for _, words in Page(render_html(build_night(**{part: empty}))).headings]
    assert heading not in without
    assert without == [words for _, words in page.headings if words != heading]


def test_a_refused_night_shows_the_verdict_and_the_rule_that_stopped_it():
    rule = RuleResult(
        rule="target_in_bounds", says="Targets lie between 0 and 100.", severity="critical",
        outcome="failed", found="900 of 1,000 rows", bad=3, total=3, examples=("JFK",),
    )  # fmt: skip
    night = Night(
        pipeline="p", run="r", as_of=AS_OF, verdict="Refused: the targets are out of bounds.",
        tone="bad", ledger=build_night().ledger, quality=Verdict(table="t", rules=(rule,)),
    )  # fmt: skip
    page = Page(render_html(night))
    assert [words for _, words in page.headings[1:]] == ["Data quality", "Ledger of rows", "Rules"]
    assert "✗ Problem: Refused: the targets are out of bounds." in page.text
    assert "1 critical not passed" in page.text


def test_rows_that_break_a_rule_are_shown_escaped():
    rule = RuleResult(
        rule="r", says="Rows are so.", severity="warning", outcome="failed", found="1 of 2 rows",
        bad=1, total=2,
        rows=(ExampleRow(series_id=HOSTILE, timestamp="2024-01-01T00:00:00Z", value="-7.5"),),
    )  # fmt: skip
    text = render_html(build_night(quality=Verdict(table="t", rules=(rule,))))
    assert HOSTILE not in text
    assert "2024-01-01T00:00:00Z: -7.5" in Page(text).text


def test_a_first_night_without_champion_or_baseline_has_no_skill():
    night = build_plain(scores={"challenger": {"mase": 0.7}}, labels={}, promoted=None)
    words = Page(render_html(night)).text
    assert "against the baseline" not in words
    assert "the percentage is the skill" not in words


def test_a_column_that_drifted_and_what_follows_are_words(page):
    assert "✗ PSI 0.61, KS 0.41" in page.text
    assert "What follows: roll back ." in page.text or "What follows: roll back." in page.text


def test_a_paired_test_says_its_sample_its_groups_and_what_nobody_can_tell(page):
    assert "champion (diebold-mariano)" in page.text
    assert "14 cutoffs of 840 forecasts" in page.text
    assert "small 0.7100 against 0.7500" in page.text
    assert "1 windows of 1 forecasts" in page.text

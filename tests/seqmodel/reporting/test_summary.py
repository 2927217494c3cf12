"""Facts about the summary on the terminal."""

import io
import math
from datetime import UTC, datetime

import pytest
from rich.console import Console

from seqmodel.reporting.night import Night, StepRecord
from seqmodel.reporting.summary import print_summary, render_summary
from seqmodel.reporting.wording import (
    format_figure,
    format_ledger,
    format_moment,
    format_seconds,
    measure_skill,
)
from seqmodel.store.ledgers import Ledger
from seqmodel.table.quality import RuleResult, Verdict

CUTOFF = datetime(2013, 12, 1, 23, tzinfo=UTC)
LONG = "/srv/data/" + "a-folder-with-a-long-name/" * 8 + "report [final].html"


def build_night(**changes):
    head = {
        "series_id": "001",
        "cutoff": CUTOFF,
        "timestamp": CUTOFF.replace(day=2, hour=0),
        "step": 1,
        "q0.1": 1.25,
        "q0.5": 2.5,
        "q0.9": 12345.6,
        "model_version": "20131201T000000Z-1a2b3c4d",
    }
    night = {
        "pipeline": "departures",
        "run": "as_of=20131202T000000Z",
        "as_of": datetime(2013, 12, 2, tzinfo=UTC),
        "verdict": "The challenger is promoted and 3 series are forecast.",
        "tone": "good",
        "ledger": Ledger(read=18000, kept=17950, quarantined=30, duplicates=12, after_as_of=8),
        "scores": {
            "baseline": {"mase": 1.0, "mae": 4.0, "coverage_80": 0.9},
            "challenger": {"mase": 0.735, "mae": 3.0, "coverage_80": 0.79},
            "champion": {"mase": 0.8, "mae": 5.0},
        },
        "labels": {"challenger": "gru 20131201T000000Z-1a2b3c4d", "baseline": "seasonal naive"},
        "decision": "MASE is 8.1 % lower than the champion's.",
        "forecast_head": [head, {**head, "step": 2}],
        "steps": [
            StepRecord(step="ingest", seconds=1.234, outcome="ran"),
            StepRecord(step="train", seconds=20.5, outcome="from cache"),
        ],
        "places": {"forecast": "data/departures/forecasts", "report": LONG},
        "notes": ["One series is new."],
    }
    return Night(**{**night, **changes})


def show(night, width=80):
    file = io.StringIO()
    print_summary(night, Console(file=file, width=width))
    return file.getvalue()


def test_the_verdict_comes_first_with_a_word_for_its_tone():
    assert show(build_night()).splitlines()[0].startswith("✓ Good: The challenger is promoted")


def test_paths_stand_whole_on_one_line_on_a_narrow_terminal():
    assert f"report: {LONG}" in show(build_night(), width=40).splitlines()


def test_without_a_terminal_there_is_no_escape_code():
    assert "\x1b" not in show(build_night())


def test_tables_fit_80_columns_and_cut_nothing():
    lines = show(build_night()).splitlines()
    table = [line for line in lines if LONG not in line]
    assert max(len(line.rstrip()) for line in table) <= 80
    assert not any("…" in line for line in table)


def test_candidates_stand_in_order_with_skill_below_them():
    lines = [line.strip() for line in show(build_night(), width=120).splitlines()]
    names = ("challenger  ", "champion  ", "baseline  ")
    rows = [i for i, line in enumerate(lines) if line.startswith(names)]
    assert [lines[i].split()[0] for i in rows] == ["challenger", "champion", "baseline"]
    assert lines[rows[0] + 1].split() == ["skill", "+26.5", "%", "+25.0", "%"]


def test_each_candidates_label_stands_whole_below_the_scores():
    assert "challenger: gru 20131201T000000Z-1a2b3c4d" in show(build_night(), width=60).splitlines()


def test_a_score_that_a_candidate_lacks_is_said_to_be_absent():
    line = next(x for x in show(build_night(), width=120).splitlines() if "champion  " in x)
    assert line.split()[-1] == "n/a"


def test_the_ledger_is_one_line_that_adds_up():
    expected = "Rows: read 18,000 = kept 17,950 + quarantined 30 + duplicates 12 + after as_of 8"
    assert expected in show(build_night()).splitlines()


def test_a_ledger_that_does_not_add_up_says_so():
    ledger = Ledger(read=10, kept=8, quarantined=0, duplicates=0, after_as_of=0)
    assert "DOES NOT ADD UP, +2 rows" in format_ledger(ledger)


def test_forecast_rows_keep_their_columns_and_ids_stay_strings():
    text = show(build_night())
    head = next(line for line in text.splitlines() if "q0.5" in line)
    assert head.split() == ["series_id", "timestamp", "step", "q0.1", "q0.5", "q0.9"]
    assert "cutoff 2013-12-01 23:00, model_version 20131201T000000Z-1a2b3c4d" in " ".join(
        text.split()
    )
    first = next(line for line in text.splitlines() if line.startswith(" 001"))
    assert first.split() == ["001", "2013-12-02", "00:00", "1", "1.250", "2.500", "12,346"]


def test_a_forecast_head_that_went_through_json_reads_the_same():
    night = build_night()
    assert show(Night.model_validate_json(night.model_dump_json())) == show(night)


def test_many_quantiles_lose_no_digit_on_a_narrow_terminal():
    row = {"series_id": "a", "step": 1, **{f"q0.{i}": 1234570.0 + i for i in range(1, 10)}}
    text = show(build_night(forecast_head=[row]))
    assert all(f"1,234,57{i}" in text for i in range(1, 10))


def test_what_looks_like_markup_is_printed_as_it_is():
    rows = [{"series_id": "[bold]x[/nope]", "[red]q": 1.0}]
    text = show(build_night(forecast_head=rows, verdict="[red]bad[/] :smile:"))
    assert "[bold]x[/nope]" in text
    assert "[red]bad[/] :smile:" in text


def test_a_minimal_night_renders_without_empty_tables():
    night = Night(pipeline="p", run="r", as_of=CUTOFF, verdict="Nothing ran.", tone="warn")
    assert show(night).splitlines() == [
        "! Attention: Nothing ran.",
        "p as of 2013-12-01 23:00 UTC (run r)",
    ]


def test_a_refused_night_names_the_rule_that_stopped_it():
    rule = RuleResult(
        rule="target_in_bounds", says="...", severity="critical", outcome="failed", found="9 rows"
    )
    night = Night(
        pipeline="p", run="r", as_of=CUTOFF, verdict="Refused.", tone="bad",
        quality=Verdict(table="t", rules=(rule,)),
    )  # fmt: skip
    text = show(night)
    assert text.startswith("✗ Problem: Refused.")
    assert "Rule failed: target_in_bounds: 9 rows" in text


def test_the_renderable_is_the_same_twice():
    texts = []
    for _ in range(2):
        console = Console(file=io.StringIO(), width=100)
        console.print(render_summary(build_night()), soft_wrap=True)
        texts.append(console.file.getvalue())
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("candidate", "metric", "skill"),
    [
        ("challenger", "mase", 26.5),
        ("champion", "mae", -25.0),
        ("challenger", "coverage_80", None),
        ("baseline", "mase", None),
        ("nobody", "mase", None),
    ],
)
def test_skill_is_the_share_of_the_baselines_error_saved(candidate, metric, skill):
    assert measure_skill(build_night().scores, candidate, metric) == (
        None if skill is None else pytest.approx(skill)
    )


def test_no_skill_against_a_baseline_without_error():
    assert measure_skill({"a": {"mae": 1.0}, "baseline": {"mae": 0.0}}, "a", "mae") is None
    assert measure_skill({"a": {"mae": 1.0}, "baseline": {"mae": math.nan}}, "a", "mae") is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.73531, "0.7353"),
        (1.2346, "1.235"),
        (12.346, "12.35"),
        (18000.4, "18,000"),
        (18000, "18,000"),
        (0.0, "0.0000"),
        (1e-7, "1.00e-07"),
        (math.nan, "n/a"),
        (None, "n/a"),
        ("late", "late"),
        (True, "True"),
    ],
)
def test_figures_have_the_digits_a_person_reads(value, text):
    assert format_figure(value) == text


def test_moments_are_written_in_utc():
    assert format_moment(CUTOFF) == "2013-12-01 23:00 UTC"
    assert format_moment(CUTOFF.replace(tzinfo=None)) == "2013-12-01 23:00 UTC"
    assert format_moment(datetime.fromisoformat("2013-12-01T23:00:05+01:00")) == (
        "2013-12-01 22:00:05 UTC"
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0.40 s"), (12.34, "12.3 s"), (200.2, "3 min 20 s")]
)
def test_durations_are_written_in_seconds_or_minutes(seconds, text):
    assert format_seconds(seconds) == text

"""The verdict on whole tables, and its sentence."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seqmodel.errors import SourceError, SpecError
from seqmodel.specs import BacktestSpec, PipelineSpec, QualitySpec, SourceSpec, WindowSpec
from tasks import judging
from tasks.expectations import RULES
from tasks.judging import explain, judge

AS_OF = datetime(2024, 1, 3, tzinfo=UTC)
SPEC = PipelineSpec(
    name="demand",
    source=SourceSpec(uri="x"),
    quality=QualitySpec(max_age=2),
    window=WindowSpec(lookback=6, horizon=2),
    backtest=BacktestSpec(cutoffs=2, step=3),
)


def make(series=6, freq="h", start="2024-01-01", periods=48):
    times = pd.date_range(start, periods=periods, freq=freq, tz="UTC", unit="us")
    names = [f"{number:03}" for number in range(series)]
    table = pd.DataFrame(
        {"series_id": np.repeat(names, periods), "timestamp": list(times) * series}
    )
    return table.assign(target=np.arange(float(len(table))))


def write(folder, table):
    schema = pa.schema(
        [
            ("series_id", pa.string()),
            ("timestamp", pa.timestamp("us", tz="UTC")),
            ("target", pa.float64()),
        ]
    )
    arrow = pa.Table.from_pandas(table, schema=schema, preserve_index=False)
    pq.write_table(arrow, folder / "part-00000.parquet")
    return folder


def result_of(verdict, name):
    (result,) = [r for r in verdict.rules if r.rule == name]
    return result


def assert_one_sentence(text):
    assert text.startswith("found ")
    assert ", needed " in text
    assert "; " in text
    assert "\n" not in text
    assert ". " not in text


def broken_inside(_):
    from great_expectations.expectations import ExpectColumnValuesToBeBetween

    class Broken(ExpectColumnValuesToBeBetween):
        def _validate(self, *_, **__):
            raise RuntimeError("the rule itself is broken")

    return [Broken(column="rows", min_value=1)]


def broken_before(_):
    raise RuntimeError("the rule itself is broken")


def broken_column(_):
    from great_expectations.expectations import ExpectColumnValuesToBeBetween

    return [ExpectColumnValuesToBeBetween(column="no_such_column", min_value=1)]


@pytest.mark.parametrize("broken", [broken_inside, broken_before, broken_column])
def test_a_rule_that_raises_is_not_evaluated_and_stops(tmp_path, monkeypatch, broken):
    rule = replace(next(r for r in RULES if r.name == "finite"), name="odd", expects=broken)
    monkeypatch.setattr(judging, "RULES", (*RULES, rule))
    verdict = judge(write(tmp_path, make()), SPEC, AS_OF)
    assert {r.outcome for r in verdict.rules if r.rule != "odd"} == {"passed"}
    odd = result_of(verdict, "odd")
    assert odd.outcome == "not evaluated"
    assert "the rule itself is broken" in odd.found or "no_such_column" in odd.found
    assert [r.rule for r in verdict.stops] == ["odd"]
    assert "rule odd could not be evaluated" in explain(verdict)


def test_a_rule_on_a_whole_column_can_be_added(tmp_path, monkeypatch):
    def mean_below_one(_):
        from great_expectations.expectations import ExpectColumnMeanToBeBetween

        return [ExpectColumnMeanToBeBetween(column="mean", max_value=1)]

    rule = replace(
        next(r for r in RULES if r.name == "varied"),
        name="low",
        expects=mean_below_one,
        finds=lambda bad: f"{len(bad)} series",
    )
    monkeypatch.setattr(judging, "RULES", (*RULES, rule))
    verdict = judge(write(tmp_path, make()), SPEC, AS_OF)
    low = result_of(verdict, "low")
    assert (low.outcome, low.bad, low.found) == ("failed", 6, "6 series")
    assert verdict.stops == ()


def test_an_empty_table_never_passes(tmp_path):
    verdict = judge(write(tmp_path, make().iloc[:0]), SPEC, AS_OF)
    assert verdict.stops[0].rule == "some_series"
    assert result_of(verdict, "some_series").outcome == "failed"
    on_rows = {rule.name for rule in RULES if rule.on == "series"} - {"limits", "level"}
    assert {result_of(verdict, name).outcome for name in on_rows} == {"not evaluated"}
    assert explain(verdict).startswith("found 0 series, needed at least one series; ")


def test_a_table_without_any_target_never_passes(tmp_path):
    verdict = judge(write(tmp_path, make().assign(target=np.nan)), SPEC, AS_OF)
    assert "targets" in {r.rule for r in verdict.stops}


@pytest.mark.parametrize(("late", "stops"), [(2, []), (3, ["fresh"])])
def test_a_stale_table_is_refused(tmp_path, late, stops):
    # The newest step ends at AS_OF: its age is counted from there.
    verdict = judge(write(tmp_path, make()), SPEC, AS_OF + timedelta(hours=late, minutes=59))
    assert [r.rule for r in verdict.stops] == stops
    if stops:
        assert "3 steps old" in explain(verdict)


def test_a_step_that_is_not_over_is_from_the_future(tmp_path):
    verdict = judge(write(tmp_path, make()), SPEC, AS_OF - timedelta(seconds=1))
    assert [r.rule for r in verdict.stops] == ["past"]


def test_as_of_may_be_in_any_zone_but_not_in_none(tmp_path):
    folder = write(tmp_path, make())
    india = AS_OF.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert judge(folder, SPEC, india) == judge(folder, SPEC, AS_OF)
    with pytest.raises(SpecError, match="time zone"):
        judge(folder, SPEC, AS_OF.replace(tzinfo=None))


def test_a_calendar_step_ages_in_steps(tmp_path):
    folder = write(tmp_path, make(freq="MS", start="2020-01-01"))
    spec = SPEC.model_copy(update={"source": SourceSpec(uri="x", freq="MS")})
    assert judge(folder, spec, datetime(2024, 3, 31, tzinfo=UTC)).stops == ()
    late = judge(folder, spec, datetime(2024, 4, 1, tzinfo=UTC))
    assert [r.rule for r in late.stops] == ["fresh"]
    assert "3 steps old" in explain(late)


def test_series_shorter_than_a_window_get_a_sentence_with_all_the_figures(tmp_path):
    table = make().drop(range(10))
    spec = SPEC.model_copy(update={"window": WindowSpec(lookback=100, horizon=20)})
    text = explain(judge(write(tmp_path, table), spec, AS_OF))
    assert_one_sentence(text)
    assert "001, 48 steps long" in text
    assert "143 steps (lookback 100 + horizon 20 + 23 for the backtest)" in text


def test_the_sentence_names_three_series_and_counts_the_rest(tmp_path):
    table = make()
    table.loc[table["timestamp"].dt.hour == 5, "target"] = np.inf
    verdict = judge(write(tmp_path, table), SPEC, AS_OF + timedelta(hours=9))
    text = explain(verdict)
    assert_one_sentence(text)
    assert text == (
        "found 12 targets that are infinite or NaN (000, 001, 002 and 3 more), needed finite"
        " targets or none; correct the data (1 more critical rule did not pass)"
    )
    assert len(verdict.stops[0].examples) == 5


def test_a_sentence_for_every_way_to_fail(tmp_path):
    table = make().iloc[[0, 0, 2]].assign(target=np.inf)
    verdict = judge(write(tmp_path, table), SPEC, AS_OF + timedelta(days=9))
    for result in verdict.stops:
        assert_one_sentence(explain(verdict.model_copy(update={"rules": (result,)})))


def test_a_missing_column_is_named_first_and_leaves_the_rest_open(tmp_path):
    spec = SPEC.model_copy(update={"source": SourceSpec(uri="x", past=("rain",))})
    verdict = judge(write(tmp_path, make()), spec, AS_OF)
    assert explain(verdict).startswith("found nothing in place of double or string (rain)")
    assert {r.outcome for r in verdict.rules if r.rule != "columns"} == {"not evaluated"}


def test_a_warning_does_not_stop(tmp_path):
    verdict = judge(write(tmp_path, make().assign(target=1.0)), SPEC, AS_OF)
    assert verdict.stops == ()
    assert [r.rule for r in verdict.failed] == ["varied"]
    assert "no critical rule broken" in explain(verdict)


def test_a_folder_without_a_table_is_refused(tmp_path):
    with pytest.raises(SourceError, match="ingest"):
        judge(tmp_path, SPEC, AS_OF)


def test_nothing_is_printed_or_logged_and_logging_is_as_before(tmp_path, capfd, caplog):
    logger = logging.getLogger("great_expectations")
    before = (logger.propagate, list(logger.handlers))
    with caplog.at_level(logging.DEBUG):
        judge(write(tmp_path, make()), SPEC, AS_OF)
    assert capfd.readouterr() == ("", "")
    assert not [r for r in caplog.records if r.name.startswith("great_expectations")]
    assert (logger.propagate, list(logger.handlers)) == before


def test_several_threads_judge_at_once(tmp_path):
    folder = write(tmp_path, make())
    late = AS_OF + timedelta(hours=9)
    with ThreadPoolExecutor(4) as pool:
        verdicts = list(pool.map(lambda when: judge(folder, SPEC, when), [AS_OF, late] * 4))
    assert [len(v.stops) for v in verdicts] == [0, 1] * 4


def test_a_verdict_survives_json(tmp_path):
    verdict = judge(write(tmp_path, make()), SPEC, AS_OF)
    assert type(verdict).model_validate_json(verdict.model_dump_json()) == verdict

"""Rules declared in the spec by the names of expectations, on rows and on series."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seqmodel.errors import SpecError
from seqmodel.specs import BacktestSpec, PipelineSpec, QualitySpec, SourceSpec, WindowSpec
from tasks import rowwise
from tasks.judging import explain, judge

AS_OF = datetime(2024, 1, 3, tzinfo=UTC)
BETWEEN = "expect_column_values_to_be_between"


def make_spec(*rules):
    return PipelineSpec(
        name="demand",
        source=SourceSpec(uri="x", past=("rain",)),
        quality=QualitySpec(max_age=2, rules=rules),
        window=WindowSpec(lookback=6, horizon=2),
        backtest=BacktestSpec(cutoffs=2, step=3),
    )


def make(series=3, periods=48):
    times = pd.date_range("2024-01-01", periods=periods, freq="h", tz="UTC", unit="us")
    names = np.repeat([f"{n:03}" for n in range(series)], periods)
    table = pd.DataFrame({"series_id": names, "timestamp": list(times) * series})
    return table.assign(target=np.arange(float(len(table))), rain=0.5)


def write(folder, table, parts=2):
    """Two parts of row groups of ten rows: batches end within series."""
    for number in range(parts):
        cut = slice(number * len(table) // parts, (number + 1) * len(table) // parts)
        arrow = pa.Table.from_pandas(table.iloc[cut], preserve_index=False)
        pq.write_table(arrow, folder / f"part-{number:05d}.parquet", row_group_size=10)
    return folder


def rule(expectation, on="rows", severity="critical", mostly=1.0, **arguments):
    return {
        "expectation": expectation,
        "on": on,
        "severity": severity,
        "mostly": mostly,
        "arguments": arguments,
    }


def judge_by(folder, *rules):
    verdict = judge(folder, make_spec(*rules), AS_OF)
    return verdict, [found for found in verdict.rules if "(quality.rules." in found.rule]


@pytest.mark.parametrize("rows", [7, 48, 10_000])
def test_counts_are_added_over_batches_and_parts(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(rowwise, "ROWS", rows)
    folder = write(tmp_path, make())
    verdict, (found,) = judge_by(folder, rule(BETWEEN, column="target", max_value=136))
    assert (found.outcome, found.bad, found.total) == ("failed", 7, 144)
    assert [(row.series_id, row.timestamp, row.value) for row in found.rows] == [
        ("002", f"2024-01-02T{hour}:00:00Z", f"{value}.0")
        for hour, value in zip(range(17, 22), range(137, 142), strict=True)
    ]
    assert found.examples == ("002",)
    assert found.rule == f"{BETWEEN} (quality.rules.0)"
    assert explain(verdict) == (
        "found 7 of 144 rows that break it (002 and 6 more), needed rows that satisfy"
        f" {BETWEEN}(column='target', max_value=136); correct the data or quality.rules.0"
    )


@pytest.mark.parametrize(("mostly", "outcome"), [(137 / 144, "passed"), (0.96, "failed")])
def test_mostly_is_the_share_of_all_rows_not_of_a_batch(tmp_path, monkeypatch, mostly, outcome):
    monkeypatch.setattr(rowwise, "ROWS", 20)
    folder = write(tmp_path, make())
    _, (found,) = judge_by(folder, rule(BETWEEN, mostly=mostly, column="target", max_value=136))
    assert (found.outcome, found.bad) == (outcome, 7)


def test_nulls_are_looked_at_by_rules_on_nulls_only(tmp_path):
    table = make()
    table.loc[[3, 60], "rain"] = np.nan
    _, (some, between) = judge_by(
        write(tmp_path, table),
        rule("expect_column_values_to_not_be_null", severity="info", column="rain"),
        rule(BETWEEN, column="rain", min_value=0),
    )
    assert (some.outcome, some.bad, some.total, some.severity) == ("failed", 2, 144, "info")
    assert [row.value for row in some.rows] == ["(null)"] * 2
    assert (between.outcome, between.bad, between.total) == ("passed", 0, 142)


def test_moments_are_compared_in_utc(tmp_path):
    _, (found,) = judge_by(
        write(tmp_path, make()),
        rule(BETWEEN, column="timestamp", min_value="2024-01-01T02:00:00+01:00"),
    )
    assert (found.bad, found.rows[0].value) == (3, "2024-01-01T00:00:00Z")


def test_two_columns_are_compared_in_each_row(tmp_path):
    _, (found,) = judge_by(
        write(tmp_path, make()),
        rule(
            "expect_column_pair_values_a_to_be_greater_than_b",
            severity="warning",
            column_A="target",
            column_B="rain",
        ),
    )
    assert (found.outcome, found.bad, found.total, found.severity) == ("failed", 1, 144, "warning")


def test_a_rule_that_cannot_be_evaluated_is_told_apart_and_stops(tmp_path):
    verdict, (broken, sound) = judge_by(
        write(tmp_path, make()),
        rule("expect_column_values_to_match_regex", column="series_id", regex="("),
        rule(BETWEEN, column="target", min_value=0),
    )
    assert (broken.outcome, sound.outcome) == ("not evaluated", "passed")
    assert verdict.stops == (broken,)


def test_a_declared_rule_does_not_pass_an_empty_table(tmp_path):
    folder = write(tmp_path, make().iloc[:0], parts=1)
    _, found = judge_by(
        folder,
        rule(BETWEEN, column="target", min_value=0),
        rule(BETWEEN, on="series", column="mean", min_value=0),
    )
    assert [result.outcome for result in found] == ["not evaluated"] * 2


def test_rules_on_series_look_at_the_profile(tmp_path):
    folder = write(tmp_path, make())
    _, (low, mean, half) = judge_by(
        folder,
        rule(BETWEEN, on="series", column="min", min_value=48),
        rule("expect_column_mean_to_be_between", on="series", column="zero_share", max_value=0),
        rule(BETWEEN, on="series", mostly=0.6, column="min", min_value=48),
    )
    assert (low.outcome, low.bad, low.examples) == ("failed", 1, ("000",))
    assert low.found == "min from 0 to 0"
    assert mean.outcome == "failed"
    assert half.outcome == "passed"


@pytest.mark.parametrize(
    ("name", "arguments", "outcome"),
    [
        ("expect_series_not_to_be_flat", {"max_value": 2}, "failed"),
        ("expect_series_not_to_be_flat", {}, "passed"),
        ("expect_series_to_be_current", {}, "passed"),
        ("expect_series_step_to_be_regular", {}, "passed"),
        ("expect_series_to_have_few_outliers", {}, "passed"),
        ("expect_series_level_not_to_shift", {}, "passed"),
        ("expect_table_target_not_to_drift", {"max_value": 0.1}, "passed"),
        ("expect_table_series_to_be_as_many", {}, "passed"),
    ],
)
def test_expectations_of_this_project_have_names_like_the_others(
    tmp_path, name, arguments, outcome
):
    table = make()
    table.loc[10:13, "target"] = 10.0
    _, (found,) = judge_by(write(tmp_path, table), rule(name, on="series", **arguments))
    assert found.outcome == outcome


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (rule("expect_nothing_known"), "quality.rules.0.expectation 'expect_nothing_known'"),
        (rule(BETWEEN, column="target", least=1), "least: extra fields not permitted"),
        (rule(BETWEEN, column="target"), "min_value and max_value cannot both be None"),
        (rule(BETWEEN, column="traget", min_value=1), "column 'traget' in quality.rules.0"),
        (rule(BETWEEN, on="series", column="target", min_value=1), "column 'target'"),
        (rule("expect_column_mean_to_be_between", column="target", max_value=1), "to series"),
        (rule("expect_column_values_to_be_unique", column="target"), "to series"),
        (rule("expect_column_values_to_be_increasing", column="target"), "to series"),
        (rule("expect_table_row_count_to_equal", value=3), "to series"),
        (rule("expect_series_not_to_be_flat"), "to series"),
        (
            rule(
                "expect_column_mean_to_be_between",
                on="series",
                mostly=0.5,
                column="mean",
                max_value=1,
            ),
            "mostly: extra fields not permitted",
        ),
    ],
    ids=lambda value: value["expectation"] if isinstance(value, dict) else "",
)
def test_a_rule_that_cannot_be_is_a_wrong_spec_in_one_sentence(tmp_path, wrong, says):
    with pytest.raises(SpecError) as caught:
        judge(tmp_path, make_spec(wrong), AS_OF)
    text = str(caught.value)
    assert text.startswith("found ")
    assert ", needed " in text
    assert "; " in text
    assert "\n" not in text
    assert "quality.rules.0" in text
    assert says in text
    assert caught.value.exit_code == 2

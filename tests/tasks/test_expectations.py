"""Each rule of the registry has a table that passes and one defect that breaks it alone."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seqmodel.specs import BacktestSpec, PipelineSpec, QualitySpec, SourceSpec, WindowSpec
from tasks.expectations import RULES
from tasks.judging import judge
from tasks.rules import Asked

HOURS, SERIES = 40, ("001", "b", "c", "d")
START = pd.Timestamp("2024-01-01", tz="UTC")
AS_OF = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=HOURS)
SPEC = PipelineSpec(
    name="demand",
    source=SourceSpec(uri="x", past=("rain",), known=("plan",), static=("site",), season_length=6),
    quality=QualitySpec(
        minimum=0,
        maximum=100,
        max_missing=0.2,
        max_bad_series=0.1,
        max_age=3,
        max_flat=20,
        max_outliers=0.03,
    ),
    window=WindowSpec(lookback=6, horizon=2),
    backtest=BacktestSpec(cutoffs=2, step=3),
)
LONG_ENOUGH = 6 + 2 + (3 + 2)


def sound_table():
    times = pd.date_range(START, periods=HOURS, freq="h", unit="us")
    frames = [
        pd.DataFrame(
            {
                "series_id": name,
                "timestamp": times,
                "target": 50 + np.sin(np.arange(HOURS) + number),
                "rain": 0.5,
                "plan": 1.0,
                "site": "north",
            }
        )
        for number, name in enumerate(SERIES)
    ]
    return pd.concat(frames, ignore_index=True)


def put(column, value, rows):
    def change(table):
        table.loc[rows, column] = value
        return table

    return change


def shorten(table):
    return table.groupby("series_id").tail(LONG_ENOUGH - 1)


def repeat_a_row(table):
    return table.iloc[[*range(11), 10, *range(11, len(table))]]


def swap_two_rows(table):
    return table.iloc[[0, 2, 1, *range(3, len(table))]]


def shift_the_new_day(table):
    """One of four series is up by 5 of its own deviations: too little to move the whole."""
    newest = table["timestamp"] >= START + pd.Timedelta(hours=HOURS - 10)
    table.loc[newest & (table["series_id"] == "b"), "target"] += 5
    return table


def squeeze(table):
    """Every level stays where it was, the distribution does not."""
    return table.assign(target=50 + (table["target"] - 50) / 10)


def double_a_series(table):
    return pd.concat([table, table[table["series_id"] == "d"].assign(series_id="e")])


def as_whole_numbers(table):
    return table.assign(target=table["target"].astype("int64"))


@dataclass
class Plant:
    """A defect, the hours that `as_of` moves for it, and the rules it cannot but break as well.

    `compared` says that the table is judged beside its sound self of ten hours earlier.
    """

    change: object = lambda table: table
    later: int = 0
    also: set[str] = field(default_factory=set)
    compared: bool = False


PLANTS = {
    "columns": Plant(as_whole_numbers),
    "some_series": Plant(lambda table: table.iloc[:0]),
    "ids": Plant(put("series_id", None, slice(0, HOURS - 1))),
    "timestamps": Plant(put("timestamp", pd.NaT, 10)),
    "unique": Plant(repeat_a_row),
    "limits": Plant(put("target", 100.5, 10)),
    "finite": Plant(put("target", -np.inf, 10)),
    "targets": Plant(put("target", np.nan, slice(0, 8))),
    "fresh": Plant(later=4),
    "past": Plant(later=-1),
    "regular": Plant(put("timestamp", START + pd.Timedelta(hours=10, minutes=1), 10)),
    "long_enough": Plant(shorten, also={"all_long_enough"}),
    "all_long_enough": Plant(lambda table: table.drop(range(HOURS - LONG_ENOUGH + 1))),
    "varied": Plant(put("target", 7.0, slice(0, HOURS - 1)), also={"flat"}),
    "covariates": Plant(put("rain", np.nan, slice(0, 2 * HOURS))),
    "current": Plant(lambda table: table.drop(HOURS - 1)),
    "sorted": Plant(swap_two_rows),
    "flat": Plant(put("target", 50.5, slice(5, 25))),
    "outliers": Plant(put("target", 70.0, [3, 17])),
    "level": Plant(shift_the_new_day, compared=True),
    "drift": Plant(squeeze, compared=True),
    "as_many_series": Plant(double_a_series, compared=True),
}


def before(folder):
    """The sound table as it was ten hours earlier."""
    folder = folder / "before"
    folder.mkdir()
    table = sound_table()
    return write(folder, table[table["timestamp"] < START + pd.Timedelta(hours=HOURS - 10)])


def write(folder, table):
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    pq.write_table(arrow, folder / "part-00000.parquet")
    return folder


def failed(verdict):
    return {result.rule for result in verdict.rules if result.outcome == "failed"}


def test_a_sound_table_passes_every_rule(tmp_path):
    verdict = judge(write(tmp_path, sound_table()), SPEC, AS_OF)
    assert {result.outcome for result in verdict.rules} == {"passed"}
    assert [result.rule for result in verdict.rules] == [rule.name for rule in RULES]


def test_a_sound_table_passes_every_rule_beside_its_earlier_self(tmp_path):
    verdict = judge(write(tmp_path, sound_table()), SPEC, AS_OF, before(tmp_path))
    assert {result.outcome for result in verdict.rules} == {"passed"}
    assert "nothing to check" not in {result.found for result in verdict.rules}


def test_every_rule_has_a_planted_defect():
    assert set(PLANTS) == {rule.name for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_planted_defect_breaks_its_rule_alone(tmp_path, rule):
    plant = PLANTS[rule.name]
    # from_pandas writes NaN as null.
    folder = write(tmp_path, plant.change(sound_table()))
    reference = before(tmp_path) if plant.compared else None
    verdict = judge(folder, SPEC, AS_OF + timedelta(hours=plant.later), reference)
    assert failed(verdict) == {rule.name} | plant.also
    (result,) = [r for r in verdict.rules if r.rule == rule.name]
    assert result.bad >= 1
    assert result.severity == rule.severity
    assert result.says.startswith("The table must have ")
    assert result.says.endswith(".")
    assert rule.name in {r.rule for r in (*verdict.stops, *verdict.failed)}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_no_rule_is_called_like_another(rule):
    assert [other.name for other in RULES].count(rule.name) == 1


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        ("unique", "1 rows that repeat a timestamp"),
        ("limits", "100.5"),
        ("finite", "1 targets that are infinite or NaN"),
        ("targets", "up to 22.5% of a series' targets missing"),
        ("fresh", "4 steps old"),
        ("regular", "1 rows between the steps"),
        ("long_enough", f"{LONG_ENOUGH - 1} steps long"),
        ("current", "up to 1 steps early"),
        ("columns", "int64 in place of double"),
        ("flat", "up to 21 equal targets"),
        ("outliers", "up to 5.0% of a series' targets"),
        ("as_many_series", "5 series where there were 4"),
    ],
)
def test_what_is_found_is_the_figure_itself(tmp_path, plant, found):
    planted = PLANTS[plant]
    spec = SPEC
    if plant == "targets":
        spec = SPEC.model_copy(update={"quality": QualitySpec(max_missing=0.1)})
    folder = write(tmp_path, planted.change(sound_table()))
    reference = before(tmp_path) if planted.compared else None
    verdict = judge(folder, spec, AS_OF + timedelta(hours=planted.later), reference)
    (result,) = [r for r in verdict.rules if r.rule == plant]
    assert found in result.found


@pytest.mark.parametrize(("allowed", "outcome"), [(0.25, "passed"), (0.24, "failed")])
def test_a_quarter_of_bad_series_is_tolerated_when_a_quarter_may_be_bad(tmp_path, allowed, outcome):
    table = put("target", np.nan, slice(0, 20))(sound_table())
    quality = QualitySpec(max_missing=0.2, max_bad_series=allowed)
    verdict = judge(write(tmp_path, table), SPEC.model_copy(update={"quality": quality}), AS_OF)
    (result,) = [r for r in verdict.rules if r.rule == "targets"]
    assert (result.outcome, result.bad, result.examples) == (outcome, 1, ("001",))


def test_without_limits_and_covariates_there_is_nothing_to_check(tmp_path):
    spec = SPEC.model_copy(update={"source": SourceSpec(uri="x"), "quality": QualitySpec()})
    verdict = judge(write(tmp_path, sound_table()), spec, AS_OF)
    found = {r.rule: (r.outcome, r.found) for r in verdict.rules}
    assert found["limits"] == found["covariates"] == ("passed", "nothing to check")
    assert found["level"] == found["drift"] == ("passed", "nothing to check")


def test_the_reserve_is_what_the_backtest_keeps():
    asked = Asked(SPEC, AS_OF)
    assert (asked.reserve, asked.steps) == (5, LONG_ENOUGH)


def test_importing_the_rules_does_not_import_great_expectations():
    import subprocess
    import sys

    code = "import sys, tasks.judging; sys.exit('great_expectations' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

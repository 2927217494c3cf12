"""Clocks are wrong, elsewhere, or moved in the night: what is published does not depend on them."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from seqmodel.store.forecasts import read_forecast
from tests.faults.environment.outcomes import assert_done
from tests.faults.night import Ground, check_ledger, check_whole

pytestmark = [pytest.mark.tensorflow, pytest.mark.faults, pytest.mark.timeout(1800)]
BERLIN = ZoneInfo("Europe/Berlin")
SERIES = ("001", "b")
#: The last day before each change, and the hours of the day of the change.
CHANGES = {"spring": (date(2024, 3, 31), 23), "autumn": (date(2024, 10, 27), 25)}


@pytest.mark.fault("a clock set back by a year")
@pytest.mark.skipif(shutil.which("faketime") is None, reason="needs faketime (Debian has it)")
def test_a_clock_that_is_wrong_changes_nothing_where_as_of_is_given(ground, unbroken):
    # The files keep the times they have: only the clock is wrong.
    wrong = {"NO_FAKE_STAT": "1"}
    end = ground.run(before=("faketime", "-f", "-365d"), environment=wrong)
    assert_done(ground, unbroken, end)


@pytest.mark.fault("another time zone")
@pytest.mark.parametrize("zone", ["Pacific/Apia", "America/New_York"])
def test_the_zone_of_the_machine_changes_nothing(ground, unbroken, zone):
    end = ground.run(environment={"TZ": zone}, as_of="2013-12-01T05:45:00+05:45")
    assert_done(ground, unbroken, end)


def list_hours(first: date, days: int) -> list[datetime]:
    """What a wall clock in Berlin shows at each full hour, without saying which of two it means."""
    begin = datetime(first.year, first.month, first.day, tzinfo=BERLIN).astimezone(UTC)
    end = datetime.combine(first + timedelta(days=days), datetime.min.time(), BERLIN)
    hours = int((end.astimezone(UTC) - begin) / timedelta(hours=1))
    return [
        (begin + timedelta(hours=h)).astimezone(BERLIN).replace(tzinfo=None) for h in range(hours)
    ]


def run_refresh(tmp_path, moments, freq, as_of):
    """Forecast with the baseline, which is the same each season, and read what came of it."""
    rows = len(moments)
    table = pa.table(
        {
            "series_id": [name for name in SERIES for _ in moments],
            "timestamp": pa.array(list(moments) * len(SERIES), pa.timestamp("us")),
            "target": [float(number % 7) for number in range(rows)] * len(SERIES),
        }
    )
    (tmp_path / "source").mkdir()
    pq.write_table(table, tmp_path / "source" / "all.parquet")
    ground = Ground(tmp_path / "ground", tmp_path / "source")
    spec = {
        "name": "small",
        "source": {
            "uri": str(tmp_path / "source"),
            "freq": freq,
            "timezone": "Europe/Berlin",
            "season_length": 7,
        },
        "window": {"lookback": 14, "horizon": 30},
        "quality": {"max_age": 100},
    }
    deployment = {"deployments": [{"name": "nightly", "parameters": {"spec": spec}}]}
    (ground.folder / "own.yaml").write_text(yaml.safe_dump(deployment))
    end = ground.run(flow="refresh", as_of=as_of.isoformat())
    assert end.code == 0, end.out[-3000:]
    check_whole(ground.pipeline)
    check_ledger(ground.pipeline)
    (ledger,) = ground.pipeline.glob("reports/*/ledger.json")
    (folder,) = ground.pipeline.glob("forecasts/*")
    return json.loads(ledger.read_bytes()), read_forecast(folder)


@pytest.mark.fault("the night of a clock change")
@pytest.mark.parametrize("season", CHANGES)
def test_an_hourly_forecast_over_the_night_of_a_change_has_every_hour_once(tmp_path, season):
    day, hours = CHANGES[season]
    # The last rows are those of the day itself: its history holds the change.
    shown = list_hours(day - timedelta(days=20), 21)
    assert len([moment for moment in shown if moment.date() == day]) == hours
    as_of = datetime.combine(day + timedelta(days=1), datetime.min.time(), BERLIN)
    ledger, found = run_refresh(tmp_path, shown, "h", as_of)
    twice = len(shown) - len(set(shown))
    assert ledger["duplicates"] == twice * len(SERIES) == (2 if season == "autumn" else 0)
    assert ledger["quarantined"] == 0
    for name in SERIES:
        own = found.filter(pa.compute.equal(found["series_id"], name))
        first = as_of.astimezone(UTC)
        wanted = [first + timedelta(hours=h) for h in range(30)]
        assert [m.astimezone(UTC) for m in own["timestamp"].to_pylist()] == wanted


@pytest.mark.fault("the night of a clock change")
@pytest.mark.parametrize("season", CHANGES)
def test_a_forecast_made_in_the_night_itself_goes_through_the_change(tmp_path, season):
    day, _ = CHANGES[season]
    shown = list_hours(day - timedelta(days=20), 20)
    as_of = datetime.combine(day, datetime.min.time(), BERLIN)
    ledger, found = run_refresh(tmp_path, shown, "h", as_of)
    assert ledger["kept"] == ledger["read"] == 20 * 24 * len(SERIES)
    wanted = [as_of.astimezone(UTC) + timedelta(hours=h) for h in range(30)]
    assert sorted({m.astimezone(UTC) for m in found["timestamp"].to_pylist()}) == wanted
    assert found.num_rows == 30 * len(SERIES)


@pytest.mark.fault("the night of a clock change")
@pytest.mark.parametrize("season", CHANGES)
def test_a_daily_forecast_over_a_change_has_every_date_once(tmp_path, season):
    day, _ = CHANGES[season]
    dates = [datetime.combine(day + timedelta(days=n), datetime.min.time()) for n in range(-300, 1)]
    as_of = datetime.combine(day + timedelta(days=1), datetime.min.time(), BERLIN)
    as_of += timedelta(hours=4)
    ledger, found = run_refresh(tmp_path, dates, "D", as_of)
    assert ledger["kept"] == ledger["read"] == len(dates) * len(SERIES)
    told = sorted({m.astimezone(UTC).replace(tzinfo=None) for m in found["timestamp"].to_pylist()})
    assert told == [dates[-1] + timedelta(days=n + 1) for n in range(30)]
    assert found.num_rows == 30 * len(SERIES)

"""`make serve` for real: server, pool, deployments, a schedule, a run through the worker."""

import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.conftest import meters_spec
from tests.postgres import needs_postgres, postgres_cluster
from tests.serving import ask, run_deployment, serving, wait_for

#: A server, its deployments and a night, on a machine that does other things.
pytestmark = pytest.mark.timeout(700)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("serve")) as found:
        yield found


def test_all_deployments_are_there(served):
    api = served.api
    names = {d["name"] for d in ask(f"{api}/deployments/filter")}
    assert {"nightly", "refresh", "retrain"} <= names


def test_the_cron_schedule_really_produces_runs(served):
    # With sqlalchemy 2.1 the scheduler crashes at every tick and this stays empty for ever.
    api = served.api
    runs = wait_for(lambda: [r for r in ask(f"{api}/flow_runs/filter") if r["auto_scheduled"]], 120)
    assert {run["state_type"] for run in runs} == {"SCHEDULED"}


def test_old_runs_leave_the_servers_database(monkeypatch):
    from prefect.settings.models.server.services import ServerServicesDBVacuumSettings

    from flows.serve import plan_environment

    name = "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED"
    monkeypatch.setenv(name, plan_environment("http://127.0.0.1:4200")[name])
    vacuum = ServerServicesDBVacuumSettings()
    assert "flow_runs" in vacuum.enabled_vacuum_types
    assert vacuum.retention_period.days == 90


def test_the_automations_are_there(served):
    names = {one["name"] for one in ask(f"{served.api}/automations/filter")}
    assert names == {
        "seqmodel: a run without heartbeat",
        "seqmodel: no success for 26 hours",
        "seqmodel: departures: refresh after a promotion",
    }


def check_night(served, meters_file):
    parameters = {"spec": meters_spec(meters_file), "as_of": "2024-02-08T00:00:00Z"}
    run = run_deployment(served, "nightly/nightly", parameters, 300)
    assert run["state_type"] == "COMPLETED", served.read_log()[-3000:]
    assert run["name"] == "meters nightly 2024-02-08 00:00"
    assert list((served.home / "root" / "meters" / "forecasts").glob("*/_manifest.json"))
    return run


@pytest.fixture(scope="module")
def night(served, meters, tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "meters.parquet"
    pq.write_table(meters, path)
    return check_night(served, path)


@pytest.mark.usefixtures("night")
def test_a_night_through_the_worker_leaves_artifacts_and_a_report_that_opens_by_its_link(served):
    found = {a["key"]: a for a in ask(f"{served.api}/artifacts/filter")}
    shown = {"forecast", "verdict", "decision", "scores", "training", "ledger", "quality"}
    assert {f"meters-{name}" for name in shown} <= set(found)
    link = found["meters-report"]["data"].partition("(")[2].rstrip(")")
    with urllib.request.urlopen(link, timeout=10) as answer:  # noqa: S310 - loopback, http
        assert "<title>meters: 2024-02-08 00:00 UTC</title>" in answer.read().decode()


@pytest.mark.long
def test_a_cron_schedule_fires_and_its_run_is_about_the_minute_it_was_due(served, meters, tmp_path):
    path = tmp_path / "meters.parquet"
    pq.write_table(meters, path)
    (one,) = (d for d in ask(f"{served.api}/deployments/filter") if d["name"] == "refresh")
    # Old rows are fine here: the moment is today's.
    spec = meters_spec(path, quality={"max_age": 1_000_000}, source={"known": []})
    schedule = {
        "schedule": {"cron": "* * * * *", "timezone": "UTC"},
        "active": True,
        "parameters": {"spec": {**spec, "name": "minutely"}, "as_of": None},
    }
    (made,) = ask(f"{served.api}/deployments/{one['id']}/schedules", [schedule])

    def find():
        runs = ask(f"{served.api}/flow_runs/filter", {"sort": "EXPECTED_START_TIME_ASC"})
        ended = [r for r in runs if r["auto_scheduled"] and r["state_type"] == "COMPLETED"]
        return [r for r in ended if r["deployment_id"] == one["id"]]

    (run, *_) = wait_for(find, 400)
    due = datetime.fromisoformat(run["expected_start_time"])
    assert due.second == 0
    assert run["name"] == f"minutely refresh {due:%Y-%m-%d %H:%M}"
    assert made["active"]


@pytest.mark.long
@needs_postgres
def test_server_worker_and_a_night_work_on_postgresql_behind_a_secret(tmp_path, meters_file: Path):
    with postgres_cluster() as url:
        address = url.replace("postgresql", "postgresql+asyncpg", 1)
        secret = "admin:hush"  # noqa: S105 - of this test
        settings = {
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": address,
            "PREFECT_SERVER_API_AUTH_STRING": secret,
        }
        with serving(tmp_path, **settings) as served:
            with pytest.raises(urllib.error.HTTPError, match="401"):
                ask(f"{served.api}/flow_runs/filter")
            check_night(served, meters_file)
        assert not list(tmp_path.glob("prefect.db*")), "nothing went to SQLite"

"""Forecasts of the past: which moments, what they see, and that a second run finishes the first."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName

from flows.backfill import backfill
from flows.command import list_parameters, parse_flags
from flows.refresh import refresh
from flows.retrain import retrain
from seqmodel.backfilling import choose_moments, list_moments
from seqmodel.errors import SeqmodelError, SpecError
from seqmodel.store.forecasts import read_forecast
from seqmodel.store.store import Store
from tests.flows.test_nightly import AS_OF, make_spec

DAY = timedelta(days=1)


def published(root):
    return sorted(p.parent.name for p in root.glob("meters/forecasts/*/_manifest.json"))


def test_moments_are_those_from_start_to_end():
    assert list_moments(AS_OF - DAY, AS_OF, "12h") == (AS_OF - DAY, AS_OF - DAY / 2, AS_OF)
    with pytest.raises(SpecError, match="found --step 'often'"):
        list_moments(AS_OF - DAY, AS_OF, "often")
    with pytest.raises(SpecError, match="found 0 moments"):
        list_moments(AS_OF, AS_OF - DAY, "D")


def test_a_moment_is_missing_failed_or_published(tmp_path, meters_file):
    store, spec = Store(tmp_path), make_spec(meters_file)
    moments = tuple(AS_OF - n * DAY for n in (3, 2, 1))
    store.write_json("meters/forecasts/cutoff=20240204T230000Z/_manifest.json", {})
    store.write_json("meters/reports/20240206T000000Z-abc/night.json", {})
    assert choose_moments(store, spec, moments, "missing") == moments[1:]
    assert choose_moments(store, spec, moments, "failed") == moments[1:2]
    assert choose_moments(store, spec, moments, "all") == moments


def test_flags_of_the_backfill_are_words_with_dashes():
    own = list_parameters(backfill)
    flags = ["--name", "m", "--source.uri", "x", "--start", "2024-01-01T00:00Z"]
    _, found = parse_flags([*flags, "--end", "2024-01-02T00:00Z", "--dry-run"], own)
    assert found.dry_run is True
    assert parse_flags([*flags, "--end", "2024-01-02T00:00Z"], own)[1].dry_run is False
    assert (found.start, found.step) == (datetime(2024, 1, 1, tzinfo=UTC), "D")
    with pytest.raises(SpecError, match="found no end"):
        parse_flags(flags, own)
    with pytest.raises(SpecError, match=r"found at-once = '?0'?, needed it to be greater"):
        parse_flags([*flags, "--end", "2024-01-02T00:00Z", "--at-once", "0"], own)


@pytest.mark.usefixtures("harness")
def test_a_backfill_does_what_is_missing_from_the_data_as_known_then(meters_file, data_root):
    spec = make_spec(meters_file)
    what = {"spec": spec, "start": AS_OF - 2 * DAY, "end": AS_OF, "as_of": AS_OF}
    ref = backfill(**what, dry_run=True)
    assert not published(data_root)
    night = json.loads((data_root / ref.night).read_text())
    assert (night["verdict"], night["tone"]) == ("3 of 3 moments would be forecast.", "good")
    assert night["notes"][0] == "2024-02-06 00:00: would be forecast"

    backfill(**{**what, "end": AS_OF - DAY})
    assert published(data_root) == ["cutoff=20240205T230000Z", "cutoff=20240206T230000Z"]
    manifest = data_root / "meters/forecasts/cutoff=20240205T230000Z/_manifest.json"
    before = manifest.stat().st_mtime_ns
    ref = backfill(**what)
    night = json.loads((data_root / ref.night).read_text())
    assert (night["verdict"], night["tone"]) == ("1 of 3 moments were forecast.", "good")
    assert len(published(data_root)) == 3
    assert manifest.stat().st_mtime_ns == before
    rows = read_forecast(manifest.parent)
    assert rows["timestamp"][0].as_py() == AS_OF - 2 * DAY


def list_runs(name):
    """Flow runs of a name as the server has them."""
    with get_client(sync_client=True) as client:
        named = FlowFilter(name=FlowFilterName(any_=[name]))
        return client.read_flow_runs(flow_filter=named, limit=200)


@pytest.mark.long
@pytest.mark.usefixtures("harness")
def test_moments_at_once_are_each_a_flow_run_below_the_backfill(meters_file, data_root):
    spec = make_spec(meters_file)
    before, early = {run.id for run in list_runs("refresh")}, AS_OF - 45 * DAY
    what = {"spec": spec, "start": early, "end": AS_OF, "step": "15D", "as_of": AS_OF}
    with pytest.raises(SeqmodelError, match="found 1 of 4 moments without a forecast"):
        backfill(**what, at_once=3)  # the first moment is before all rows
    folders = published(data_root)
    assert len(folders) == 3
    runs = [run for run in list_runs("refresh") if run.id not in before]
    assert len({run.parameters["as_of"] for run in runs}) == len(runs) == 4
    assert len({run.parent_task_run_id for run in runs} - {None}) == 4
    assert sorted(run.state_type.value for run in runs) == ["COMPLETED"] * 3 + ["FAILED"]
    assert len(list(data_root.glob("meters/reports/*/night.json"))) == 4 + 1
    assert choose_moments(Store(data_root), spec, (early,), "failed")


@pytest.mark.usefixtures("harness")
def test_a_moment_of_the_past_is_forecast_as_if_no_later_row_were_there(
    meters, meters_file, tmp_path, monkeypatch
):
    moment = AS_OF - 3 * DAY
    at = np.asarray(meters["at"].cast(pa.int64())) / 1e6
    late = pa.array(at >= moment.timestamp())
    ahead = pa.array(at < (moment + DAY).timestamp())
    cut = meters
    for name in ("load", "temperature"):  # what is known ahead stays
        column = pc.if_else(late, pa.scalar(None, pa.float64()), meters[name])
        cut = cut.set_column(cut.column_names.index(name), name, column)
    then = tmp_path / "then.parquet"
    pq.write_table(cut.filter(ahead), then)
    monkeypatch.setenv("SEQMODEL_DATA", str(tmp_path / "a"))
    retrain(make_spec(then), moment - DAY)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    backfill(make_spec(meters_file), moment, moment, AS_OF)
    monkeypatch.setenv("SEQMODEL_DATA", str(tmp_path / "b"))
    refresh(make_spec(then), moment)
    key = "meters/forecasts/cutoff=20240204T230000Z"
    told, wanted = read_forecast(tmp_path / "a" / key), read_forecast(tmp_path / "b" / key)
    assert told.equals(wanted)
    assert "baseline" not in told["model_version"].to_pylist()

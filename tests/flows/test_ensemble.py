"""A night with an ensemble: every member a task of its own, one version in the end."""

import json
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

from flows.nightly import nightly
from seqmodel.reporting.night import Night
from seqmodel.specs import PipelineSpec
from seqmodel.store.forecasts import read_forecast
from tests.conftest import make_meters, meters_spec

AS_OF = datetime(2024, 2, 8, tzinfo=UTC)
MEMBERS = [
    {"model": {"kind": "gru"}},
    {"model": {"kind": "segment", "segment": 6}, "window": {"lookback": 48}},
    {"baseline": "seasonal_naive"},
]

# The library's half of it, without a flow, is in tests/seqmodel/training/test_ensembles.py.
pytestmark = [pytest.mark.usefixtures("harness"), pytest.mark.long]


def make_spec(path, **model):
    chosen = {"kind": "ensemble", "members": MEMBERS, "combine": "weights", **model}
    train = {"epochs": 1, "warm_start": True}
    return PipelineSpec.model_validate(meters_spec(path, model=chosen, train=train))


def run(spec, root, as_of=AS_OF):
    ref = nightly(spec=spec, as_of=as_of)
    return Night.model_validate_json((root / ref.night).read_text())


@pytest.fixture(scope="module")
def first(harness, tmp_path_factory):
    del harness
    folder = tmp_path_factory.mktemp("first")
    source, root = folder / "meters.parquet", folder / "root"
    pq.write_table(make_meters(), source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQMODEL_DATA", str(root))
        night = run(make_spec(source), root)
    return source, root, night


def list_outcomes(night):
    return {record.step: record.outcome for record in night.steps}


def test_each_network_is_trained_by_a_task_of_its_own(first):
    assert [s for s in list_outcomes(first[2]) if "train" in s] == [
        "train 1 gru",
        "train 2 segment",
    ]
    assert set(list_outcomes(first[2]).values()) == {"ran"}


def test_the_night_leaves_one_version_that_serves_and_its_forecast(first):
    _, root, night = first
    pointer = json.loads((root / "meters" / "champion.json").read_text())
    assert [p.name for p in (root / "meters" / "models").iterdir()] == [pointer["version"]]
    assert night.labels["challenger"] == f"ensemble {pointer['version']}"
    assert "weight" in night.begun
    rows = read_forecast(root / "meters" / "forecasts" / "cutoff=20240207T230000Z")
    assert set(rows["model_version"].to_pylist()) == {pointer["version"]}
    assert rows.num_rows == 18


def test_another_way_to_combine_trains_no_member_again(first, monkeypatch):
    source, root, _ = first
    monkeypatch.setenv("SEQMODEL_DATA", str(root))
    outcomes = list_outcomes(run(make_spec(source, combine="mean"), root))
    assert {outcomes[f"train {name}"] for name in ("1 gru", "2 segment")} == {"from cache"}
    assert outcomes["assemble"] == "ran"


def test_the_next_night_each_member_goes_on_from_its_own_weights(first, monkeypatch):
    source, root, night = first
    monkeypatch.setenv("SEQMODEL_DATA", str(root))
    spec = make_spec(source, at_once=2)
    later = run(spec, root, datetime(2024, 2, 9, tzinfo=UTC))
    before = night.labels["challenger"].split()[1]
    assert later.begun.count("night 1 since one from scratch") == 2
    assert list_outcomes(later)["forecast"] == "ran"
    assert before not in later.labels["challenger"]

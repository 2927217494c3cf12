"""What a pipeline makes is told as Prefect's assets, by pipeline and with what it was made from."""

import pytest
from prefect import flow
from prefect.assets import materialize

from seqmodel.specs import PipelineSpec
from seqmodel.store.ref import Ref
from tasks import caching
from tasks.lineage import FORECAST, TABLE, name_assets
from tasks.train import train

SPEC = PipelineSpec.model_validate({"name": "demand", "source": {"uri": "x"}})


class Made(Ref):
    """Names nothing on disk."""

    key: str


@pytest.fixture
def told(monkeypatch):
    events = []
    monkeypatch.setattr("prefect.events.emit_event", lambda **event: events.append(event))
    return events


@pytest.mark.usefixtures("harness", "data_root")
def test_a_forecast_is_told_with_the_table_it_was_made_from(told):
    @materialize(TABLE, name="judge", persist_result=False)
    def judge(spec):
        return Made(key=f"{spec.name}/t")

    @materialize(FORECAST, name="publish", persist_result=False)
    def publish(judged, spec):
        return Made(key=f"{judged.key}/{spec.name}")

    @flow
    def night():
        steps = []
        judged = caching.call(judge, steps, spec=SPEC)
        caching.call(publish, steps, judged=judged, spec=SPEC)

    night()
    made = [e for e in told if e["event"] == "prefect.asset.materialization.succeeded"]
    assert [e["resource"]["prefect.resource.id"] for e in made] == [
        "seqmodel://demand/table",
        "seqmodel://demand/forecast",
    ]
    (source,) = made[1]["related"]
    assert source["prefect.resource.id"] == "seqmodel://demand/table"


def test_a_task_keeps_its_options_when_its_assets_are_named():
    named = name_assets(train.with_options(task_run_name="train a"), "demand")
    assert [asset.key for asset in named.assets] == ["seqmodel://demand/model"]
    assert named.task_run_name == "train a"
    assert named.persist_result
    assert (named.retries, named.cache_policy) == (train.retries, train.cache_policy)
    assert named.retry_condition_fn is train.retry_condition_fn

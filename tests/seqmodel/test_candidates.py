"""What the versions of a backtest say, shard by shard: it is what they say of the whole table."""

import json
from datetime import UTC, datetime

import numpy as np
import pyarrow.parquet as pq
import pytest

from seqmodel.backtesting import backtest_models
from seqmodel.candidates import Candidates, backtest_shard
from seqmodel.errors import StoreError
from seqmodel.planning import plan_backtest
from seqmodel.refitting import REFITTED, plan_refits
from seqmodel.specs import PipelineSpec
from seqmodel.store import tables
from seqmodel.store.refs import RunRef
from seqmodel.store.staged import drop_staged, read_staged
from seqmodel.store.store import Store
from seqmodel.training import train_model
from seqmodel.windowing import make_windows
from tests.seqmodel.small import ignore_progress, make_spec, make_table, put_table

AS_OF = datetime(2024, 3, 1, tzinfo=UTC)
RUN = RunRef(pipeline="small", run="night", as_of=AS_OF)


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A table in three shards, its challenger and a refit, both with levels that still learn."""
    store = Store(tmp_path_factory.mktemp("root"))
    spec = make_spec(
        backtest={"cutoffs": 4, "step": 6, "refit": 2, "shards": 3},
        output={"quantiles": [0.1, 0.5, 0.9], "calibration": "adaptive"},
        train={"epochs": 1, "batch_size": 64},
    )
    before, tables.ROW_GROUP = tables.ROW_GROUP, 230
    try:
        judged = put_table(store, make_table(series=4), spec)
    finally:
        tables.ROW_GROUP = before

    def train(one):
        windows = make_windows(store, judged, one)
        what = (store, windows, one, AS_OF, {"table": "t"}, ignore_progress)
        return train_model(*what, table=judged.table)

    (later,) = plan_refits(spec)
    return store, spec, judged.table, {"challenger": train(spec)}, (train(later),)


def predict(asked, shards=None):
    store, spec, table, models, refits = asked
    shards = plan_backtest(store, table, spec) if shards is None else shards
    candidates = Candidates.open(store, table, models, refits, spec)
    return tuple(backtest_shard(store, RUN, candidates, one) for one in shards)


def test_the_scores_of_shards_are_those_of_the_table_in_one_go(asked):
    store, spec, table, models, refits = asked
    told = predict(asked)
    assert len(told) == 3
    assert min(part.windows for part in told) > 0
    apart = backtest_models(store, RUN, table, models, spec, refits, told)
    written = store.read_json(apart.key)
    rows = pq.read_table(store.path(f"{RUN.key}/scores.parquet")).to_pandas()
    whole = backtest_models(store, RUN, table, models, spec, refits)
    assert apart.windows == whole.windows == sum(part.windows for part in told)
    for name, scores in whole.scores.items():
        assert apart.scores[name] == pytest.approx(scores, rel=1e-5)
    assert {"challenger", REFITTED, "baseline"} <= set(whole.scores)
    once = store.read_json(whole.key)
    assert written["by_series"]["challenger"] == pytest.approx(
        once["by_series"]["challenger"], rel=1e-5
    )
    others = pq.read_table(store.path(f"{RUN.key}/scores.parquet")).to_pandas()
    assert rows[["candidate", "by", "key"]].equals(others[["candidate", "by", "key"]])


def test_a_shard_predicted_again_alone_gives_the_same_bytes(asked):
    store, spec, table, _, _ = asked
    told = predict(asked)
    last = plan_backtest(store, table, spec)[-1]
    assert predict(asked, [last]) == told[-1:]


def test_predictions_that_were_changed_or_left_out_are_not_scored(asked):
    store, spec, table, models, refits = asked
    told = predict(asked)
    with pytest.raises(StoreError, match="found predictions of"):
        backtest_models(store, RUN, table, models, spec, refits, told[:2])
    stretched = told[0].model_copy(update={"end": None})
    with pytest.raises(StoreError, match="found predictions of"):
        backtest_models(store, RUN, table, models, spec, refits, (stretched,))
    place = store.staged_path(told[1].key)
    place.write_bytes(place.read_bytes()[:-1])
    with pytest.raises(StoreError, match="missing or changed since its shard was done"):
        read_staged(store, told[1])


def test_dropped_predictions_leave_nothing_behind_and_the_scores_stand_for_them(asked):
    store, spec, table, models, refits = asked
    told = predict(asked)
    backtest_models(store, RUN, table, models, spec, refits, told)
    drop_staged(store, told)
    assert not list(store.staged_path("small/backtests").rglob("*.npz"))
    assert all(store.holds(part) for part in told)
    store.path(RUN.scores).unlink()
    assert not any(store.holds(part) for part in told)
    drop_staged(store, told)


def test_a_shard_of_series_too_short_to_be_scored_has_no_window(asked, monkeypatch):
    monkeypatch.setattr(tables, "ROW_GROUP", 230)
    store, spec, _, models, refits = asked
    spec = spec.model_copy(update={"window": spec.window.model_copy(update={"short": "drop"})})
    rows = make_table(series=4)
    ids, moments = np.array(rows["series_id"].to_pylist()), rows["timestamp"].to_numpy()
    old = (ids < "003") | (moments >= moments.max() - np.timedelta64(20, "h"))
    table = put_table(store, rows.filter(old), spec).table
    *most, last = plan_backtest(store, table, spec)
    parts = [{"end": "003"}, {"start": "003", "number": last.number + 1}]
    most += [last.model_copy(update=part) for part in parts]
    told = predict((store, spec, table, models, refits), most)
    assert [part.windows for part in told] == [4, 4, 4, 0]
    assert backtest_models(store, RUN, table, models, spec, refits, told).windows == 12


def test_classes_and_events_are_predicted_in_one_go(asked):
    store, spec, table, _, _ = asked
    values = json.loads(spec.model_dump_json(exclude_unset=True))
    values["output"] = {"kind": "binary"}
    del values["backtest"]["refit"]
    assert len(plan_backtest(store, table, PipelineSpec.model_validate(values))) == 1

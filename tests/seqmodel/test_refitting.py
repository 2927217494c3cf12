"""A backtest whose model is trained anew as time goes on."""

from datetime import UTC, datetime

import numpy as np
import pytest
from pydantic import ValidationError

from seqmodel.backtesting import backtest_models
from seqmodel.errors import DataError
from seqmodel.forecasting import predict_quantiles
from seqmodel.refitting import REFITTED, plan_refits, predict_refitted
from seqmodel.scoring.real import take_actuals
from seqmodel.splitting import split_steps
from seqmodel.store.refs import RunRef
from seqmodel.store.store import Store
from seqmodel.training import train_model
from seqmodel.windowing import load_panel, make_windows
from tests.seqmodel.small import ignore_progress, make_spec, make_table, put_table

AS_OF = datetime(2024, 3, 1, tzinfo=UTC)
RUN = RunRef(pipeline="small", run="night", as_of=AS_OF)


def refit_every(every, cutoffs=3):
    return make_spec(backtest={"cutoffs": cutoffs, "step": 6, "refit": every})


@pytest.mark.parametrize(
    ("every", "left"), [(None, []), (1, [4, 3, 2, 1]), (2, [3, 1]), (3, [2]), (5, []), (9, [])]
)
def test_each_stretch_after_the_first_has_a_training_of_its_own(every, left):
    plan = plan_refits(refit_every(every, cutoffs=5))
    assert [one.backtest.cutoffs for one in plan] == left


def test_a_training_ends_at_the_first_cutoff_it_is_scored_at():
    spec = refit_every(2, cutoffs=5)
    cutoffs = split_steps(0, 400, spec).cutoffs
    ends = [split_steps(0, 400, one).holdout for one in plan_refits(spec)]
    assert ends == [cutoffs[2], cutoffs[4]]


def test_each_cutoff_is_forecast_by_the_newest_model_of_its_time():
    asked = np.array([10, 20, 30, 40, 50])
    seen = []

    def predict(model, cutoffs):
        seen.append((model, cutoffs.tolist()))
        return cutoffs[:, None, None].astype(float)

    found = predict_refitted("first", ["second", "third"], asked[1:], asked, 2, predict)
    assert seen == [("first", [20]), ("second", [30, 40]), ("third", [50])]
    assert found.ravel().tolist() == [20, 30, 40, 50]
    with pytest.raises(DataError, match="found 2 models for 5 cutoffs, needed one for every 2"):
        predict_refitted("first", ["second"], asked, asked, 2, predict)


def test_classes_are_not_refitted():
    with pytest.raises(ValidationError, match=r"found backtest\.refit for classes or events"):
        make_spec(output={"kind": "binary"}, backtest={"cutoffs": 3, "step": 6, "refit": 1})


@pytest.mark.long
def test_the_backtest_scores_each_cutoff_by_the_model_of_its_stretch(tmp_path):
    store, spec = Store(tmp_path), refit_every(2)
    judged = put_table(store, make_table(), spec)

    def train(one):
        windows = make_windows(store, judged, one)
        return train_model(store, windows, one, AS_OF, {"table": "t"}, ignore_progress)

    (later,) = plan_refits(spec)
    first, second = train(spec), train(later)
    assert second.seen_until > first.seen_until
    models = {"challenger": first}
    found = backtest_models(store, RUN, judged.table, models, spec, (second,))
    panel = load_panel(store, judged.table, spec)
    asked = split_steps(int(panel.first.min()), panel.cutoff, spec).cutoffs
    errors = []
    for model, cutoffs in ((first, asked[:2]), (second, asked[2:])):
        windows, values = predict_quantiles(store, model.key, panel, cutoffs)
        errors.append(np.abs(values[:, :, 1] - take_actuals(panel, windows, spec)).ravel())
    expected = np.nanmean(np.concatenate(errors))
    assert found.scores[REFITTED]["mae"] == pytest.approx(expected, rel=1e-12)
    assert found.scores[REFITTED]["mae"] != found.scores["challenger"]["mae"]
    with pytest.raises(DataError, match="to have learned from targets until"):
        backtest_models(
            store, RUN, judged.table, {"challenger": first}, refit_every(1), (second,) * 2
        )

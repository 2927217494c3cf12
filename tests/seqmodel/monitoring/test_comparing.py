"""Published probabilities beside the classes that came: events, sequences, steps of a grid."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from seqmodel.classifying import arrange_classes
from seqmodel.forecasting import forecast_table
from seqmodel.grid import to_datetime, to_microseconds
from seqmodel.monitoring.comparing import BASELINE, FORECAST, compare_forecast
from seqmodel.monitoring.drifting import measure_distribution
from seqmodel.monitoring.live import score_published
from seqmodel.monitoring.watching import read_total, sum_live, watch
from seqmodel.scoring.class_metrics import LEAST
from seqmodel.scoring.protocol import Prediction
from seqmodel.specs import PipelineSpec
from seqmodel.store.bundles import DISTRIBUTION, model_key, read_model, write_bundle
from seqmodel.store.champion import Champion, swap_champion
from seqmodel.store.forecasts import forecast_key, publish_forecast, read_forecast
from seqmodel.store.refs import RunRef
from seqmodel.store.store import Store
from seqmodel.windowing import load_panel
from seqmodel.windows import index_cutoffs
from tests.seqmodel.classes import (
    MOMENT,
    START,
    make_event_spec,
    make_events,
    make_sequence_spec,
    make_sequences,
)
from tests.seqmodel.rich import replace
from tests.seqmodel.small import put_table
from tests.seqmodel.store.stored import Network

EVENTS = make_events(events=120).rename_columns(
    ["series_id", "timestamp", "target", "load", "fleet"]
)
SPEC = make_event_spec()
NAMES = ("A", "B", "C")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def night(day):
    return START + timedelta(days=day)


def run_of(day):
    return RunRef(pipeline="events", run=f"{night(day):%Y%m%dT%H%M%SZ}-r", as_of=night(day))


def put_night(store, day, table=EVENTS, spec=SPEC):
    """The table as it is in the morning of a day."""
    before = pc.less(table["timestamp"], pa.scalar(night(day), MOMENT))
    return put_table(store, table.filter(before), spec).table


def say(panel, probability=0.8, right=None):
    """A forecast of one next event a series: this much for one class, A or what will come."""
    index = index_cutoffs(panel.first, panel.offsets, 6, np.array([panel.cutoff]))
    sure = np.array([NAMES.index(right[i] if right else "A") for i in panel.ids])
    values = np.full((len(index), 1, 3), (1 - probability) / 2)
    values[np.arange(len(index)), 0, sure] = probability
    return index, Prediction(values, NAMES)


def find_next(table, moment):
    """Series -> the class of its first event after a moment, by a loop."""
    found = {}
    for row in table.sort_by("timestamp").to_pylist():
        if row["timestamp"] > moment:
            found.setdefault(row["series_id"], row["target"])
    return found


def publish(store, day, probability=0.8, version="v1", *, right=False, table=EVENTS):
    """The forecast of a morning."""
    ref = put_night(store, day, table)
    panel = load_panel(store, ref, SPEC)
    coming = find_next(table, ref.cutoff) if right else None
    index, said = say(panel, probability, coming)
    rows = arrange_classes(panel, index, said, to_microseconds(ref.cutoff), version)
    facts = {"cutoff": ref.cutoff.isoformat(), "model_version": version, "table": ref.fingerprint}
    publish_forecast(store, forecast_key("events", ref.cutoff), rows, facts)
    return ref.cutoff, rows


def look(store, day, table=EVENTS, spec=SPEC):
    return score_published(store, load_panel(store, put_night(store, day, table, spec), spec), spec)


def read(store, version="v1", day=99, spec=SPEC):
    live = sum_live(store, spec, version, night(day))
    return {name: read_total(live, name) for name in (FORECAST, BASELINE)}


def test_the_next_event_of_each_series_is_what_a_forecast_of_events_is_scored_with(store):
    cutoff, rows = publish(store, 4)
    scored, notes = look(store, 6)
    assert (len(scored), notes) == (1, [])
    coming = find_next(EVENTS, cutoff)
    assert len(set(coming.values())) > 1
    said = {row["series_id"]: row for row in rows.to_pylist()}
    own = [said[s][f"p_{label}"] for s, label in coming.items()]
    figures = read(store)[FORECAST]
    assert figures["log_loss"] == pytest.approx(-np.log(own).mean())
    hits = [said[s]["label"] == label for s, label in coming.items()]
    assert figures["accuracy"] == pytest.approx(np.mean(hits))


def test_the_sums_of_nights_add_up(store):
    for day, right in ((3, True), (4, False)):
        publish(store, day, right=right)
    look(store, 8)
    both = read(store)[FORECAST]
    single = read(store, day=3)[FORECAST]
    assert single["accuracy"] == 1
    assert single["log_loss"] == pytest.approx(-np.log(0.8))
    assert 0 < both["accuracy"] < 1
    assert both["log_loss"] > single["log_loss"]


@pytest.mark.parametrize("baseline", ["majority", "class_frequency", "markov", "single_feature"])
def test_a_forecast_of_the_baseline_scores_as_the_baseline_made_again(store, baseline):
    spec = make_event_spec(backtest={"baseline": baseline})
    forecast_table(store, put_night(store, 4, spec=spec), None, spec)
    look(store, 6, spec=spec)
    figures = read(store, "baseline", spec=spec)
    assert figures[FORECAST] == pytest.approx(figures[BASELINE], rel=1e-12)


def test_a_series_without_a_next_event_stays_open(store):
    cutoff, _ = publish(store, 4)
    ended = pc.and_(
        pc.equal(EVENTS["series_id"], "002"), pc.greater(EVENTS["timestamp"], pa.scalar(cutoff))
    )
    table = EVENTS.filter(pc.invert(ended))
    for _ in range(2):
        assert len(look(store, 6, table)[0]) == 1, "it is not complete"
    assert len(look(store, 6)[0]) == 1
    assert look(store, 6) == ([], [])


def test_tonights_forecast_of_events_is_not_scored(store):
    publish(store, 4)
    assert look(store, 4) == ([], [])


def test_a_class_that_the_forecast_does_not_know_is_a_miss(store):
    cutoff, _ = publish(store, 4)
    later = pc.greater(EVENTS["timestamp"], pa.scalar(cutoff))
    other = replace(EVENTS, "target", pc.if_else(later, "NEW", EVENTS["target"]).combine_chunks())
    look(store, 6, other)
    figures = read(store)[FORECAST]
    assert figures["accuracy"] == 0
    assert figures["log_loss"] == pytest.approx(-np.log(LEAST))


def test_a_probability_that_is_no_number_leaves_no_score(store):
    cutoff, rows = publish(store, 4)
    panel = load_panel(store, put_night(store, 6), SPEC)
    broken = replace(rows, "p_A", np.full(rows.num_rows, np.nan))
    parts = compare_forecast(broken, panel, SPEC).parts
    assert np.isnan(parts[FORECAST].sums["accuracy"]).all()
    assert np.isfinite(parts[BASELINE].sums["log_loss"]).all()
    assert cutoff == rows["cutoff"][0].as_py()


def test_a_forecast_of_quantiles_under_the_same_name_is_a_note(store):
    cutoff, rows = publish(store, 4)
    quantiles = rows.drop_columns(["label", "p_A", "p_B", "p_C"])
    publish_forecast(store, forecast_key("events", cutoff), quantiles, {})
    scored, notes = look(store, 6)
    assert scored == []
    assert "other steps or columns, needed 1 steps of p_<class>" in notes[0]


def test_sequences_are_scored_with_the_labels_that_they_get(store):
    spec = make_sequence_spec()
    table = make_sequences()
    full = table.select(["series_id", "timestamp", "label", "tokens", "shop"])
    full = full.rename_columns(["series_id", "timestamp", "target", "tokens", "shop"])
    full = full.set_column(3, "tokens", full["tokens"].cast(pa.list_(pa.string())))
    ref = put_table(store, full, spec).table
    forecast_table(store, ref, None, spec)
    rows = read_forecast(store.path(forecast_key("lists", ref.cutoff)))
    assert rows.num_rows == 10
    panel = load_panel(store, ref, spec)
    assert not compare_forecast(rows, panel, spec).parts[FORECAST].observed.any()
    labels = [*full["target"].to_pylist()[:-10], *["yes", "no"] * 4, None, None]
    told = load_panel(store, put_table(store, replace(full, "target", labels), spec).table, spec)
    scored, notes = score_published(store, told, spec)
    assert (len(scored), notes) == (1, [])
    found = compare_forecast(rows, told, spec)
    assert found.parts[FORECAST].observed.sum() == 8
    assert not found.complete
    sure = rows["p_yes"].to_numpy()[:8]
    losses = -np.log(np.where(np.arange(8) % 2, 1 - sure, sure))
    np.testing.assert_allclose(found.parts[FORECAST].sums["log_loss"][:8, 0], losses)
    # What the labels were then is all that the baseline counts.
    for name in ("log_loss", "accuracy"):
        np.testing.assert_allclose(*(found.parts[c].sums[name] for c in (FORECAST, BASELINE)))


def test_classes_on_a_grid_are_scored_step_by_step(store):
    rng = np.random.default_rng(0)
    hours = np.arange(240)
    moments = [night(0) + timedelta(hours=int(h)) for h in hours]
    states = np.where((hours % 24 < 8) ^ (rng.random(240) < 0.1), "off", "on")
    table = pa.table(
        {
            "series_id": ["a"] * 240 + ["b"] * 240,
            "timestamp": pa.array(moments * 2, MOMENT),
            "target": [*states, *states[::-1]],
        }
    )
    spec = PipelineSpec.model_validate(
        {
            "name": "events",
            "source": {"uri": "x", "freq": "h"},
            "window": {"lookback": 24, "horizon": 6},
            "output": {"kind": "binary", "positive": "on"},
            "backtest": {"cutoffs": 2},
        }
    )
    forecast_table(store, put_night(store, 8, table, spec), None, spec)
    assert len(look(store, 9, table, spec)[0]) == 1
    live = sum_live(store, spec, "baseline", night(9))
    steps = live.by("step", "candidate").measure()
    assert steps.num_rows == 12
    assert pc.all(pc.is_finite(steps["log_loss"])).as_py()
    assert look(store, 9, table, spec) == ([], [])


@pytest.fixture
def served(store):
    """v2 serves and knows what it has learned from, the events of four days."""
    ref = put_night(store, 4)
    seen = measure_distribution(load_panel(store, ref, SPEC), 0)
    figures = dict.fromkeys(("parameters", "epochs", "best_epoch", "holdout", "seconds"), 1)
    facts = {"version": "v2", "kind": "gru", "lookback": 6, "as_of": night(4).isoformat()}
    manifest = {**figures, **facts, "trained_until": ref.cutoff.isoformat()}
    manifest["spec"] = SPEC.model_dump(mode="json")
    write_bundle(store, model_key("events", "v2"), Network(), {}, manifest, {DISTRIBUTION: seen})
    new = Champion(version="v2", previous=None, reason="r", promoted_at=night(4))
    swap_champion(store, "events", new, None)
    return read_model(store, "events", "v2")


def test_a_watch_of_events_compares_log_losses_and_finds_nothing_in_a_calm_world(store, served):
    publish(store, 4, version="v2", right=True)
    found = watch(store, run_of(9), put_night(store, 9), served, SPEC)
    assert (found.action, found.notes, found.worse) == ("none", (), 0)
    assert found.live["log_loss"] < found.baseline["log_loss"]
    assert found.live["accuracy"] == 1
    assert "mase" not in found.live


def test_probabilities_worse_than_the_baselines_are_noted_after_the_days_declared(store, served):
    spec = make_event_spec(monitor={"days": 2})
    for day in (4, 5):
        publish(store, day, probability=1e-4, version="v2", right=True)
    found = watch(store, run_of(7), put_night(store, 7), served, spec)
    assert (found.action, found.worse) == ("note", 2)
    assert "live log_loss worse than the baseline's on 2 days in a row" in found.reasons[0]


@pytest.mark.parametrize("window", [None, 20])
def test_a_column_of_events_that_moved_after_training_has_drifted(store, served, window):
    after = EVENTS["timestamp"].cast(pa.int64()).to_numpy() >= to_microseconds(served.seen_until)
    moved = replace(EVENTS, "load", EVENTS["load"].to_numpy() + 5.0 * after)
    spec = make_event_spec(monitor={"window": window})
    calm = watch(store, run_of(9), put_night(store, 9), served, spec)
    assert calm.drifted == ()
    found = watch(store, run_of(9), put_night(store, 9, moved), served, spec)
    assert [one.split(":")[0] for one in found.drifted] == ["load"]
    assert found.action == "note"


def test_only_events_after_training_are_compared_with_it(store, served):
    panel = load_panel(store, put_night(store, 9), SPEC)
    border = panel.number_at(to_microseconds(served.seen_until))
    now = measure_distribution(panel, panel.cutoff, border)
    moments = EVENTS["timestamp"].to_pylist()
    late = [m for m in moments if served.seen_until < m < night(9)]
    assert now["target"]["rows"] == len(late)
    assert to_datetime(int(panel.moments.max())) < night(9)

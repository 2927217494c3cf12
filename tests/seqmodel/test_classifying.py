"""Events and sequences through the whole pipeline: ingest, windows, training, backtest, rows."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from seqmodel.backtesting import backtest_models, index_backtest
from seqmodel.classifying import drop_unsaid, predict_class_baseline
from seqmodel.encoding import encode_panel
from seqmodel.errors import DataError, SourceError
from seqmodel.exporting import export_model
from seqmodel.features import Preprocessor
from seqmodel.forecasting import forecast_table
from seqmodel.gathering import WindowReader
from seqmodel.grid import to_datetime, to_microseconds
from seqmodel.loading import load_model
from seqmodel.metrics import METRICS
from seqmodel.specs import PipelineSpec
from seqmodel.splitting import split_panel
from seqmodel.store.forecasts import read_forecast
from seqmodel.store.refs import RunRef, ValidatedTableRef
from seqmodel.store.store import Store
from seqmodel.store.tables import publish_table
from seqmodel.table.ingesting import ingest_table
from seqmodel.table.quality import Verdict
from seqmodel.table.reading import look_at
from seqmodel.training import train_model
from seqmodel.tuning import ClassJudge, run_trial
from seqmodel.windowing import cut_windows, load_panel, make_windows
from seqmodel.windows import index_cutoffs
from tests.seqmodel.classes import (
    HOUR,
    MOMENT,
    START,
    make_event_spec,
    make_events,
    make_sequence_spec,
    make_sequences,
    put_source,
)
from tests.seqmodel.small import ignore_progress

LATE = datetime(2024, 2, 1, tzinfo=UTC)


def ingest(root, table, make_spec, as_of=LATE, **sections):
    """Write a table as a source, and take it in."""
    store = Store(root / "data")
    spec = make_spec(put_source(root / "source", table), **sections)
    run = RunRef(pipeline=spec.name, run="run", as_of=as_of)
    ref = ingest_table(store, run, as_of, look_at(spec.source), spec)
    publish_table(store, ref)
    return store, spec, run, ref


def learn(store, spec, run, ref, parent=None):
    """Train on a table as the flow does."""
    judged = ValidatedTableRef(table=ref, verdict=Verdict(table=ref.fingerprint, rules=()))
    windows = make_windows(store, judged, spec)
    return train_model(store, windows, spec, run.as_of, {}, ignore_progress, parent, table=ref)


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    store, spec, run, ref = ingest(
        tmp_path_factory.mktemp("events"), make_events(), make_event_spec
    )
    model = learn(store, spec, run, ref)
    scores = backtest_models(store, run, ref, {"challenger": model}, spec)
    return store, spec, ref, model, scores


@pytest.fixture(scope="module")
def sequences(tmp_path_factory):
    root = tmp_path_factory.mktemp("lists")
    store, spec, run, ref = ingest(root, make_sequences(), make_sequence_spec)
    model = learn(store, spec, run, ref)
    scores = backtest_models(store, run, ref, {"challenger": model}, spec)
    return store, spec, ref, model, scores


def test_a_model_of_events_learns_what_the_last_class_does_not_tell(events):
    *_, scores = events
    assert scores.metric == "log_loss"
    assert not set(scores.scores["challenger"]) & set(METRICS)
    mine, base = scores.scores["challenger"], scores.scores["baseline"]
    assert mine["accuracy"] > base["accuracy"] + 0.1
    assert mine["log_loss"] < base["log_loss"]


@pytest.fixture(scope="module")
def two_nights(tmp_path_factory):
    """Bundles of two nights a day apart, the second goes on from the first."""
    root = tmp_path_factory.mktemp("nights")
    found = []
    for day in (4, 5):
        as_of = START + timedelta(days=day)
        train = {"warm_start": True, "warm_epochs": 1}
        store, spec, run, ref = ingest(root, make_events(), make_event_spec, as_of, train=train)
        parent = found[-1][2] if found else None
        found.append((run, ref, learn(store, spec, run, ref, parent)))
    return store, spec, *found


def test_the_next_night_goes_on_from_the_champion_and_is_compared_with_it(two_nights):
    store, spec, (_, _, before), (run, ref, after) = two_nights
    assert after.begun == f"from version {before.version}, night 1 since one from scratch"
    assert before.seen_until < after.seen_until
    scores = backtest_models(store, run, ref, {"challenger": after, "champion": before}, spec)
    assert set(scores.scores) == {"challenger", "champion", "baseline"}
    assert len(scores.cutoffs) == scores.asked == 2
    assert scores.notes == ()
    assert scores.paired["champion"].windows == scores.windows


def test_moments_that_the_champion_has_learned_from_are_not_scored(two_nights):
    """In a backfill the champion is of a later night than the challenger."""
    store, spec, (run, ref, early), (_, _, late) = two_nights
    panel = load_panel(store, ref, spec)
    known = [to_microseconds(one.seen_until) for one in (early, late)]
    many = spec.model_copy(update={"backtest": spec.backtest.model_copy(update={"cutoffs": 8})})
    cutoffs = split_panel(panel, many).cutoffs
    fresh = cutoffs[cutoffs >= known[1]]
    assert 0 < len(fresh) < len(cutoffs)
    scores = backtest_models(store, run, ref, {"challenger": early, "champion": late}, many)
    assert [to_microseconds(c) for c in scores.cutoffs] == fresh.tolist()
    targets = panel.moments[panel.seen & (panel.moments > fresh[0])]
    assert scores.windows == len(targets)
    assert f"has {len(fresh)} of 8 cutoffs" in scores.notes[0]


def test_a_trial_is_scored_by_the_log_loss_of_its_holdout(events):
    store, spec, ref, model, _ = events
    few = spec.model_copy(update={"train": spec.train.model_copy(update={"epochs": 2})})
    told = []
    answer = run_trial(store, ref, few, (), "events/t.npz", told.append)
    scores = {one["epoch"]: one["score"] for one in told if "score" in one}
    assert answer["score"] == pytest.approx(scores[answer["best_epoch"]], rel=1e-5)
    panel = load_panel(store, ref, spec)
    split = split_panel(panel, spec)
    cut = cut_windows(panel, spec)
    network, fitted, _ = load_model(store, model.key)
    judge = ClassJudge(panel, cut, spec)
    targets = panel.until(split.holdout) & ~panel.until(split.train) & panel.seen
    assert (judge.scoring.actual >= 0).sum() == targets.sum()
    assert judge.score(network) == pytest.approx(model.holdout, rel=1e-4)
    assert fitted.classes == judge.classes


def test_an_exported_version_names_its_classes(events, tmp_path):
    store, _, _, model, _ = events
    out = tmp_path / "out"
    export_model(store.path(model.key), "savedmodel", out)
    outputs = json.loads((out / "export.json").read_text())["outputs"]
    assert outputs["classes"] == ["A", "B", "C"]
    assert outputs["shape"][1:] == [1, 3]


def test_the_file_has_what_the_report_draws(events):
    store, _, _, _, scores = events
    written = store.read_json(scores.key)
    plots = written["classes"]
    assert plots["confusion"]["labels"] == ["A", "B", "C"]
    assert np.sum(plots["confusion"]["counts"]) == plots["targets"] == written["windows"]
    assert set(plots["reliability"]) == {"challenger", "baseline"}
    assert plots["unseen"] == 0
    assert list(written["by_cutoff"]["baseline"]) == written["cutoffs"]
    assert written["timeline"].splitlines()[0].startswith("training: ")


def test_of_many_classes_those_said_are_shown_beside_a_forecast(events):
    store, spec, ref, _, _ = events
    few = forecast_table(store, ref, None, spec)
    assert {"p_A", "p_B", "p_C"} <= set(few.head[0])
    names = [f"p_{i}" for i in range(20)]
    rows = pa.table({"label": ["3", "7", "3"], **{name: [0.1, 0.2, 0.3] for name in names}})
    assert drop_unsaid(rows).column_names == ["label", "p_3", "p_7"]


def test_events_are_divided_by_time_in_all_series_at_once(events):
    store, spec, ref, _, _ = events
    panel = load_panel(store, ref, spec)
    split = split_panel(panel, spec)
    trained, held = panel.until(split.train), panel.until(split.holdout)
    history = panel.number_of_row <= panel.cutoff
    parts = [panel.moments[m & history] for m in (trained, held & ~trained, ~held)]
    assert all(len(part) for part in parts)
    assert parts[0].max() < parts[1].min() <= parts[1].max() < parts[2].min()
    assert len(parts[2]) == pytest.approx(0.2 * history.sum(), abs=1)
    index = index_backtest(panel, split.cutoffs, spec)
    targets = index.starts + spec.window.lookback
    assert panel.moments[targets].min() == parts[2].min()
    assert len(targets) == len(parts[2])


@pytest.mark.parametrize("baseline", ["majority", "class_frequency", "markov", "single_feature"])
def test_a_baseline_says_probabilities_and_reads_nothing_after_the_border(events, baseline):
    store, spec, ref, _, _ = events
    chosen = spec.model_copy(
        update={"backtest": spec.backtest.model_copy(update={"baseline": baseline})}
    )
    panel = load_panel(store, ref, spec)
    split = split_panel(panel, spec)
    index = index_backtest(panel, split.cutoffs, spec)
    said, feature = predict_class_baseline(panel, index, chosen, split.holdout)
    np.testing.assert_allclose(said.values.sum(axis=-1), 1)
    assert bool(feature) is (baseline in {"markov", "single_feature"})
    panel.labels["target"].codes[~panel.until(split.holdout)] = 0
    again, _ = predict_class_baseline(panel, index.take(np.arange(1)), chosen, split.holdout)
    np.testing.assert_array_equal(said.values[:1], again.values)


def test_the_frequency_after_the_last_class_is_counted(events):
    store, spec, ref, _, _ = events
    panel = load_panel(store, ref, spec)
    names = ("A", "B", "C")
    codes = panel.labels["target"].codes
    counts = np.zeros((3, 3))
    for s in range(len(panel.ids)):
        own = codes[panel.offsets[s] : panel.offsets[s + 1] - 1]
        for before, after in pairwise(own):
            counts[before, after] += 1
    index = index_cutoffs(panel.first, panel.offsets, 6, np.array([panel.cutoff]))
    said, _ = predict_class_baseline(panel, index, spec, panel.cutoff)
    assert said.names == names
    last = codes[index.starts + 5]
    rough = counts[last] / counts[last].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(said.values[:, 0], rough, atol=0.05)


def test_the_forecast_has_the_layout_of_classes(events):
    store, spec, ref, model, _ = events
    forecast = forecast_table(store, ref, model, spec)
    rows = read_forecast(store.path(forecast.key))
    assert rows.column_names == [
        "series_id", "cutoff", "timestamp", "step", "label", "p_A", "p_B", "p_C", "model_version",
    ]  # fmt: skip
    assert rows["series_id"].to_pylist() == [f"{s:03}" for s in range(6)]
    # Nobody says when the next event will be.
    assert rows["timestamp"].null_count == rows.num_rows
    said = np.stack([rows[f"p_{c}"].to_numpy() for c in "ABC"], axis=1)
    np.testing.assert_allclose(said.sum(axis=1), 1)
    assert rows["label"].to_pylist() == ["ABC"[i] for i in said.argmax(axis=1)]
    baseline = read_forecast(store.path(forecast_table(store, ref, None, spec).key))
    assert set(baseline["model_version"].to_pylist()) == {"baseline"}


def test_garbage_after_a_cutoff_changes_no_bit_of_a_window_of_events(events):
    store, spec, ref, _, _ = events
    panel = load_panel(store, ref, spec)
    split = split_panel(panel, spec)
    index = index_backtest(panel, split.cutoffs, spec)
    first = index.take(np.unique(index.series, return_index=True)[1])
    found = []
    for garbage in (False, True):
        if garbage:
            later = ~panel.until(split.holdout)
            panel.labels["target"].codes[later] = 1
            panel.values["load"][later] = 1e6
            panel.moments[later] += 1000 * HOUR
        fitted = Preprocessor.fit(panel, spec, split.train)
        rows = encode_panel(fitted, panel, until=split.holdout)
        found.append((fitted.to_json(), WindowReader(rows, fitted.cut(spec)).read(first).inputs))
    assert found[0][0] == found[1][0]
    for name, array in found[0][1].items():
        assert array.tobytes() == found[1][1][name].tobytes(), name


def test_the_pause_before_an_event_is_an_input_in_logarithms(events):
    store, spec, ref, _, _ = events
    panel = load_panel(store, ref, spec)
    fitted = Preprocessor.fit(panel, spec, panel.cutoff)
    assert fitted.past_names[:4] == ("target", "observed", "load", "since")
    rows = encode_panel(fitted, panel, until=panel.cutoff)
    pause = np.diff(panel.moments[:5]) / 1e6
    np.testing.assert_allclose(rows.values[1:5, 3], np.log1p(pause) / np.log1p(86_400), rtol=1e-6)
    assert rows.values[0, 3] == 0
    assert (rows.values[:, 0] == 0).all()  # a class has no size


def test_known_columns_of_the_next_event_come_from_rows_after_the_cutoff(tmp_path):
    table = make_events(3, 40)
    as_of = to_datetime(int(np.sort(table["timestamp"].cast(pa.int64()).to_numpy())[-20]) + 1)
    source = {"past": [], "known": ["load"]}
    store, spec, _, ref = ingest(tmp_path, table, make_event_spec, as_of, source=source)
    assert 0 < ref.future <= 3
    panel = load_panel(store, ref, spec)
    moments = table["timestamp"].cast(pa.int64()).to_numpy()
    ids = np.array(table["series_id"].to_pylist())
    for s, name in enumerate(panel.ids):
        coming = (ids == name) & (moments > int(as_of.timestamp() * 1e6))
        row = panel.offsets[s + 1] - 1
        if coming.any():
            wanted = table.filter(pa.array(coming)).sort_by("timestamp")
            assert panel.values["load"][row] == wanted["load"][0].as_py()
            assert panel.moments[row] == wanted["timestamp"].cast(pa.int64())[0].as_py()
        else:
            assert np.isnan(panel.values["load"][row])


def test_a_forecast_of_events_is_refused_where_none_is_planned(tmp_path):
    source = {"past": [], "known": ["load"]}
    store, spec, _, ref = ingest(tmp_path, make_events(3, 40), make_event_spec, source=source)
    with pytest.raises(DataError, match=r"found no event after .* bring rows of what is planned"):
        forecast_table(store, ref, None, spec)


def test_a_model_of_sequences_beats_the_frequency_of_labels(sequences):
    *_, scores = sequences
    mine, base = scores.scores["challenger"], scores.scores["baseline"]
    assert base["roc_auc"] == 0.5
    assert mine["roc_auc"] > 0.7


def test_sequences_without_a_label_are_told(sequences):
    store, spec, ref, model, _ = sequences
    rows = read_forecast(store.path(forecast_table(store, ref, model, spec).key))
    assert rows["series_id"].to_pylist() == [f"s{i:04}" for i in range(190, 200)]
    assert rows.column_names[4:7] == ["label", "p_no", "p_yes"]


def test_where_every_sequence_has_its_label_nothing_is_forecast(sequences):
    store, spec, _, model, _ = sequences
    table = make_sequences()
    told = table.filter(pc.is_valid(table["label"]))
    folder = put_source(store.root.parent / "told", told)
    changed = spec.model_copy(
        update={"source": spec.source.model_copy(update={"uri": str(folder)})}
    )
    run = RunRef(pipeline=spec.name, run="told", as_of=LATE)
    ref = ingest_table(store, run, LATE, look_at(changed.source), changed)
    publish_table(store, ref)
    for serving in (None, model):
        forecast = forecast_table(store, ref, serving, changed)
        assert (forecast.rows, forecast.series, forecast.head) == (0, 0, ())
        rows = read_forecast(store.path(forecast.key))
        assert rows.column_names[4:7] == ["label", "p_no", "p_yes"]


def test_a_sequence_longer_than_the_lookback_is_truncated_from_the_left_and_counted(sequences):
    store, spec, ref, _, _ = sequences
    lengths = [len(t) for t in make_sequences()["tokens"].to_pylist()]
    assert ref.ledger.truncated == sum(n > spec.window.lookback for n in lengths) > 0
    assert ref.ledger.balances
    written = store.read_json("lists/reports/run/ledger.json")
    assert written["truncated"] == ref.ledger.truncated
    panel = load_panel(store, ref, spec)
    fitted = Preprocessor.fit(panel, spec, panel.cutoff)
    reader = WindowReader(encode_panel(fitted, panel, until=panel.cutoff), fitted.cut(spec))
    index = index_cutoffs(panel.first, panel.offsets, 8, np.array([panel.cutoff]))
    untold = index.take(np.flatnonzero(index.series >= 190))
    codes = reader.read(untold).inputs["past_codes"][:, :, 0]
    vocabulary = ("", *fitted.categories["tokens"])
    for window, tokens in zip(codes, make_sequences()["tokens"].to_pylist()[190:], strict=True):
        newest = [str(t) for t in tokens[-8:]]
        assert [vocabulary[c] for c in window] == [""] * (8 - len(newest)) + newest


def replace(table, name, values, kind=None):
    return table.set_column(table.schema.get_field_index(name), name, pa.array(values, kind))


def test_unusable_sequences_are_set_aside_with_their_reason(tmp_path):
    table = make_sequences(80)
    tokens = table["tokens"].to_pylist()
    tokens[3], tokens[5] = [], None
    weights = [[float(x) for x in t or [0]] for t in tokens]
    weights[7] = [*weights[7], 1.0]
    table = replace(table, "tokens", tokens, pa.list_(pa.int64()))
    table = table.append_column("weights", pa.array(weights, pa.list_(pa.float64())))
    source = {"past": ["tokens", "weights"]}
    quality = {"max_quarantined": 0.1}
    store, _, _, ref = ingest(tmp_path, table, make_sequence_spec, source=source, quality=quality)
    assert (ref.ledger.quarantined, ref.ledger.kept) == (3, 77)
    reasons = pa.parquet.read_table(store.path(ref.quarantine))["reason"].to_pylist()
    assert sorted(reasons) == [
        "tokens is empty: a sequence has one element at least",
        "tokens is empty: a sequence has one element at least",
        "weights is not as long as tokens",
    ]


def test_lists_of_words_are_names_and_lists_of_fractions_are_scaled_numbers(tmp_path):
    table = make_sequences(80)
    tokens = table["tokens"].to_pylist()
    weights = [[t + 0.5 for t in one] for one in tokens]
    table = replace(table, "tokens", [[f"w{t}" for t in one] for one in tokens])
    table = table.append_column("weights", pa.array(weights, pa.list_(pa.float32())))
    source = {"past": ["tokens", "weights"]}
    store, spec, _, ref = ingest(tmp_path, table, make_sequence_spec, source=source)
    panel = load_panel(store, ref, spec)
    fitted = Preprocessor.fit(panel, spec, panel.cutoff)
    assert set(fitted.categories["tokens"]) == {f"w{i}" for i in range(-2, 9)}
    rows = encode_panel(fitted, panel, until=panel.cutoff)
    said = panel.labels["tokens"].codes >= 0
    names = np.array(panel.labels["tokens"].names)[panel.labels["tokens"].codes[said]]
    column = rows.values[said, fitted.past_names.index("weights")]
    plain = np.array([float(name[1:]) + 0.5 for name in names])
    np.testing.assert_allclose(column, (plain - plain.mean()) / plain.std(), atol=0.05)


@pytest.mark.parametrize(
    ("kind", "labels", "says"),
    [
        ("binary", ["yes"] * 40, "found the single class 'yes' in target 'label'"),
        ("binary", [None] * 40, "found no label in target 'label'"),
        ("binary", ["a", "b", "c", "d"] * 10, "found 4 classes in target 'label'"),
        ("categorical", [1] * 40, "found the single class '1'"),
    ],
)
def test_labels_that_make_no_question_are_refused(tmp_path, kind, labels, says):
    table = replace(make_sequences(40), "label", labels, None if labels[0] else pa.string())
    with pytest.raises(DataError, match=says):
        ingest(tmp_path, table, make_sequence_spec, output={"kind": kind})


def test_an_unknown_positive_class_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"found no class 'ja' in target 'label' \(it has 'no'"):
        ingest(tmp_path, make_sequences(40), make_sequence_spec, output={"positive": "ja"})


def test_two_sequences_of_one_series_are_refused(tmp_path):
    table = make_sequences(40)
    table = replace(table, "series_id", ["same"] * 2 + table["series_id"].to_pylist()[2:])
    with pytest.raises(DataError, match="40 sequences of 39 series, needed one row a series"):
        ingest(tmp_path, table, make_sequence_spec)


def test_lists_of_another_type_in_another_file_are_refused(tmp_path):
    table = make_sequences(40)
    words = [[f"w{x}" for x in t] for t in table["tokens"].to_pylist()]
    put_source(tmp_path / "source", replace(table, "tokens", words), "other")
    with pytest.raises(SourceError, match=r"column 'tokens' .* needed lists of"):
        ingest(tmp_path, table, make_sequence_spec)


def test_a_class_never_seen_in_training_is_a_miss_and_counted(events):
    store, spec, _, model, _ = events
    table = make_events()
    moments = table["timestamp"].cast(pa.int64()).to_numpy()
    newest = np.argsort(moments)[-3:]
    places = table["place"].to_pylist()
    for row in newest:
        places[row] = "NEW"
    folder = put_source(store.root.parent / "other", replace(table, "place", places))
    source = spec.source.model_copy(update={"uri": str(folder)})
    run = RunRef(pipeline=spec.name, run="other", as_of=LATE)
    changed = spec.model_copy(update={"source": source})
    ref = ingest_table(store, run, LATE, look_at(source), changed)
    publish_table(store, ref)
    scores = backtest_models(store, run, ref, {"challenger": model}, changed)
    written = store.read_json(scores.key)
    assert written["classes"]["unseen"] == 3
    confusion = written["classes"]["confusion"]
    assert confusion["labels"] == ["A", "B", "C", "NEW"]
    counts = np.array(confusion["counts"])
    assert counts[3].sum() == 3
    assert counts[:, 3].sum() == 0
    assert scores.scores["challenger"]["accuracy"] <= 1 - 3 / counts.sum()


def test_a_class_with_one_example_is_learned_or_left_out_by_the_minimum(tmp_path):
    table = make_events(4, 40)
    places = table["place"].to_pylist()
    places[0] = "RARE"
    store, spec, _, ref = ingest(tmp_path, replace(table, "place", places), make_event_spec)
    panel = load_panel(store, ref, spec)
    split = split_panel(panel, spec)
    kept = Preprocessor.fit(
        panel, make_event_spec(output={"class_weight": "balanced"}), split.train
    )
    assert kept.classes == ("A", "B", "C", "RARE")
    assert kept.weights[3] > 10 * max(kept.weights[:3])
    counts = np.bincount(panel.labels["target"].codes[panel.until(split.train) & panel.seen])
    assert np.dot(counts, kept.weights) == pytest.approx(counts.sum())
    left = Preprocessor.fit(panel, make_event_spec(features={"minimum_count": 2}), split.train)
    assert left.classes == ("A", "B", "C")
    rows = encode_panel(left, panel, until=split.train)
    assert rows.target[0] == -1
    assert rows.codes[0, 0] == 0


def test_a_single_class_in_the_training_rows_is_refused(tmp_path):
    table = make_events(4, 40)
    moments = table["timestamp"].cast(pa.int64()).to_numpy()
    early = moments < np.quantile(moments, 0.9)
    places = np.where(early, "A", np.array(table["place"].to_pylist())).tolist()
    store, spec, _, ref = ingest(tmp_path, replace(table, "place", places), make_event_spec)
    panel = load_panel(store, ref, spec)
    with pytest.raises(DataError, match="found 'A' alone in the training rows of target 'place'"):
        Preprocessor.fit(panel, spec, split_panel(panel, spec).train)


def test_the_preprocessor_of_classes_survives_json(events):
    store, spec, ref, _, _ = events
    panel = load_panel(store, ref, spec)
    fitted = Preprocessor.fit(panel, spec, panel.cutoff)
    again = Preprocessor.from_json(fitted.to_json())
    assert again == fitted
    assert again.classes == ("A", "B", "C")


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({"scaling": {"window": "standard"}}, "found scaling.window 'standard' with output.kind"),
        ({"scaling": {"series": "robust"}}, "found scaling.series 'robust'"),
        ({"model": {"kind": "segment", "normalise": "seasonal"}}, "found model.normalise"),
        ({"features": {"lags": [24]}}, "found features.lags"),
        ({"features": {"age": True}}, "source.freq none, needed False: events have no grid"),
        ({"grid": {"fill": "forward"}}, "found grid.fill 'forward'"),
        ({"forecast": {"whole": True}}, "found forecast.whole 'all'"),
        ({"backtest": {"baseline": "drift"}}, "found backtest.baseline drift"),
        ({"promotion": {"metric": "mase"}}, "found promotion.metric mase"),
        ({"promotion": {"metric": "roc_auc"}}, "found promotion.metric roc_auc"),
        ({"output": {"kind": "categorical", "positive": "A"}}, "found output.positive 'A'"),
        ({"output": {"kind": "quantiles"}}, "source.categorical with output.kind 'quantiles'"),
        ({"source": {"past": ["place"]}}, "found column 'place' as target and as input"),
        ({"source": {"static": ["place"]}}, "found column 'place' as target and as input"),
        ({"source": {"layout": "wide"}}, "with source.layout wide"),
    ],
)
def test_knobs_that_do_not_go_with_a_class_are_refused_in_one_sentence(sections, says):
    base = make_event_spec().model_dump(mode="json", exclude_unset=True)
    for name, section in sections.items():
        base[name] = {**base.get(name, {}), **section}
    with pytest.raises(ValueError, match=says) as caught:
        PipelineSpec.model_validate(base)
    assert "\n" not in str(caught.value.errors()[0]["ctx"]["error"])


def test_the_newest_events_of_a_later_night_continue_the_numbers(tmp_path):
    """A panel read at two moments differs in nothing before the earlier one but its numbers."""
    table = make_events(3, 40)
    moments = np.sort(table["timestamp"].cast(pa.int64()).to_numpy())
    panels = []
    for name, moment in (("a", moments[60]), ("b", moments[-1])):
        as_of = to_datetime(int(moment)) + timedelta(seconds=1)
        store, spec, _, ref = ingest(tmp_path / name, table, make_event_spec, as_of)
        panels.append(load_panel(store, ref, spec))
    early, late = panels
    for s, name in enumerate(early.ids):
        own = early.moments[early.offsets[s] : early.offsets[s + 1] - 1]
        other = late.ids.index(name)
        begin = late.offsets[other]
        np.testing.assert_array_equal(own, late.moments[begin : begin + len(own)])


def test_a_table_of_text_timestamps_keeps_labels_as_text(tmp_path):
    table = make_events(2, 30, places=["001", "1", "2"])
    store, spec, _, ref = ingest(tmp_path, table, make_event_spec)
    panel = load_panel(store, ref, spec)
    assert panel.labels["target"].names == ("001", "1", "2")
    assert pc.is_in(table["timestamp"], value_set=table["timestamp"]).type == pa.bool_()
    assert table["timestamp"].type == MOMENT

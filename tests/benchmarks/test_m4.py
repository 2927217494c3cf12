"""The benchmark in the layout of M4: forecasts, figures, what it refuses."""

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from seqmodel.errors import DataError, SpecError
from tests.benchmarks import m4, m4_files, recipes
from tests.benchmarks.naive2 import is_seasonal, predict_naive2

SEASON, HORIZON = 4, 6


def make_series(count=6, shift=100.0, shortest=40):
    rng = np.random.default_rng(0)
    found = {}
    for number in range(count):
        t = np.arange(shortest + 7 * number)
        wave = 5 * np.sin(2 * np.pi * t / SEASON + number)
        found[f"Q{number + 1}"] = shift + 0.3 * t + wave + rng.normal(0, 1, len(t))
    return found


def write_files(folder, series, horizon=HORIZON):
    """A line a series, blanks at the end, in no order."""
    parts = {
        "train": {name: one[:-horizon] for name, one in series.items()},
        "test": {name: one[-horizon:] for name, one in series.items()},
    }
    paths = []
    for part, found in parts.items():
        width = max(map(len, found.values()))
        with (folder / f"{part}.csv").open("w", newline="") as file:
            out = csv.writer(file, quoting=csv.QUOTE_ALL)
            out.writerow([f"V{place + 1}" for place in range(width + 1)])
            for name in reversed(found):
                cells = [repr(float(v)) for v in found[name]]
                out.writerow([name, *cells, *[""] * (width - len(cells))])
        paths.append(folder / f"{part}.csv")
    return paths


def write_words(folder, *more, season=SEASON):
    files = ["--train", str(folder / "train.csv"), "--test", str(folder / "test.csv")]
    return [*files, "--season", str(season), "--out", str(folder / "f.parquet"), "--quick", *more]


def run_here(function, job, tell, **_):
    return getattr(m4, function.split(":")[1])(job, tell)


def run_main(words, patch):
    printed = []
    patch.setattr(m4, "run_in_child", run_here)
    patch.setattr(m4, "print", lambda line, **_: printed.append(line), raising=False)
    m4.main(words)
    return json.loads(printed[-1])


@pytest.fixture(scope="module", autouse=True)
def without_xla():
    """Compiling takes most of the time of a fit this small."""
    import keras

    compile_model = keras.Model.compile
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            keras.Model, "compile", lambda *a, **k: compile_model(*a, **{**k, "jit_compile": False})
        )
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("m4")
    series = make_series()
    write_files(folder, series)
    with pytest.MonkeyPatch.context() as patch:
        return folder, series, run_main(write_words(folder), patch)


def test_each_series_and_step_is_forecast_once(finished):
    folder, series, _ = finished
    rows = pq.read_table(folder / "f.parquet").to_pydict()
    expected = [(name, step + 1) for name in sorted(series) for step in range(HORIZON)]
    assert list(zip(rows["series_id"], rows["step"], strict=True)) == expected
    levels = [name for name in rows if name.startswith("q")]
    assert "q0.5" in levels
    assert np.isfinite([rows[name] for name in levels]).all()


def test_an_independent_scorer_agrees(finished):
    folder, series, figures = finished
    smape, mase = [], []
    rows = pq.read_table(folder / "f.parquet").to_pylist()
    for name, one in series.items():
        forecast = [row["q0.5"] for row in rows if row["series_id"] == name]
        past, actual = one[:-HORIZON], one[-HORIZON:]
        unit = np.mean([abs(past[i] - past[i - SEASON]) for i in range(SEASON, len(past))])
        for f, y in zip(forecast, actual, strict=True):
            smape.append(200 * abs(y - f) / (abs(y) + abs(f)))
            mase.append(abs(y - f) / unit)
    assert figures["smape"] == pytest.approx(np.mean(smape), abs=1e-6)
    assert figures["mase"] == pytest.approx(np.mean(mase), abs=1e-6)
    reference = (
        figures["smape"] / figures["naive2_smape"] + figures["mase"] / figures["naive2_mase"]
    )
    assert figures["owa"] == pytest.approx(reference / 2, abs=1e-6)


def test_the_line_has_the_keys_agreed_upon(finished):
    assert {"smape", "mase", "seconds", "parameters"} <= set(finished[2])


def test_what_is_done_is_scored_again_and_not_repeated(finished, monkeypatch, capsys):
    folder, _, figures = finished
    monkeypatch.setattr(m4, "run_in_child", None)
    m4.main(write_words(folder))
    assert json.loads(capsys.readouterr().out) == figures


@pytest.mark.long
@pytest.mark.parametrize(("season", "shift"), [(1, 0.0), (12, 0.0), (24, 100.0)])
def test_short_series_without_a_season_and_below_zero_are_forecast(
    tmp_path, monkeypatch, season, shift
):
    write_files(tmp_path, make_series(shift=shift, shortest=19))
    figures = run_main(write_words(tmp_path, season=season), monkeypatch)
    assert np.isfinite(figures["smape"])


def test_going_back_scores_inside_the_training_file(finished):
    folder, series, _ = finished
    asked = m4.parse(write_words(folder, "--back", "2"))
    history, actual = m4_files.read_both(asked)
    for row, (name, past) in enumerate(history.items()):
        whole = series[name][:-HORIZON]
        np.testing.assert_allclose(past, whole[: -2 * HORIZON])
        np.testing.assert_allclose(actual[row], whole[-2 * HORIZON : -HORIZON])


@pytest.mark.parametrize(("cycle", "held"), [(None, 6), (8, 8)])
def test_no_training_window_has_a_target_that_intervals_are_calibrated_on(cycle, held):
    horizon = 6
    series = make_series(count=9, shortest=12)  # 12, 19, ..., 68 steps
    panel = m4_files.make_panel(dict(sorted(series.items())), horizon)
    recipe = recipes.choose_recipe(recipes.FOLDER / "m4.yaml", (), quick=True)
    spec = recipes.fill_recipe(
        recipe, name="m4", freq="h", season=4, cycle=cycle, lookback=12, horizon=horizon
    )
    stored = m4.cut_panel(panel, spec)
    ends = panel.offsets[1:] - horizon  # beyond the newest observed row
    newest = []
    for index in (stored.train, stored.holdout):
        windows = index.all()
        targets = windows.starts + spec.window.lookback + horizon
        newest.append([int((targets[windows.series == s]).max(initial=0)) for s in range(9)])
    # Of the shortest, the first, nothing would be left to train on: it is trained on whole.
    parted = [s in (4, 8) for s in range(9)]
    assert newest[0] == [end - held * one for end, one in zip(ends, parted, strict=True)]
    assert newest[1] == [end * one for end, one in zip(ends, parted, strict=True)]
    first = stored.holdout.all().take(slice(0, 1))
    assert first.starts[0] + spec.window.lookback >= newest[0][4]


@pytest.mark.parametrize(
    ("part", "line", "sentence"),
    [
        ("test", '"Q9","1","2","3","4","5","6"', "found 1 series in only one of"),
        ("test", '"Q1","1","2","3","4","5","6"', "found series 'Q1' twice"),
        ("train", '"Q9","1","x","3"', "found series 'Q9' of train.csv empty, with text"),
        ("train", '"Q9","1","","3"', "with a gap"),
        ("train", '"Q9","",""', "empty"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, part, line, sentence):
    write_files(tmp_path, make_series())
    path = tmp_path / f"{part}.csv"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataError, match=sentence):
        m4.main(write_words(tmp_path))


def test_a_test_file_of_several_widths_or_a_season_of_none_is_refused(tmp_path):
    write_files(tmp_path, make_series())
    with pytest.raises(SpecError, match="found --season 0"):
        m4.main(write_words(tmp_path, season=0))
    path = tmp_path / "test.csv"
    path.write_text(path.read_text().replace('"Q1",', '"Q1","1",'))
    with pytest.raises(DataError, match="found series of 6 to 7 steps"):
        m4.main(write_words(tmp_path))


@pytest.mark.parametrize(
    ("season", "cycle", "horizon", "lookback"),
    [(24, 168, 48, 336), (1, None, 6, 18), (4, None, 8, 24), (12, None, 18, 60), (1, None, 14, 42)],
)
def test_the_lookback_suits_season_and_horizon(season, cycle, horizon, lookback):
    history = {"a": np.zeros(1000)}
    assert m4.choose_cycle(season) == cycle
    assert m4.choose_lookback(history, season, cycle, horizon) == lookback


@pytest.mark.parametrize(
    ("lengths", "lookback", "horizon", "least"),
    [
        ([700, 960], 336, 48, 336),
        ([19, 300], 18, 6, 18),
        ([25, 26], 18, 6, 13),
        ([13], 18, 6, 6),
        ([8], 8, 6, 2),
    ],
)
def test_training_windows_are_as_long_as_most_series_allow(lengths, lookback, horizon, least):
    history = {str(place): np.zeros(length) for place, length in enumerate(lengths)}
    assert m4.choose_history(history, lookback, horizon) == least


def test_a_lookback_is_no_longer_than_the_longest_series():
    assert m4.choose_lookback({"a": np.zeros(13)}, 1, None, 6) == 13


def test_series_that_never_change_have_neither_mase_nor_owa(tmp_path):
    history = {name: np.full(20, value) for name, value in (("a", 3.0), ("b", 0.0))}
    actual = np.stack([one[:HORIZON] for one in history.values()])
    m4_files.write_forecasts(tmp_path / "f.parquet", list(history), actual[:, :, None], (0.5,))
    found = m4_files.score_forecasts(tmp_path / "f.parquet", history, actual, SEASON, (0.5,))
    assert (found["mase"], found["owa"]) == (None, None)
    assert found["smape"] == 0
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_naive2_repeats_the_newest_value_where_there_is_no_season():
    walk = np.cumsum(np.random.default_rng(0).normal(size=60)) + 50
    np.testing.assert_array_equal(predict_naive2(walk, 1, 3), [walk[-1]] * 3)
    noise = 50 + np.random.default_rng(1).normal(size=60)
    assert not is_seasonal(noise, 4)
    np.testing.assert_array_equal(predict_naive2(noise, 4, 3), [noise[-1]] * 3)


@pytest.mark.parametrize("season", [4, 7])
def test_naive2_repeats_a_multiplicative_season_exactly(season):
    indices = 1 + 0.5 * np.sin(2 * np.pi * np.arange(season) / season)
    history = 80 * indices[np.arange(10 * season + 2) % season]
    expected = 80 * indices[np.arange(10 * season + 2, 10 * season + 7) % season]
    assert is_seasonal(history, season)
    np.testing.assert_allclose(predict_naive2(history, season, 5), expected)

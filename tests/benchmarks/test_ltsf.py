"""The long-horizon benchmark: protocol, files, figures, what it refuses."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from seqmodel.errors import DataError, SpecError
from tests.benchmarks import ltsf, ltsf_parts, recipes, wide
from tests.benchmarks.learning import run_program
from tests.benchmarks.measuring import ROOT

PARTS = (300, 100, 100)
LOOKBACK, HORIZON = 48, 12
NAMES = ("z", "b", "a")


def make_file(folder, rows=520, freq="h"):
    """Three columns of unlike size, not in the order of their names."""
    rng, t = np.random.default_rng(0), np.arange(rows)
    columns = {
        name: 50 * place + (place + 1) * np.sin(2 * np.pi * (t + place) / 24)
        for place, name in enumerate(NAMES)
    }
    dates = pd.date_range("2020-01-01", periods=rows, freq=freq)
    frame = pd.DataFrame({"date": dates, **columns})
    frame[list(NAMES)] += rng.normal(0, 0.1, (rows, 3))
    path = folder / "made.csv"
    frame.to_csv(path, index=False)
    return path


def write_words(path, out, *more):
    parts = [str(part) for part in PARTS]
    words = ["--data", str(path), "--parts", *parts, "--lookback", str(LOOKBACK)]
    return [*words, "--horizons", str(HORIZON), "--out", str(out), "--quick", *more]


def run_here(function, job, tell, **_):
    """In this process, where Keras is loaded already."""
    return getattr(ltsf, function.split(":")[1])(job, tell)


def run_main(words, capsys):
    ltsf.main(words)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


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
    """One run: the file, the folder of its output, and the lines it printed."""
    folder = tmp_path_factory.mktemp("ltsf")
    path = make_file(folder)
    printed = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ltsf, "run_in_child", run_here)
        patch.setattr(ltsf, "print", lambda line, **_: printed.append(line), raising=False)
        ltsf.main(write_words(path, folder / "out"))
    return path, folder / "out", [json.loads(line) for line in printed]


def test_every_test_window_is_predicted_in_the_order_of_the_file(finished):
    path, out, _ = finished
    frame = pd.read_csv(path)[list(NAMES)]
    train = frame.iloc[: PARTS[0]]
    scores = ((frame - train.mean()) / train.std(ddof=0)).to_numpy()
    first = PARTS[0] + PARTS[1]
    windows = [scores[first + n : first + n + HORIZON] for n in range(PARTS[2] - HORIZON + 1)]
    actual = np.load(out / f"true_{HORIZON}.npy")
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, windows, atol=1e-5)
    forecast = np.load(out / f"pred_{HORIZON}.npy")
    assert (forecast.dtype, forecast.shape) == (np.float32, actual.shape)
    # Columns are not mixed up: a forecast by the newest value is nearest to its own column.
    near = np.abs(forecast[:, 0, :, None] - actual[:, 0, None, :]).mean(axis=0)
    assert np.isfinite(near).all()


def test_an_independent_scorer_agrees(finished):
    _, out, (line,) = finished
    forecast, actual = (np.load(out / f"{name}_{HORIZON}.npy") for name in ("pred", "true"))
    total = square = count = 0.0
    for ours, theirs in zip(forecast.ravel().tolist(), actual.ravel().tolist(), strict=True):
        total, square, count = total + abs(ours - theirs), square + (ours - theirs) ** 2, count + 1
    assert line["mae"] == pytest.approx(total / count, abs=1e-6)
    assert line["mse"] == pytest.approx(square / count, abs=1e-6)


def test_the_line_has_the_keys_agreed_upon(finished):
    (line,) = finished[2]
    keys = {"data", "lookback", "horizon", "mse", "mae", "seconds", "parameters"}
    assert keys <= set(line)
    assert (line["data"], line["lookback"], line["horizon"]) == ("made.csv", LOOKBACK, HORIZON)
    assert line["parameters"] > 0


def test_a_finished_horizon_is_not_repeated(finished, monkeypatch, capsys):
    path, out, lines = finished
    monkeypatch.setattr(ltsf, "run_in_child", None)
    assert run_main(write_words(path, out), capsys) == lines
    with pytest.raises(TypeError):  # another seed is another training
        ltsf.main(write_words(path, out, "--set", "train.seed=1"))


@pytest.mark.long
def test_a_killed_training_goes_on_where_it_stood(tmp_path, monkeypatch, capsys):
    words = write_words(make_file(tmp_path), tmp_path / "out", "--set", "train.epochs=2")
    told = []

    class Killer:
        def __init__(self, title):
            del title

        def __call__(self, figures):
            told.append(figures.get("epoch"))
            if told == [1, 1, 2]:
                raise KeyboardInterrupt

    monkeypatch.setattr(ltsf, "run_in_child", run_here)
    monkeypatch.setattr(ltsf, "Teller", Killer)
    monkeypatch.setattr("seqmodel.training.fitting.REPORT_EVERY", 0.0)
    with pytest.raises(KeyboardInterrupt):
        ltsf.main(words)
    told.clear()
    (line,) = run_main(words, capsys)
    assert told[0] == 2  # of the first network; the second begins at 1
    assert line["epochs"] == [2, 2]


def test_the_test_part_reaches_neither_training_nor_the_choice_of_an_epoch(tmp_path):
    asked = ltsf.parse(write_words(make_file(tmp_path), tmp_path))
    found = wide.read_wide(asked.data)
    recipe = recipes.choose_recipe(asked.spec, (), quick=True)
    spec = recipes.fill_recipe(
        recipe, name="ltsf", freq="h", season=24, cycle=168, lookback=LOOKBACK, horizon=HORIZON
    )
    seen = []
    for change in (0.0, 1000.0):
        values = wide.scale_wide(found, PARTS[0])
        values[sum(PARTS[:2]) :] += change
        stored = ltsf_parts.cut_parts(wide.make_panel(found, values), spec, PARTS)
        reader = stored.reader(spec)
        seen.append([reader.read(part.all()) for part in (stored.train, stored.holdout)])
    for before, after in zip(*seen, strict=True):
        np.testing.assert_array_equal(before.inputs["past"], after.inputs["past"])
        np.testing.assert_array_equal(before.targets, after.targets)
    # The holdout is whole: its lookbacks reach back into the training part.
    assert len(seen[0][1].targets) == 3 * (PARTS[1] - HORIZON + 1)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda f: f.rename(columns={"date": "when"}), "found no column 'date'"),
        (lambda f: f.assign(b=f["b"].astype(str).where(f.index != 7, "?")), "found '?' in column"),
        (lambda f: f.assign(b=np.inf), "found 'inf' in column 'b', row 1"),
        (lambda f: f.assign(date="soon"), "found 'soon' in column 'date', row 1"),
        (lambda f: f[::-1], "do not go forward"),
        (lambda f: f[:400], "found 400 rows in made.csv, needed the 500"),
        (lambda f: f[["date"]], "needed two rows and a series at least"),
    ],
)
def test_data_that_do_not_fit_are_refused_in_one_sentence(tmp_path, change, sentence, capsys):
    path = make_file(tmp_path)
    change(pd.read_csv(path)).to_csv(path, index=False)
    with pytest.raises(SystemExit) as left:
        run_program(lambda: ltsf.main(write_words(path, tmp_path / "out")))
    (line,) = capsys.readouterr().err.splitlines()
    assert left.value.code == DataError.exit_code
    assert sentence in line


@pytest.mark.parametrize(
    "more",
    [
        ("--set", "train.epoch=1"),
        ("--set", "epochs"),
        ("--horizons", "0"),
        ("--spec", "nowhere.yaml"),
    ],
)
def test_a_wrong_recipe_or_number_is_refused(tmp_path, more):
    with pytest.raises(SpecError, match="found"):
        ltsf.main(write_words(make_file(tmp_path), tmp_path / "out", *more))


def test_a_part_shorter_than_a_window_is_refused(tmp_path):
    words = write_words(make_file(tmp_path), tmp_path / "out", "--horizons", "200")
    with pytest.raises(DataError, match="found 100 rows in the holdout part"):
        ltsf.main(words)


def test_the_command_ends_with_the_code_of_refused_data(tmp_path):
    words = ["-m", "tests.benchmarks.ltsf", *write_words(tmp_path / "none.csv", tmp_path)]
    ended = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 3
    assert ended.stderr.startswith("seqmodel: found ")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("step", "alias", "season", "cycle"),
    [
        ("10min", "10min", 144, 1008),
        ("15min", "15min", 96, 672),
        ("h", "h", 24, 168),
        ("D", "D", 7, None),
        ("W-TUE", "W-TUE", 52, None),
        ("MS", "MS", 12, None),
        ("QS", "QS", 4, None),
        ("YS", "YS", 1, None),
    ],
)
def test_season_and_cycle_follow_from_the_dates(tmp_path, step, alias, season, cycle):
    found = wide.read_wide(make_file(tmp_path, 60, step))
    assert found.freq == alias
    assert recipes.choose_season(alias) == season
    assert recipes.choose_cycle(alias, season) == cycle
    panel = wide.make_panel(found, found.numbers)
    moments = pd.to_datetime(panel.grid.moment(panel.number_of_row[:2]), unit="us")
    assert list(moments) == list(pd.date_range("2020-01-01", periods=2, freq=step))


@pytest.mark.parametrize(
    ("season", "lookback", "horizon", "segment"),
    [(24, 96, 96, 24), (24, 720, 720, 24), (96, 96, 96, 24), (144, 96, 96, 24), (7, 96, 14, 7),
     (24, 36, 24, 8), (52, 36, 24, 9), (1, 36, 24, 1)],
)  # fmt: skip
def test_segments_go_in_step_with_the_season(season, lookback, horizon, segment):
    found = recipes.choose_segment(season, lookback, horizon)
    assert found == segment
